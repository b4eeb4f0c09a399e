//! Parked messages: who knows of them, and how an operator has them handled again or gives them up.

use crate::world::{PATIENCE, Running, World, eventually, message, on_every_store};
use messaging::{Bus, Embedded, Message};
use outbox::{Action, By, Consumer, Handle, Outcome, Payload, Selection, consume};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::{Statement, Store};
use tempfile::TempDir;

on_every_store! {
    one_bad_key_of_a_thousand_holds_up_no_other,
    a_command_that_is_sent_again_is_parked_once,
    a_redriven_key_is_handled_in_its_order_and_free_again,
    what_comes_while_a_key_is_redriven_is_handled_after_it,
    what_still_fails_stays_parked_with_what_follows_it,
    one_number_redrives_its_key_up_to_there,
    two_operators_at_once_hand_nothing_over_twice,
    a_redrive_that_is_interrupted_is_finished_by_the_next_process,
    a_rate_is_kept,
    a_dry_run_tells_what_would_be_redriven_and_changes_nothing,
    a_redrive_is_asked_for_by_what_the_first_message_of_a_key_is,
    what_is_discarded_is_gone_and_its_key_is_free,
    the_first_message_can_be_discarded_and_the_others_redriven,
    what_is_being_redriven_cannot_be_discarded,
    a_key_that_another_process_parked_is_known_within_seconds,
    a_payload_is_shown_only_when_it_is_asked_for,
}

/// Cannot handle some effects, and notes those that it handled.
#[derive(Clone, Default)]
struct Handler {
    bad: Arc<Mutex<HashSet<String>>>,
    handled: Arc<Mutex<Vec<String>>>,
    /// Whether everything waits.
    is_stuck: Arc<Mutex<bool>>,
}

impl Handler {
    fn cannot(bad: &[&str]) -> Self {
        let handler = Handler::default();
        handler.bad.lock().unwrap().extend(bad.iter().map(|effect| (*effect).to_owned()));
        handler
    }

    fn is_mended(&self) {
        self.bad.lock().unwrap().clear();
    }

    fn handled(&self) -> Vec<String> {
        self.handled.lock().unwrap().clone()
    }

    async fn has_handled(&self, count: usize) {
        eventually(PATIENCE, async || match self.handled().len() {
            handled if handled >= count => Ok(()),
            _ => Err(format!("only {:?} handled", self.handled())),
        })
        .await;
    }
}

impl Handle for Handler {
    async fn handle(&self, message: &Message) -> Outcome {
        if *self.is_stuck.lock().unwrap() {
            return Outcome::Retry { after: Duration::from_millis(10), why: "stuck".to_owned() };
        }
        if self.bad.lock().unwrap().contains(&message.effect_id) {
            return Outcome::Poison { why: "Broken by intent".to_owned() };
        }
        self.handled.lock().unwrap().push(message.effect_id.clone());
        Outcome::Done
    }
}

impl World {
    async fn consumer(&self, bus: &Bus, handler: &Handler) -> Running {
        let subscription = bus.subscribe("commands", "service").await.unwrap();
        let (store, config, metrics) = (self.store.clone(), self.config.clone(), self.metrics.clone());
        let (consumer, handler) = (Consumer { name: "service", store, config, metrics }, handler.clone());
        Running::start(|drain| async move { consume(subscription, consumer, handler, drain).await })
    }

    async fn are_parked(&self, count: i64) {
        self.becomes("SELECT count(*) FROM parked", count).await;
    }

    async fn parked(&self) -> Vec<String> {
        self.texts("SELECT effect_id FROM parked ORDER BY number").await
    }

    async fn redrive(&self, selection: &Selection) -> Vec<Action> {
        outbox::redrive(&self.store, selection, &operator(), 0).await.unwrap()
    }

    async fn nothing_is_parked(&self) {
        self.becomes("SELECT (SELECT count(*) FROM parked) + (SELECT count(*) FROM parked_key)", 0).await;
    }

    async fn is_finished(&self, request: &str) -> Action {
        eventually(PATIENCE, async || match outbox::action(&self.store, request).await.unwrap() {
            Some(Action { finished_us: Some(_), .. }) => Ok(()),
            other => Err(format!("not finished: {other:?}")),
        })
        .await;
        outbox::action(&self.store, request).await.unwrap().unwrap()
    }
}

fn operator() -> By {
    By { who: "ada".to_owned(), why: "mended".to_owned() }
}

fn key(key: &str) -> Selection {
    Selection { key: Some(key.to_owned()), ..Selection::default() }
}

/// Another bus with the same channels, as another process has.
async fn another_bus() -> (Bus, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("channels.db"), &store::Config::default()).unwrap();
    (Bus::Embedded(Embedded::open(store, crate::world::CHANNELS).await.unwrap()), directory)
}

async fn one_bad_key_of_a_thousand_holds_up_no_other(world: World) {
    let handler = Handler::cannot(&["7:0"]);
    let consumer = world.consumer(&world.bus, &handler).await;

    let of_round = |round: i32| (0..1_000).map(move |key| message(&key.to_string(), &format!("{key}:{round}")));
    let messages: Vec<Message> = (0..3).flat_map(of_round).collect();
    world.bus.publish(&messages).await.unwrap();
    handler.has_handled(3 * 999).await;
    world.are_parked(3).await;
    consumer.drain().await;

    assert!(handler.handled().iter().all(|effect| !effect.starts_with("7:")));
    assert_eq!(world.parked().await, ["7:0", "7:1", "7:2"]);
}

async fn a_command_that_is_sent_again_is_parked_once(world: World) {
    let handler = Handler::cannot(&["poison"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "poison"), ("a", "behind")]).await;
    world.are_parked(2).await;

    for _ in 0..50 {
        world.publish(&[("a", "poison"), ("a", "behind")]).await;
    }
    world.publish(&[("b", "end")]).await;
    handler.has_handled(1).await;
    consumer.drain().await;

    assert_eq!(world.parked().await, ["poison", "behind"]);
}

async fn a_redriven_key_is_handled_in_its_order_and_free_again(world: World) {
    let handler = Handler::cannot(&["1"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]).await;
    world.are_parked(4).await;
    handler.is_mended();

    let begun = world.redrive(&key("a")).await;
    world.nothing_is_parked().await;
    world.publish(&[("a", "5")]).await;
    handler.has_handled(5).await;
    let done = world.is_finished(&begun[0].request).await;
    consumer.drain().await;

    assert_eq!(handler.handled(), ["1", "2", "3", "4", "5"]);
    assert_eq!(
        (done.who.as_str(), done.why.as_str(), done.selection.as_str()),
        ("ada", "mended", "consumer=\"service\" key=\"a\"")
    );
    assert_eq!((done.keys, done.messages, done.handled, done.failed), (1, 4, 4, 0));
}

async fn what_comes_while_a_key_is_redriven_is_handled_after_it(world: World) {
    let handler = Handler::cannot(&["0"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    let effects: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    let messages: Vec<Message> = effects.iter().map(|effect| message("a", effect)).collect();
    world.bus.publish(&messages[..200]).await.unwrap();
    world.are_parked(200).await;
    handler.is_mended();

    world.redrive(&key("a")).await;
    for message in &messages[200..] {
        world.bus.publish(std::slice::from_ref(message)).await.unwrap();
    }
    handler.has_handled(400).await;
    world.nothing_is_parked().await;
    consumer.drain().await;

    assert_eq!(handler.handled(), effects);
}

async fn what_still_fails_stays_parked_with_what_follows_it(world: World) {
    let handler = Handler::cannot(&["1", "3"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("b", "5")]).await;
    world.are_parked(4).await;
    handler.bad.lock().unwrap().remove("1");

    let begun = world.redrive(&key("a")).await;
    let done = world.is_finished(&begun[0].request).await;
    let left = outbox::list_parked(&world.store, &key("a"), Payload::Hidden, 0, 10).await.unwrap();
    world.publish(&[("a", "6")]).await;
    world.are_parked(3).await;
    handler.is_mended();
    world.redrive(&key("a")).await;
    world.nothing_is_parked().await;
    consumer.drain().await;

    assert_eq!((done.handled, done.failed), (2, 1));
    assert_eq!(left.iter().map(|it| it.message.effect_id.as_str()).collect::<Vec<_>>(), ["3", "4"]);
    assert_eq!((left[0].why.as_str(), left[0].tries, left[0].is_first), ("Broken by intent", 2, true));
    assert_eq!(handler.handled(), ["5", "1", "2", "3", "4", "6"]);
}

async fn one_number_redrives_its_key_up_to_there(world: World) {
    let handler = Handler::cannot(&["1"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("a", "3")]).await;
    world.are_parked(3).await;
    handler.is_mended();
    let second = outbox::list_parked(&world.store, &key("a"), Payload::Hidden, 0, 10).await.unwrap()[1].number;

    let begun = world.redrive(&Selection { number: Some(second), ..Selection::default() }).await;
    let done = world.is_finished(&begun[0].request).await;
    consumer.drain().await;

    assert_eq!((done.messages, done.handled), (2, 2));
    assert_eq!(handler.handled(), ["1", "2"]);
    assert_eq!(world.parked().await, ["3"]);
}

async fn two_operators_at_once_hand_nothing_over_twice(world: World) {
    let (other, _directory) = another_bus().await;
    let handler = Handler::cannot(&["0:0", "1:0", "2:0", "3:0", "4:0"]);
    let consumers = [world.consumer(&world.bus, &handler).await, world.consumer(&other, &handler).await];
    let of_key = |key: usize| (0..20).map(move |number| message(&key.to_string(), &format!("{key}:{number}")));
    world.bus.publish(&(0..5).flat_map(of_key).collect::<Vec<_>>()).await.unwrap();
    world.are_parked(100).await;
    handler.is_mended();

    let everything = Selection::default();
    let (one, two) = tokio::join!(world.redrive(&everything), world.redrive(&everything));
    world.nothing_is_parked().await;
    for consumer in consumers {
        consumer.drain().await;
    }

    let mut of_key: HashMap<String, Vec<usize>> = HashMap::new();
    for effect in handler.handled() {
        let (key, number) = effect.split_once(':').unwrap();
        of_key.entry(key.to_owned()).or_default().push(number.parse().unwrap());
    }
    assert!(of_key.values().all(|numbers| *numbers == (0..20).collect::<Vec<_>>()), "{of_key:?}");
    assert_eq!(one.iter().chain(&two).map(|action| action.messages).sum::<i64>(), 100);
}

async fn a_redrive_that_is_interrupted_is_finished_by_the_next_process(world: World) {
    let handler = Handler::cannot(&["1"]);
    let first = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("a", "3")]).await;
    world.are_parked(3).await;
    handler.is_mended();
    *handler.is_stuck.lock().unwrap() = true;
    let begun = world.redrive(&key("a")).await;
    world.becomes("SELECT count(*) FROM parking_audit WHERE owner <> ''", 1).await;
    first.drain().await;

    *handler.is_stuck.lock().unwrap() = false;
    let second = world.consumer(&world.bus, &handler).await;
    let done = world.is_finished(&begun[0].request).await;
    second.drain().await;

    assert_eq!(done.handled, 3);
    assert_eq!(handler.handled(), ["1", "2", "3"]);
}

async fn a_rate_is_kept(world: World) {
    let handler = Handler::cannot(&["0"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "0"), ("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]).await;
    world.are_parked(5).await;
    handler.is_mended();

    let begun = outbox::redrive(&world.store, &key("a"), &operator(), 10).await.unwrap();
    handler.has_handled(1).await;
    let first_at = tokio::time::Instant::now();
    let done = world.is_finished(&begun[0].request).await;
    consumer.drain().await;

    assert_eq!((done.per_second, done.handled), (10, 5));
    assert!(first_at.elapsed() >= Duration::from_millis(350), "{:?}", first_at.elapsed());
}

async fn a_dry_run_tells_what_would_be_redriven_and_changes_nothing(world: World) {
    let handler = Handler::cannot(&["1", "3"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("b", "3"), ("a", "1"), ("a", "2"), ("b", "4")]).await;
    world.are_parked(4).await;

    let listed = outbox::would_redrive(&world.store, &Selection::default(), 3).await.unwrap();
    consumer.drain().await;

    assert_eq!(listed.iter().map(|it| it.message.effect_id.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(world.number("SELECT count(*) FROM parked_key WHERE request = ''").await, 2);
    assert_eq!(outbox::actions(&world.store, 10).await.unwrap(), []);
}

async fn a_redrive_is_asked_for_by_what_the_first_message_of_a_key_is(world: World) {
    let handler = Handler::cannot(&["1", "3"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2")]).await;
    world.bus.publish(&[Message { kind: "comanda.Other".to_owned(), ..message("b", "3") }]).await.unwrap();
    world.are_parked(3).await;
    let count = async |selection: Selection| outbox::would_redrive(&world.store, &selection, 10).await.unwrap().len();
    let now = i64::MAX - 1;

    let any = Selection::default();
    assert_eq!(count(Selection { kind: Some("comanda.Other".to_owned()), ..any.clone() }).await, 1);
    assert_eq!(count(Selection { kind: Some("comanda.Test".to_owned()), ..any.clone() }).await, 2);
    assert_eq!(count(Selection { why: Some("broken BY".to_owned()), ..any.clone() }).await, 3);
    assert_eq!(count(Selection { why: Some("earlier message".to_owned()), ..any.clone() }).await, 0);
    assert_eq!(count(Selection { consumer: Some("service".to_owned()), ..any.clone() }).await, 3);
    assert_eq!(count(Selection { consumer: Some("nobody".to_owned()), ..any.clone() }).await, 0);
    assert_eq!(count(Selection { since_us: Some(now), ..any.clone() }).await, 0);
    assert_eq!(count(Selection { before_us: Some(now), ..any }).await, 3);
    consumer.drain().await;
}

async fn what_is_discarded_is_gone_and_its_key_is_free(world: World) {
    let handler = Handler::cannot(&["1", "3"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("b", "3")]).await;
    world.are_parked(3).await;

    let would = outbox::would_discard(&world.store, &key("a"), 10).await.unwrap();
    let done = outbox::discard(&world.store, &key("a"), &operator()).await.unwrap();
    world.publish(&[("a", "4")]).await;
    handler.has_handled(1).await;
    consumer.drain().await;

    assert_eq!(would.len(), 2);
    assert_eq!((done[0].keys, done[0].messages, done[0].finished_us.is_some()), (1, 2, true));
    assert_eq!(handler.handled(), ["4"]);
    assert_eq!(world.parked().await, ["3"]);
    assert_eq!(outbox::actions(&world.store, 10).await.unwrap(), done);
    assert_eq!(outbox::discard(&world.store, &key("a"), &operator()).await.unwrap(), []);
}

async fn the_first_message_can_be_discarded_and_the_others_redriven(world: World) {
    let handler = Handler::cannot(&["1"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2"), ("a", "3")]).await;
    world.are_parked(3).await;

    let broken = Selection { why: Some("broken".to_owned()), ..Selection::default() };
    let done = outbox::discard(&world.store, &broken, &operator()).await.unwrap();
    world.redrive(&key("a")).await;
    world.nothing_is_parked().await;
    consumer.drain().await;

    assert_eq!(done[0].messages, 1);
    assert_eq!(handler.handled(), ["2", "3"]);
}

async fn what_is_being_redriven_cannot_be_discarded(world: World) {
    let handler = Handler::cannot(&["1"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "1"), ("a", "2")]).await;
    world.are_parked(2).await;
    handler.is_mended();
    *handler.is_stuck.lock().unwrap() = true;
    world.redrive(&key("a")).await;

    let discarded = outbox::discard(&world.store, &key("a"), &operator()).await.unwrap();
    *handler.is_stuck.lock().unwrap() = false;
    world.nothing_is_parked().await;
    consumer.drain().await;

    assert_eq!(discarded, []);
    assert_eq!(handler.handled(), ["1", "2"]);
}

async fn a_key_that_another_process_parked_is_known_within_seconds(world: World) {
    let (other, _directory) = another_bus().await;
    let handler = Handler::cannot(&["poison"]);
    let consumers = [world.consumer(&world.bus, &handler).await, world.consumer(&other, &handler).await];
    world.publish(&[("a", "poison")]).await;
    world.are_parked(1).await;

    // Each message is another effect; those that come before the other process knows are handled.
    let mut number = 0;
    eventually(PATIENCE, async || {
        number += 1;
        other.publish(&[message("a", &format!("later {number}"))]).await.unwrap();
        match world.number("SELECT count(*) FROM parked").await {
            1 => Err("not known".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let known_after = handler.handled().len();
    other.publish(&[message("a", "last")]).await.unwrap();
    world.becomes("SELECT count(*) FROM parked WHERE effect_id = 'last'", 1).await;
    for consumer in consumers {
        consumer.drain().await;
    }

    assert_eq!(handler.handled().len(), known_after);
}

async fn a_payload_is_shown_only_when_it_is_asked_for(world: World) {
    let handler = Handler::cannot(&["poison"]);
    let consumer = world.consumer(&world.bus, &handler).await;
    world.publish(&[("a", "poison")]).await;
    world.bus.publish(&[Message { payload: Vec::new(), ..message("a", "empty") }]).await.unwrap();
    world.are_parked(2).await;
    consumer.drain().await;

    let list = async |payload| outbox::list_parked(&world.store, &Selection::default(), payload, 0, 10).await.unwrap();
    let (shown, hidden) = (list(Payload::Shown).await, list(Payload::Hidden).await);

    assert_eq!((shown[0].message.payload.as_slice(), shown[0].payload_bytes), (&b"poison"[..], 6));
    assert_eq!((hidden[0].message.payload.as_slice(), hidden[0].payload_bytes), (&b""[..], 6));
    assert_eq!((&shown[1].message.payload, &hidden[1].message.payload), (&Vec::new(), &Vec::new()));
    let summary = outbox::parked_keys(&world.store).await.unwrap();
    assert_eq!((summary[0].consumer.as_str(), summary[0].keys, summary[0].messages), ("service", 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_does_not_pass_parks_its_message_after_some_tries() {
    /// The pauses between all tries, and more.
    const PAUSES: Duration = Duration::from_secs(300);
    /// Cannot read a row.
    #[derive(Clone)]
    struct Faulty(Arc<Mutex<u32>>);
    impl Handle for Faulty {
        async fn handle(&self, message: &Message) -> Outcome {
            if message.effect_id != "fault" {
                return Outcome::Done;
            }
            *self.0.lock().unwrap() += 1;
            Outcome::of_failure(&store::Error::Column { column: 1, expected: "text" })
        }
    }
    let world = World::new().await;
    let handler = Faulty(Arc::default());
    let subscription = world.subscribe().await;
    let (store, config, metrics) = (world.store.clone(), world.config.clone(), world.metrics.clone());
    let (consumer, faulty) = (Consumer { name: "service", store, config, metrics }, handler.clone());
    let running = Running::start(|drain| async move { consume(subscription, consumer, faulty, drain).await });

    world.publish(&[("a", "fault")]).await;
    eventually(PAUSES, async || match *handler.0.lock().unwrap() {
        Outcome::TRIES_MAX => Ok(()),
        tries => Err(format!("{tries} tries")),
    })
    .await;
    // The store's thread is none of the runtime's, so a clock that is paused would run ahead of it.
    tokio::time::resume();
    world.are_parked(1).await;
    running.drain().await;

    assert_eq!(*handler.0.lock().unwrap(), Outcome::TRIES_MAX);
    assert_eq!(world.texts("SELECT why FROM parked").await, ["failed 20 times: column 1 is not text"]);
}

#[tokio::test]
async fn what_was_parked_before_keys_had_rows_can_be_redriven() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("old.db"), &store::Config::default()).unwrap();
    outbox::migrate(&store).await.unwrap();
    let mut old = store::Change::new();
    for undo in [
        "DROP TABLE parked_key", "DROP TABLE parking_audit", "DROP INDEX parked_effect", "DROP INDEX parked_by_key",
        "ALTER TABLE parked DROP COLUMN tries", "DELETE FROM schema_migration WHERE component = 'parking'",
        "INSERT INTO parked (consumer, message_id, effect_id, channel, key, kind, created_us, payload, why, parked_us)
         VALUES ('service', x'01', '1', '', 'a', '', 0, x'', '', 5), ('service', x'02', '2', '', 'a', '', 0, x'', '', 6),
                ('service', x'03', '1', '', 'a', '', 0, x'', '', 7)",
    ] {
        old.push(Statement::new(undo));
    }
    store.commit(old).await.unwrap();

    outbox::migrate(&store).await.unwrap();

    let keys = outbox::parked_keys(&store).await.unwrap();
    assert_eq!((keys[0].keys, keys[0].messages, keys[0].oldest_us), (1, 2, 5));
}
