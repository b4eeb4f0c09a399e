//! The inbox: a command has its effect once, and its reply as often as it comes.

use crate::world::{PATIENCE, Running, World, eventually, message, on_every_store};
use messaging::Message;
use outbox::{Config, Handle, Inbox, Outcome, Respond, Response, keep_inbox_small};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Change, Migration, Statement, Store};

const EFFECTS: &[Migration] = &[Migration {
    version: 1,
    name: "effects",
    sqlite: "CREATE TABLE effect (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
          CREATE TABLE version (number INTEGER NOT NULL);
          INSERT INTO version VALUES (0);",
    postgres: Some(
        "CREATE TABLE effect (number BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name TEXT NOT NULL);
          CREATE TABLE version (number BIGINT NOT NULL);
          INSERT INTO version VALUES (0);",
    ),
}];

/// Decides against the version, and is overtaken so many times before it gets through.
struct Responder {
    store: Store,
    overtaken: usize,
    asked: AtomicUsize,
}

impl Responder {
    async fn version(&self) -> i64 {
        self.store.query(Statement::new("SELECT number FROM version")).await.unwrap()[0].take(0).unwrap()
    }
}

impl Respond for &Responder {
    async fn respond(&self, command: &Message) -> Result<Response, Outcome> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let version = self.version().await;
        if asked < self.overtaken {
            let mut faster = Change::new();
            faster.push(Statement::new("UPDATE version SET number = number + 1"));
            self.store.commit(faster).await.unwrap();
        }
        let sql = "UPDATE version SET number = number + 1 WHERE number = ?1";
        let mut change = Change::new();
        change.push(Statement::new(sql).bind(version).expecting(1, "the version is current"));
        change.push(Statement::new("INSERT INTO effect (name) VALUES (?1)").bind(command.effect_id.as_str()));
        let text = format!("asked {asked} times before");
        let reply = Message::new("replies", "comanda.Reply", "reply key".to_owned(), String::new(), text.into());
        Ok(Response { reply, change })
    }
}

/// Guards nothing by itself.
struct Careless;

impl Respond for Careless {
    async fn respond(&self, command: &Message) -> Result<Response, Outcome> {
        let mut change = Change::new();
        change.push(Statement::new("INSERT INTO effect (name) VALUES (?1)").bind(command.effect_id.as_str()));
        let reply = Message::new("replies", "comanda.Reply", command.key.clone(), String::new(), Vec::new());
        Ok(Response { reply, change })
    }
}

/// Never has a reply.
struct Refusing(Outcome);

impl Respond for Refusing {
    async fn respond(&self, _command: &Message) -> Result<Response, Outcome> {
        Err(self.0.clone())
    }
}

fn responder(world: &World, overtaken: usize) -> Responder {
    Responder { store: world.store.clone(), overtaken, asked: AtomicUsize::new(0) }
}

async fn replies(world: &World) -> Vec<Message> {
    let columns =
        "SELECT effect_id, channel, key, kind, causation_id, payload, message_id FROM outbox ORDER BY position";
    let rows = world.store.query(Statement::new(columns)).await.unwrap();
    let id = |bytes: Vec<u8>| messaging::MessageId::from_slice(&bytes).unwrap();
    rows.into_iter()
        .map(|mut row| Message {
            effect_id: row.take(0).unwrap(),
            channel: row.take(1).unwrap(),
            key: row.take(2).unwrap(),
            kind: row.take(3).unwrap(),
            causation_id: row.take::<Option<Vec<u8>>>(4).unwrap().map(id),
            payload: row.take(5).unwrap(),
            id: id(row.take(6).unwrap()),
            traceparent: None,
            created_us: 0,
        })
        .collect()
}

on_every_store! {
    a_command_that_comes_again_has_its_effect_once_and_the_same_reply_twice,
    a_command_that_comes_many_times_at_once_has_its_effect_once,
    a_responder_that_was_overtaken_is_asked_again,
    a_command_that_is_overtaken_again_and_again_is_left_for_later,
    what_a_responder_says_instead_of_a_reply_is_passed_on_and_not_remembered,
    a_failing_store_means_a_later_try_with_the_whole_chain_of_causes,
    old_replies_are_dropped_however_many_there_are_and_new_ones_stay,
}

async fn a_command_that_comes_again_has_its_effect_once_and_the_same_reply_twice(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let responder = responder(&world, 0);
    let inbox = Inbox::new(world.store.clone(), &responder);
    let first = message("order", "effect");
    let again = message("order", "effect");

    let outcomes = [inbox.handle(&first).await, inbox.handle(&again).await];

    assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
    assert_eq!(world.texts("SELECT name FROM effect").await, ["effect"]);
    let replies = replies(&world).await;
    assert_eq!((replies[0].causation_id, replies[1].causation_id), (Some(first.id), Some(again.id)));
    assert_ne!(replies[0].id, replies[1].id);
    let repeated = Message { id: replies[0].id, causation_id: replies[0].causation_id, ..replies[1].clone() };
    assert_eq!(repeated, replies[0]);
    assert_eq!((replies[0].effect_id.as_str(), replies[0].key.as_str()), ("effect:reply", "reply key"));
}

async fn a_command_that_comes_many_times_at_once_has_its_effect_once(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let inbox = Inbox::new(world.store.clone(), Careless);
    let commands: Vec<Message> = (0..5).map(|_| message("order", "effect")).collect();

    let outcomes = futures_util::future::join_all(commands.iter().map(|command| inbox.handle(command))).await;

    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Done), "{outcomes:?}");
    assert_eq!(world.texts("SELECT name FROM effect").await, ["effect"]);
    assert_eq!(replies(&world).await.len(), 5);
}

async fn a_responder_that_was_overtaken_is_asked_again(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let responder = responder(&world, 2);
    let inbox = Inbox::new(world.store.clone(), &responder);

    let outcome = inbox.handle(&message("order", "effect")).await;

    assert_eq!(outcome, Outcome::Done);
    assert_eq!(responder.asked.load(Ordering::Relaxed), 3);
    assert_eq!(world.texts("SELECT name FROM effect").await, ["effect"]);
    assert_eq!(replies(&world).await[0].payload, b"asked 2 times before");
}

async fn a_command_that_is_overtaken_again_and_again_is_left_for_later(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let responder = responder(&world, usize::MAX);
    let inbox = Inbox::new(world.store.clone(), &responder);

    let outcome = inbox.handle(&message("order", "effect")).await;

    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert_eq!(world.number("SELECT (SELECT count(*) FROM effect) + (SELECT count(*) FROM outbox)").await, 0);
}

async fn what_a_responder_says_instead_of_a_reply_is_passed_on_and_not_remembered(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let retry = Outcome::Retry { after: Duration::from_millis(7), why: "no disk".to_owned() };
    let poison = Outcome::Poison { why: "no order".to_owned() };

    for outcome in [retry, poison] {
        let inbox = Inbox::new(world.store.clone(), Refusing(outcome.clone()));
        assert_eq!(inbox.handle(&message("order", "effect")).await, outcome);
    }

    let remembered = "SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM outbox)";
    assert_eq!(world.number(remembered).await, 0);
}

async fn a_failing_store_means_a_later_try_with_the_whole_chain_of_causes(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let responder = responder(&world, 0);
    let inbox = Inbox::new(world.store.clone(), &responder);
    world.run(Statement::new("DROP TABLE inbox")).await;

    let outcome = inbox.handle(&message("order", "effect")).await;

    assert!(
        matches!(&outcome, Outcome::Retry { why, .. } | Outcome::Fault { why, .. } if why.contains("no such table") || why.contains("does not exist")),
        "{outcome:?}"
    );
}

async fn old_replies_are_dropped_however_many_there_are_and_new_ones_stay(world: World) {
    world.store.migrate("effects", EFFECTS).await.unwrap();
    let old = "INSERT INTO inbox (effect_id, reply_effect_id, reply_channel, reply_key, reply_kind, reply_payload, handled_us)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
        SELECT CAST(i AS TEXT), '', '', '', '', ?1, 0 FROM n";
    world.run(Statement::new(old).bind(Vec::new())).await;
    let responder = responder(&world, 0);
    Inbox::new(world.store.clone(), &responder).handle(&message("order", "new")).await;

    let (store, config) = (world.store.clone(), Config::default());
    let cleaning = Running::start(|drain| keep_inbox_small(store, config, drain));

    eventually(PATIENCE, async || match world.texts("SELECT effect_id FROM inbox").await {
        kept if kept == ["new"] => Ok(()),
        kept => Err(format!("{} replies are kept", kept.len())),
    })
    .await;
    cleaning.drain().await;
}
