//! Consuming: order within a key, many keys at once, and what becomes of messages that cannot be handled.

use crate::world::{PATIENCE, Running, World, eventually, message, numbers, take_until};
use messaging::Message;
use outbox::{Consumer, Handle, Outcome, consume};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Change, Statement};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::yield_now;
use tokio::time::timeout;

/// Notes what it is asked to handle, and does as it is told.
#[derive(Clone)]
struct Handler {
    begun: Arc<Mutex<Vec<String>>>,
    script: Script,
}

#[derive(Clone)]
enum Script {
    Done,
    /// Yields as often as the payload is long, so that nothing ends in the order of its beginning.
    Slow,
    /// Waits until this many are handled at once.
    Together(Arc<Barrier>),
    /// Waits for a permit, which stands for one message.
    Permitted(Arc<Semaphore>),
    /// Fails this many times for each message.
    Failing(usize),
    /// The effect `poison` can never be handled.
    Poisoned,
}

impl Handler {
    fn new(script: Script) -> Self {
        Handler { begun: Arc::default(), script }
    }

    /// The effects it was asked to bring about, in order.
    fn begun(&self) -> Vec<String> {
        self.begun.lock().unwrap().clone()
    }

    async fn has_begun(&self, count: usize) {
        eventually(PATIENCE, async || match self.begun() {
            begun if begun.len() >= count => Ok(()),
            begun => Err(format!("only {begun:?} begun")),
        })
        .await;
    }
}

impl Handle for Handler {
    async fn handle(&self, message: &Message) -> Outcome {
        let effect = message.effect_id.clone();
        let tries = {
            let mut begun = self.begun.lock().unwrap();
            begun.push(effect.clone());
            begun.iter().filter(|other| **other == effect).count()
        };
        match &self.script {
            Script::Done => {}
            Script::Slow => {
                for _ in 0..message.payload.len() {
                    yield_now().await;
                }
            }
            Script::Together(barrier) => {
                barrier.wait().await;
            }
            Script::Permitted(permits) => permits.acquire().await.unwrap().forget(),
            Script::Failing(times) if tries <= *times => {
                return Outcome::Retry { after: Duration::from_millis(1), why: "no disk".to_owned() };
            }
            Script::Failing(_) => {}
            Script::Poisoned if effect == "poison" => return Outcome::Poison { why: "broken".to_owned() },
            Script::Poisoned => {}
        }
        Outcome::Done
    }
}

impl World {
    async fn consume(&self, handler: &Handler) -> Running {
        let subscription = self.subscribe().await;
        let consumer = Consumer {
            name: "service",
            store: self.store.clone(),
            config: self.config.clone(),
            metrics: self.metrics.clone(),
        };
        let handler = handler.clone();
        Running::start(|drain| async move { consume(subscription, consumer, handler, drain).await })
    }

    pub(crate) async fn publish(&self, messages: &[(&str, &str)]) {
        let messages: Vec<Message> = messages.iter().map(|(key, effect)| message(key, effect)).collect();
        self.bus.publish(&messages).await.unwrap();
    }

    /// The effects that come when a new subscription asks, up to one that is published now.
    async fn left(&self) -> Vec<String> {
        self.publish(&[("end", "end")]).await;
        take_until(&mut self.subscribe().await, "end").await
    }
}

#[tokio::test]
async fn each_message_is_handled_once_and_acknowledged() {
    let world = World::new().await;
    let handler = Handler::new(Script::Done);
    let consumer = world.consume(&handler).await;

    world.publish(&[("a", "1"), ("b", "2"), ("a", "3")]).await;
    handler.has_begun(3).await;
    consumer.drain().await;

    assert_eq!(handler.begun(), ["1", "2", "3"]);
    assert_eq!(world.left().await, ["end"]);
}

#[tokio::test]
async fn order_holds_within_a_key_and_keys_do_not_wait_for_each_other() {
    let world = World::new().await;
    let handler = Handler::new(Script::Slow);
    let consumer = world.consume(&handler).await;

    let messages: Vec<Message> = (0..600_usize)
        .map(|number| Message {
            payload: vec![0; number * 7 % 11],
            ..message(&(number % 7).to_string(), &number.to_string())
        })
        .collect();
    world.bus.publish(&messages).await.unwrap();
    handler.has_begun(600).await;
    consumer.drain().await;

    let mut of_key: HashMap<usize, Vec<usize>> = HashMap::new();
    for number in handler.begun().iter().map(|effect| effect.parse::<usize>().unwrap()) {
        of_key.entry(number % 7).or_default().push(number);
    }
    assert!(of_key.values().all(|numbers| numbers.is_sorted()), "{of_key:?}");
    assert_ne!(handler.begun(), numbers(0..600), "nothing ran at once");
}

#[tokio::test]
async fn as_many_keys_as_configured_are_handled_at_once() {
    let mut world = World::new().await;
    world.config.handled_at_once = 10;
    let handler = Handler::new(Script::Together(Arc::new(Barrier::new(10))));
    let consumer = world.consume(&handler).await;

    let messages: Vec<Message> = (0..30).map(|number| message(&number.to_string(), "effect")).collect();
    world.bus.publish(&messages).await.unwrap();

    handler.has_begun(30).await;
    consumer.drain().await;
}

#[tokio::test]
async fn no_more_keys_than_configured_are_handled_at_once() {
    let mut world = World::new().await;
    world.config.handled_at_once = 3;
    let permits = Arc::new(Semaphore::new(0));
    let handler = Handler::new(Script::Permitted(permits.clone()));
    let consumer = world.consume(&handler).await;

    world.publish(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]).await;
    handler.has_begun(3).await;
    let at_once = handler.begun();
    permits.add_permits(1);
    handler.has_begun(4).await;
    permits.add_permits(3);
    consumer.drain().await;

    assert_eq!(at_once, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_failure_of_the_infrastructure_is_tried_again_before_what_follows_in_its_key() {
    let world = World::new().await;
    let handler = Handler::new(Script::Failing(3));
    let consumer = world.consume(&handler).await;

    world.publish(&[("a", "1"), ("a", "2")]).await;
    handler.has_begun(8).await;
    consumer.drain().await;

    assert_eq!(handler.begun(), ["1", "1", "1", "1", "2", "2", "2", "2"]);
    assert_eq!(world.number("SELECT count(*) FROM parked").await, 0);
    assert_eq!(world.left().await, ["end"]);
}

#[tokio::test]
async fn a_failing_key_does_not_hold_up_others_and_its_message_is_left_at_the_end() {
    let world = World::new().await;
    let handler = Handler::new(Script::Failing(usize::MAX));
    let consumer = world.consume(&handler).await;

    world.publish(&[("a", "1"), ("a", "2"), ("b", "3")]).await;
    eventually(PATIENCE, async || {
        handler.begun().contains(&"3".to_owned()).then_some(()).ok_or("not begun".to_owned())
    })
    .await;
    consumer.drain().await;

    assert!(!handler.begun().contains(&"2".to_owned()));
    assert_eq!(world.left().await, ["1", "2", "3", "end"]);
}

#[tokio::test]
async fn poison_is_parked_with_what_follows_in_its_key_while_other_keys_flow() {
    let world = World::new().await;
    let handler = Handler::new(Script::Poisoned);
    let consumer = world.consume(&handler).await;

    world.publish(&[("a", "1"), ("a", "poison"), ("a", "2"), ("b", "3"), ("a", "4")]).await;
    world.becomes("SELECT count(*) FROM parked", 3).await;
    handler.has_begun(3).await;
    consumer.drain().await;

    let mut begun = handler.begun();
    begun.sort();
    assert_eq!(begun, ["1", "3", "poison"]);
    assert_eq!(world.texts("SELECT effect_id FROM parked ORDER BY number").await, ["poison", "2", "4"]);
    assert_eq!(
        world.texts("SELECT DISTINCT why FROM parked ORDER BY number").await,
        ["broken", "an earlier message of this key is parked"]
    );
    assert_eq!(world.left().await, ["end"]);
}

#[tokio::test]
async fn a_parked_key_is_still_parked_after_a_restart_and_for_this_consumer_only() {
    let world = World::new().await;
    let first = world.consume(&Handler::new(Script::Poisoned)).await;
    world.publish(&[("a", "poison")]).await;
    world.becomes("SELECT count(*) FROM parked WHERE consumer = 'service'", 1).await;
    world.run(Statement::new(
        "INSERT INTO parked (consumer, message_id, effect_id, channel, key, kind, created_us, payload, why, parked_us)
         VALUES ('another', x'', '', '', 'b', '', 0, x'', '', 0)",
    ))
    .await;
    first.drain().await;

    let handler = Handler::new(Script::Poisoned);
    let second = world.consume(&handler).await;
    world.publish(&[("a", "later"), ("b", "other")]).await;
    world.becomes("SELECT count(*) FROM parked WHERE consumer = 'service'", 2).await;
    handler.has_begun(1).await;
    second.drain().await;

    assert_eq!(handler.begun(), ["other"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_parked_is_not_lost() {
    let world = World::new().await;
    let handler = Handler::new(Script::Poisoned);
    let consumer = world.consume(&handler).await;
    world.publish(&[("a", "1")]).await;
    handler.has_begun(1).await;
    world.run(Statement::new("DROP TABLE parked")).await;

    world.publish(&[("a", "poison")]).await;
    handler.has_begun(2).await;
    consumer.drain().await;

    assert_eq!(world.left().await, ["poison", "end"]);
}

#[tokio::test]
async fn a_drain_finishes_what_has_begun_and_returns_the_rest() {
    let world = World::new().await;
    let permits = Arc::new(Semaphore::new(0));
    let handler = Handler::new(Script::Permitted(permits.clone()));
    let consumer = world.consume(&handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")]).await;
    handler.has_begun(2).await;

    consumer.ask_to_drain();
    yield_now().await;
    permits.add_permits(10);
    consumer.drain().await;

    assert_eq!(handler.begun(), ["1", "3"]);
    assert_eq!(world.left().await, ["2", "4", "end"]);
}

#[tokio::test]
async fn a_consumer_that_was_cut_off_leaves_its_messages_to_the_next() {
    let world = World::new().await;
    let handler = Handler::new(Script::Permitted(Arc::new(Semaphore::new(0))));
    let consumer = world.consume(&handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("b", "3")]).await;
    handler.has_begun(2).await;

    drop(consumer);
    eventually(PATIENCE, async || match world.bus.subscribe("commands", "service").await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    })
    .await;

    assert_eq!(world.left().await, ["1", "2", "3", "end"]);
}

#[tokio::test]
async fn a_backlog_of_one_key_flows() {
    let world = World::new().await;
    let handler = Handler::new(Script::Done);
    let messages: Vec<Message> = (0..3_000).map(|number| message("a", &number.to_string())).collect();
    world.bus.publish(&messages).await.unwrap();

    let consumer = world.consume(&handler).await;
    handler.has_begun(3_000).await;
    consumer.drain().await;

    assert_eq!(handler.begun(), numbers(0..3_000));
}

#[tokio::test]
async fn a_channel_that_cannot_be_read_is_read_again_and_holds_up_nothing_that_has_begun() {
    let world = World::new().await;
    let rename = async |sql: &'static str| {
        let mut change = Change::new();
        change.push(Statement::new(sql));
        world.bus_store.commit(change).await.unwrap();
    };
    let permits = Arc::new(Semaphore::new(0));
    let handler = Handler::new(Script::Permitted(permits.clone()));
    let consumer = world.consume(&handler).await;
    world.publish(&[("a", "1"), ("a", "2")]).await;
    handler.has_begun(1).await;

    rename("ALTER TABLE message RENAME TO elsewhere").await;
    permits.add_permits(10);
    handler.has_begun(2).await;
    rename("ALTER TABLE elsewhere RENAME TO message").await;
    world.publish(&[("a", "3")]).await;

    timeout(PATIENCE, handler.has_begun(3)).await.unwrap();
    consumer.drain().await;
}
