//! The sweep: a command is sent again until it is settled, and not more often than needed.

use crate::world::{World, message, on_every_store, take};
use messaging::Message;
use outbox::{Answers, Handle, Outcome, Reviving};
use std::time::{Duration, Instant};
use store::{Change, Statement};

const SENT_AGAIN: &str = "SELECT count(*) FROM obligation WHERE attempt > 1";
const LEFT: &str = "SELECT count(*) FROM outbox";

impl World {
    async fn oblige(&self, command: &Message) {
        let mut change = Change::new();
        outbox::oblige(&mut change, command, &self.config);
        self.store.commit(change).await.unwrap();
    }

    /// Does as the relay does that has published everything.
    async fn empty_outbox(&self) {
        self.run(Statement::new("DELETE FROM outbox")).await;
    }

    async fn settle(&self, effect: &str) {
        let mut change = Change::new();
        outbox::settle(&mut change, effect);
        self.store.commit(change).await.unwrap();
    }
}

on_every_store! {
    a_command_without_a_reply_is_sent_again_as_a_new_message_of_the_same_effect,
    attempts_are_counted_and_the_next_one_is_later,
    a_command_whose_last_attempt_is_still_in_the_outbox_is_not_sent_again,
    only_what_is_due_is_sent_again,
    a_settled_command_is_not_sent_again,
    settling_twice_or_what_is_unknown_does_no_harm,
    an_obligation_of_a_change_that_fails_is_none,
    commands_are_sent_again_at_a_limited_rate_and_the_longest_due_first,
    a_command_that_the_other_side_has_not_come_to_is_not_sent_again,
    a_command_that_the_bus_has_lost_is_sent_again_whatever_was_answered,
}

const ATTEMPTS: &str = "SELECT attempt FROM obligation WHERE effect_id = 'behind'";

/// Replies that nobody needs.
struct Ignore;

impl Handle for Ignore {
    async fn handle(&self, _: &Message) -> Outcome {
        Outcome::Done
    }
}

async fn answer(replies: &Reviving<Ignore>, command: &Message) {
    let effect = format!("{}:reply", command.effect_id);
    let reply = Message::new("replies", "Yes", command.key.clone(), effect, Vec::new()).caused_by(command);
    assert!(matches!(replies.handle(&reply).await, Outcome::Done));
}

/// Two commands are due in one channel, of which `reached` is answered and `behind` comes later; and one in a channel that says nothing.
async fn answering(world: &World) -> (Answers, Reviving<Ignore>) {
    let answers = Answers::default();
    let replies = Reviving::new(world.store.clone(), answers.clone(), Ignore);
    let reached = message("a", "reached");
    world.oblige(&reached).await;
    answer(&replies, &reached).await;
    world.oblige(&message("b", "behind")).await;
    world.oblige(&Message { channel: "silent".to_owned(), ..message("c", "silent") }).await;
    world.empty_outbox().await;
    (answers, replies)
}

async fn a_command_without_a_reply_is_sent_again_as_a_new_message_of_the_same_effect(world: World) {
    let (_relay, _sweep) = (world.relay(), world.sweep());
    let mut first = message("order", "effect");
    first.traceparent = Some("00-trace".to_owned());

    world.oblige(&first).await;

    let attempts = take(&mut world.subscribe().await, 3).await;
    assert_eq!(attempts[0], first);
    for attempt in &attempts[1..] {
        let same = Message { id: first.id, created_us: first.created_us, ..attempt.clone() };
        assert_eq!(same, first);
    }
    let ids = [attempts[0].id, attempts[1].id, attempts[2].id];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

async fn attempts_are_counted_and_the_next_one_is_later(world: World) {
    world.oblige(&message("order", "effect")).await;
    let first_due = world.number("SELECT due_us - since_us FROM obligation").await;
    world.empty_outbox().await;

    let _sweep = world.sweep();

    world.becomes("SELECT attempt FROM obligation", 2).await;
    let second_due = world.number("SELECT due_us - (SELECT created_us FROM outbox) FROM obligation").await;
    assert!((40_000..=60_000).contains(&first_due), "{first_due}");
    assert!((80_000..=120_000).contains(&second_due), "{second_due}");
}

async fn a_command_whose_last_attempt_is_still_in_the_outbox_is_not_sent_again(world: World) {
    world.oblige(&message("b", "published")).await;
    world.empty_outbox().await;
    world.oblige(&message("a", "waiting")).await;
    // Both are long due, the waiting one longer.
    let due = "UPDATE obligation SET due_us = CASE WHEN effect_id = 'published' THEN 1 ELSE 0 END";
    world.run(Statement::new(due)).await;

    let _sweep = world.sweep();

    world.becomes(SENT_AGAIN, 1).await;
    assert_eq!(world.texts("SELECT effect_id FROM outbox ORDER BY position").await, ["waiting", "published"]);
}

async fn only_what_is_due_is_sent_again(world: World) {
    world.oblige(&message("a", "due")).await;
    world.oblige(&message("b", "later")).await;
    world.run(Statement::new("UPDATE obligation SET due_us = due_us + 3600000000 WHERE effect_id = 'later'")).await;
    world.empty_outbox().await;

    let _sweep = world.sweep();

    world.becomes(SENT_AGAIN, 1).await;
    assert_eq!(world.texts("SELECT effect_id FROM outbox").await, ["due"]);
}

async fn a_settled_command_is_not_sent_again(world: World) {
    world.oblige(&message("a", "settled")).await;
    world.oblige(&message("b", "open")).await;
    world.run(Statement::new("UPDATE obligation SET due_us = 0")).await;
    world.empty_outbox().await;

    world.settle("settled").await;
    let _sweep = world.sweep();

    world.becomes(LEFT, 1).await;
    assert_eq!(world.texts("SELECT effect_id FROM outbox").await, ["open"]);
    assert_eq!(world.texts("SELECT effect_id FROM obligation").await, ["open"]);
}

async fn settling_twice_or_what_is_unknown_does_no_harm(world: World) {
    world.oblige(&message("a", "effect")).await;

    world.settle("effect").await;
    world.settle("effect").await;
    world.settle("unknown").await;

    assert_eq!(world.number("SELECT count(*) FROM obligation").await, 0);
}

async fn an_obligation_of_a_change_that_fails_is_none(world: World) {
    let mut change = Change::new();
    outbox::oblige(&mut change, &message("a", "effect"), &world.config);
    change.push(Statement::new("DELETE FROM outbox WHERE position = -1").expecting(1, "cannot be"));

    world.store.commit(change).await.unwrap_err();

    assert_eq!((world.number(LEFT).await, world.number("SELECT count(*) FROM obligation").await), (0, 0));
}

async fn commands_are_sent_again_at_a_limited_rate_and_the_longest_due_first(mut world: World) {
    world.config.resend_per_second = 5;
    for number in 0..15 {
        world.oblige(&message("order", &format!("{number:02}"))).await;
    }
    world.run(Statement::new("UPDATE obligation SET due_us = CAST(effect_id AS INTEGER)")).await;
    world.empty_outbox().await;

    let started = Instant::now();
    let _sweep = world.sweep();
    world.becomes(LEFT, 15).await;

    assert!(started.elapsed() >= Duration::from_millis(1_900), "{:?}", started.elapsed());
    let effects = world.texts("SELECT effect_id FROM outbox ORDER BY position").await;
    let mut waves: Vec<Vec<String>> = effects.chunks(5).map(<[String]>::to_vec).collect();
    waves.iter_mut().for_each(|wave| wave.sort());
    assert!(waves.concat().is_sorted(), "{effects:?}");
}

/// Commands that waited their turn at a service were sent again and again, until it had no time left for new ones: 255 faults and a minute
/// without the broker left 11,340 orders undecided.
async fn a_command_that_the_other_side_has_not_come_to_is_not_sent_again(world: World) {
    let (answers, replies) = answering(&world).await;
    let _sweep = world.sweep_by(answers);

    world.becomes("SELECT attempt FROM obligation WHERE effect_id = 'silent'", 2).await;
    assert_eq!(world.number(ATTEMPTS).await, 1);

    answer(&replies, &message("d", "later")).await;
    world.becomes(ATTEMPTS, 2).await;
}

async fn a_command_that_the_bus_has_lost_is_sent_again_whatever_was_answered(world: World) {
    let (answers, _replies) = answering(&world).await;

    outbox::revive(&world.store).await.unwrap();
    let _sweep = world.sweep_by(answers);

    world.becomes(ATTEMPTS, 2).await;
}
