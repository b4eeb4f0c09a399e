//! The relay: what is committed is published, in order, at least once.

use crate::world::{Running, World, message, messages, numbers, on_every_store, take, take_until};
use messaging::{Message, MessageId};
use store::{Change, Statement};

const PLACE: &str = "SELECT position FROM outbox_cursor";
const EPOCH: &str = "SELECT epoch FROM outbox_cursor";

on_every_store! {
    what_is_committed_is_published_in_order,
    a_published_message_is_the_one_that_was_appended,
    what_is_not_committed_is_not_published,
    what_was_committed_before_the_relay_ran_is_published,
    the_place_is_written,
    a_drained_relay_has_published_everything_and_written_its_place,
    nothing_is_lost_and_order_holds_however_often_the_relay_is_cut_off,
    a_relay_goes_on_from_where_the_last_one_was,
    a_relay_that_was_replaced_starts_over,
    two_relays_together_lose_nothing,
    a_commit_wakes_the_relay_at_once,
    what_another_process_wrote_is_found_by_polling,
    a_relay_that_has_nothing_to_do_drains_at_once,
    a_relay_drains_though_the_bus_refuses,
}

async fn what_is_committed_is_published_in_order(world: World) {
    let relay = world.relay();

    for batch in messages(1_000).chunks(30) {
        world.append(batch).await;
    }

    assert_eq!(take_until(&mut world.subscribe().await, "999").await, numbers(0..1_000));
    relay.drain().await;
}

async fn a_published_message_is_the_one_that_was_appended(world: World) {
    let mut full = message("naïve key", "effect");
    (full.causation_id, full.traceparent) = (Some(MessageId::generate()), Some("00-trace".to_owned()));
    let _relay = world.relay();

    world.append(&[full.clone()]).await;

    assert_eq!(take(&mut world.subscribe().await, 1).await, [full]);
}

async fn what_is_not_committed_is_not_published(world: World) {
    let _relay = world.relay();
    let mut change = Change::new();
    outbox::append(&mut change, &message("order", "refused"));
    change.push(Statement::new("DELETE FROM outbox WHERE position = -1").expecting(1, "cannot be"));

    world.store.commit(change).await.unwrap_err();
    world.append(&[message("order", "end")]).await;

    assert_eq!(take_until(&mut world.subscribe().await, "end").await, ["end"]);
}

async fn what_was_committed_before_the_relay_ran_is_published(world: World) {
    world.append(&messages(300)).await;

    let _relay = world.relay();

    assert_eq!(take_until(&mut world.subscribe().await, "299").await, numbers(0..300));
}

async fn the_place_is_written(world: World) {
    let _relay = world.relay();

    world.append(&messages(10)).await;

    world.all_is_published().await;
    world.becomes(PLACE, 10).await;
}

async fn a_drained_relay_has_published_everything_and_written_its_place(world: World) {
    let relay = world.relay();
    world.append(&messages(600)).await;

    relay.drain().await;

    assert_eq!((world.unpublished().await, world.number(PLACE).await), (0, 600));
}

async fn nothing_is_lost_and_order_holds_however_often_the_relay_is_cut_off(world: World) {
    let mut subscription = world.subscribe().await;
    let all = messages(1_200);

    let mut relay = world.relay();
    for (round, batch) in all.chunks(100).enumerate() {
        world.append(batch).await;
        let last = take_until(&mut subscription, &(round * 100).to_string()).await;
        assert!(!last.is_empty());
        drop(relay);
        world.expire_lease().await;
        relay = world.relay();
    }
    drop(subscription);

    let seen = take_until(&mut world.subscribe().await, "1199").await;
    let mut numbers: Vec<usize> = seen.iter().map(|effect| effect.parse().unwrap()).collect();
    numbers.dedup();
    assert!(numbers.iter().zip(numbers.iter().skip(1)).all(|(one, next)| *next <= one + 1), "{numbers:?}");
    world.all_is_published().await;
}

async fn a_relay_goes_on_from_where_the_last_one_was(world: World) {
    let mut subscription = world.subscribe().await;
    let first = world.relay();
    world.append(&messages(5)).await;
    assert_eq!(take_until(&mut subscription, "4").await, numbers(0..5));
    first.drain().await;

    world.append(&[message("order", "5")]).await;
    let _second = world.relay();

    assert_eq!(take_until(&mut subscription, "5").await, ["5"]);
    assert_eq!(world.number(EPOCH).await, 2);
}

async fn a_relay_that_was_replaced_starts_over(world: World) {
    let _relay = world.relay();
    world.becomes(EPOCH, 1).await;

    // Somebody else takes the lane.
    world.run(Statement::new("UPDATE outbox_cursor SET epoch = 100")).await;
    world.append(&messages(10)).await;

    // It publishes nothing before it has an epoch of its own.
    world.all_is_published().await;
    assert_eq!((world.number(EPOCH).await, world.number(PLACE).await), (101, 10));
    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
}

async fn two_relays_together_lose_nothing(world: World) {
    let (_one, _other) = (world.relay(), world.relay());
    let mut subscription = world.subscribe().await;

    for batch in messages(500).chunks(10) {
        world.append(batch).await;
    }

    let mut seen = Vec::new();
    while seen.len() < 500 {
        let Message { effect_id, .. } = take(&mut subscription, 1).await.remove(0);
        if !seen.contains(&effect_id) {
            seen.push(effect_id);
        }
    }
    assert_eq!(seen, numbers(0..500));
    world.all_is_published().await;
}

/// Of the sequence that gives the positions, a new database says the same before and after the first of them.
#[tokio::test]
async fn the_first_message_of_a_database_is_published_though_the_relay_has_noted_before_that_there_is_none() {
    let Some(world) = World::on_postgres().await else { return };
    let _relay = world.relay();
    world.becomes("SELECT CAST(from_snapshot <> '3:3:' AS INT) FROM outbox_cursor", 1).await;

    world.append(&[message("order", "first")]).await;

    assert_eq!(take_until(&mut world.subscribe().await, "first").await, ["first"]);
}

#[tokio::test]
async fn everything_is_published_in_order_after_the_bus_was_full_for_a_while() {
    let world = World::with_bus(&store::Config { pages_max: Some(80) }).await;
    let fillers = world.fill_bus().await;
    let relay = world.relay();
    for batch in messages(100).chunks(10) {
        world.append(batch).await;
    }
    world.bus_refuses_again().await;

    world.empty_bus(fillers).await;

    assert_eq!(take_until(&mut world.subscribe().await, "99").await, numbers(0..100));
    world.all_is_published().await;
    relay.drain().await;
}

async fn a_commit_wakes_the_relay_at_once(mut world: World) {
    world.config.poll_ms = 3_600_000;
    let _relay = world.relay();
    let mut subscription = world.subscribe().await;

    for number in 0..3 {
        let effect = number.to_string();
        world.append(&[message("order", &effect)]).await;
        assert_eq!(take_until(&mut subscription, &effect).await, [effect]);
        // Now it has nothing to do, not even its place to write.
        world.all_is_published().await;
    }
}

async fn what_another_process_wrote_is_found_by_polling(world: World) {
    let _relay = world.relay();
    world.becomes(EPOCH, 1).await;

    let silent = Statement::new(
        "INSERT INTO outbox (message_id, effect_id, channel, key, kind, created_us, payload)
         VALUES (?1, 'silent', 'commands', 'k', 'T', 0, ?2)",
    )
    .on_postgres(
        "INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, created_us, payload)
         VALUES (0, ?1, 'silent', 'commands', 'k', 'T', 0, ?2)",
    );
    world.run(silent.bind(MessageId::generate().to_bytes()).bind(Vec::new())).await;

    assert_eq!(take_until(&mut world.subscribe().await, "silent").await, ["silent"]);
}

async fn a_relay_that_has_nothing_to_do_drains_at_once(mut world: World) {
    world.config.poll_ms = 3_600_000;
    let relay = world.relay();
    world.becomes(EPOCH, 1).await;

    relay.drain().await;
}

async fn a_relay_drains_though_the_bus_refuses(world: World) {
    world.append(&[Message { channel: "nowhere".to_owned(), ..message("order", "1") }]).await;
    let relay: Running = world.relay();
    world.bus_refuses_again().await;

    relay.drain().await;

    assert_eq!(world.unpublished().await, 1);
}
