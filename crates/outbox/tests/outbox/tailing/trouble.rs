//! Whatever becomes of the slot, the line, the server and the relay, nothing is lost.

use super::{EPOCH, NEVER_MS, SLOTS, becomes_tailing, begin_slow, database, tailing, tailing_world, tails};
use crate::world::{PATIENCE, World, eventually, message, messages, numbers, take, take_until};
use outbox::Metrics;
use servers::Postgres;
use store::{PostgresConfig, Statement};

/// Ends the line of whoever reads the slot, and waits until it is gone.
const CUT: &str = "SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots
    WHERE active_pid IS NOT NULL AND database = current_database()";

async fn falls_back(world: &World, reason: &'static str) {
    eventually(PATIENCE, async || match world.metrics.fallbacks(reason) {
        0 => Err(format!("did not fall back as {reason}")),
        _ => Ok(()),
    })
    .await;
}

/// Cuts the line of the relay, and waits until it has noticed.
async fn cut(server: &Postgres, world: &World) {
    let cuts = world.metrics.log_cuts();
    server.psql(database(world), CUT).await.unwrap();
    eventually(PATIENCE, async || match world.metrics.log_cuts() {
        now if now > cuts => Ok(()),
        _ => Err("did not notice the cut".to_owned()),
    })
    .await;
}

/// Drops the slot under the relay's hands, faster than it opens its line again. To wait for the end of its line took the server 100 ms, in
/// which the relay could open another, again and again.
async fn drop_slot(server: &Postgres, world: &World) {
    let sql = "DO $$ BEGIN
        LOOP
            PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots
                WHERE active_pid IS NOT NULL AND database = current_database();
            BEGIN
                PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database();
                RETURN;
            EXCEPTION WHEN object_in_use THEN NULL;
            END;
        END LOOP;
    END $$";
    server.psql(database(world), sql).await.unwrap();
}

#[tokio::test]
async fn a_slot_that_is_dropped_makes_the_relay_poll_for_a_while() {
    let Some(mut world) = tailing_world().await else { return };
    world.config.tail_again_ms = 1;
    let server = Postgres::shared().await;
    let _relay = tails(&world).await;
    let mut subscription = world.subscribe().await;
    world.append(&messages(100)).await;

    drop_slot(server, &world).await;
    falls_back(&world, "gone").await;
    world.append(&[message("order", "100")]).await;

    assert_eq!(take_until(&mut subscription, "100").await, numbers(0..101));
    becomes_tailing(&world.metrics).await;
    world.append(&[message("order", "101")]).await;
    assert_eq!(take_until(&mut subscription, "101").await, ["101"]);
}

#[tokio::test]
async fn a_line_that_is_cut_is_opened_again() {
    let Some(world) = tailing_world().await else { return };
    let server = Postgres::shared().await;
    let _relay = tails(&world).await;

    for round in 0..3 {
        let first = messages(1_000).split_off(round * 100);
        world.append(&first[..100]).await;
        cut(server, &world).await;
        becomes_tailing(&world.metrics).await;
    }

    assert_eq!(take_until(&mut world.subscribe().await, "299").await, numbers(0..300));
    world.all_is_published().await;
}

#[tokio::test]
async fn a_line_that_is_cut_is_opened_again_though_a_transaction_is_open() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    let world = tailing(World::on(&server).await);
    let _relay = tails(&world).await;
    let mut subscription = world.subscribe().await;
    let mut slow = begin_slow(&server, &world).await;
    world.append(&messages(10)).await;
    world.all_is_published().await;

    cut(&server, &world).await;
    becomes_tailing(&world.metrics).await;
    slow.say("COMMIT;").await;

    assert_eq!(take_until(&mut subscription, "slow").await.last().map(String::as_str), Some("slow"));
    world.all_is_published().await;
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_is_killed() {
    if !Postgres::require() {
        return;
    }
    let mut server = Postgres::start().await;
    let world = tailing(World::on(&server).await);
    let _relay = tails(&world).await;
    let mut subscription = world.subscribe().await;
    let mut last = 0;
    for round in 1..=3 {
        for batch in messages(3_000)[last..round * 1_000].chunks(50) {
            world.append(batch).await;
        }
        last = round * 1_000;
        let middle = take_until(&mut subscription, &(last - 500).to_string()).await;
        assert!(!middle.is_empty());

        server.kill9();
        server.restart().await;
        becomes_tailing(&world.metrics).await;
    }
    drop(subscription);

    let mut seen: Vec<usize> = Vec::new();
    let mut all = world.subscribe().await;
    while seen.last() != Some(&2_999) {
        seen.push(take(&mut all, 1).await[0].effect_id.parse().unwrap());
    }
    let top = seen.iter().scan(0, |top, number| {
        let is_next = *number <= *top + 1 || *top == 0;
        *top = (*top).max(*number);
        Some(is_next)
    });
    assert!(top.into_iter().all(|is_next| is_next), "{seen:?}");
    world.all_is_published().await;
}

#[tokio::test]
async fn a_log_that_the_server_keeps_too_much_of_is_given_up() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    let mut world = tailing(World::on(&server).await);
    (world.config.log_retained_bytes_max, world.config.tail_again_ms) = (1 << 20, NEVER_MS);
    let _relay = tails(&world).await;

    let filler =
        "SELECT count(pg_logical_emit_message(false, 'filler', repeat('x', 1000000))) FROM generate_series(1, 5)";
    server.psql(database(&world), filler).await.unwrap();

    falls_back(&world, "retained").await;
    world.becomes(SLOTS, 0).await;
    world.append(&messages(10)).await;
    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
}

#[tokio::test]
async fn a_relay_that_died_is_replaced_and_its_slot_made_anew() {
    let Some(mut world) = tailing_world().await else { return };
    let first = tails(&world).await;
    let mut subscription = world.subscribe().await;
    world.append(&messages(100)).await;
    assert_eq!(take_until(&mut subscription, "99").await, numbers(0..100));

    drop(first);
    world.append(&[message("order", "100")]).await;
    world.metrics = Metrics::default();
    let _second = world.relay();

    let rest = take_until(&mut subscription, "100").await;
    assert_eq!(rest.last().map(String::as_str), Some("100"));
    becomes_tailing(&world.metrics).await;
    world.append(&[message("order", "101")]).await;
    assert_eq!(take_until(&mut subscription, "101").await, ["101"]);
    assert_eq!(world.number(EPOCH).await, 2);
}

#[tokio::test]
async fn a_relay_that_was_replaced_writes_nothing_and_starts_over() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;

    // Somebody else takes the lane.
    world.run(Statement::new("UPDATE outbox_cursor SET epoch = 100, position = -7")).await;

    world.becomes(EPOCH, 101).await;
    assert_eq!(world.number("SELECT position FROM outbox_cursor").await, -7);
    becomes_tailing(&world.metrics).await;
    world.append(&messages(10)).await;
    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
}

#[tokio::test]
async fn without_a_logical_log_the_relay_polls() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start_with(&["wal_level=replica"]).await;
    let world = tailing(World::on(&server).await);
    let _relay = world.relay();

    falls_back(&world, "no_log").await;
    world.append(&messages(10)).await;

    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
}

#[tokio::test]
async fn a_user_who_may_not_read_the_log_polls() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    server.psql("postgres", "CREATE ROLE service LOGIN").await.unwrap();
    server.psql("postgres", "CREATE DATABASE theirs OWNER service").await.unwrap();
    let url = format!("postgres://service@127.0.0.1:{}/theirs", server.port());
    let config = PostgresConfig { url, ..PostgresConfig::default() };
    let world = tailing(World::at(&config, &store::Config::default()).await);
    let _relay = world.relay();

    falls_back(&world, "refused").await;
    world.append(&messages(10)).await;

    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
}
