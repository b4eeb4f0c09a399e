//! The log is published: everything, in order, whatever becomes of the slot, the line and the server.

use crate::world::{PATIENCE, Running, World, eventually, message, messages, next, numbers, take, take_until};
use messaging::{Message, MessageId, Subscription};
use outbox::{Metrics, Publisher, pause, resume, switch};
use servers::Postgres;
use std::collections::{BTreeMap, BTreeSet};
use store::{PostgresConfig, Statement};

const SLOTS: &str = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()";
const EPOCH: &str = "SELECT epoch FROM outbox_cursor";
/// Longer than any test.
const NEVER_MS: u64 = 3_600_000;

async fn tailing_world() -> Option<World> {
    World::on_postgres().await.map(tailing)
}

fn tailing(mut world: World) -> World {
    world.config.publisher = Publisher::Tailing;
    world
}

/// A relay that publishes from the log.
async fn tails(world: &World) -> Running {
    let relay = world.relay();
    becomes_tailing(&world.metrics).await;
    relay
}

async fn becomes_tailing(metrics: &Metrics) {
    eventually(PATIENCE, async || if metrics.is_tailing() { Ok(()) } else { Err("does not tail".to_owned()) }).await;
}

async fn becomes_polling(metrics: &Metrics) {
    eventually(PATIENCE, async || if metrics.is_tailing() { Err("still tails".to_owned()) } else { Ok(()) }).await;
}

async fn falls_back(world: &World, reason: &'static str) {
    eventually(PATIENCE, async || match world.metrics.fallbacks(reason) {
        0 => Err(format!("did not fall back as {reason}")),
        _ => Ok(()),
    })
    .await;
}

fn database(world: &World) -> &str {
    world.url.rsplit('/').next().unwrap()
}

/// Inserts a message as another process does.
fn insert(effect: &str) -> String {
    format!(
        "INSERT INTO outbox (slot, message_id, effect_id, channel, key, kind, created_us, payload)
         VALUES ((SELECT current FROM outbox_rotation), uuid_send(gen_random_uuid()), '{effect}', 'commands', 'k', 'T', 0, '');"
    )
}

/// Drops the slot under the relay's hands.
async fn drop_slot(server: &Postgres, world: &World) {
    eventually(PATIENCE, async || {
        let free = "SELECT pg_terminate_backend(active_pid, 1000) FROM pg_replication_slots WHERE active_pid IS NOT NULL AND database = current_database()";
        server.psql(database(world), free).await?;
        let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()";
        server.psql(database(world), drop).await.map(|_| ())
    })
    .await;
}

/// Takes messages until each key has this many, and looks that the first time of each is in order.
async fn take_keys(subscription: &mut Subscription, keys: usize, count: usize) {
    let mut seen: BTreeSet<MessageId> = BTreeSet::new();
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    while by_key.len() < keys || by_key.values().any(|numbers| numbers.len() < count) {
        let delivery = next(subscription).await;
        let message: &Message = delivery.message();
        if seen.insert(message.id) {
            by_key.entry(message.key.clone()).or_default().push(message.effect_id.parse().unwrap());
        }
        delivery.acknowledge();
    }
    for (key, numbers) in by_key {
        assert!(numbers.iter().copied().eq(0..count), "{key}: {numbers:?}");
    }
}

#[tokio::test]
async fn what_is_committed_is_published_in_order() {
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;

    for batch in messages(1_000).chunks(30) {
        world.append(batch).await;
    }

    assert_eq!(take_until(&mut world.subscribe().await, "999").await, numbers(0..1_000));
    world.all_is_published().await;
    assert!(world.metrics.is_tailing());
    relay.drain().await;
}

#[tokio::test]
async fn a_published_message_is_the_one_that_was_appended() {
    let Some(world) = tailing_world().await else { return };
    let mut full = message("naïve key", "effect");
    (full.causation_id, full.traceparent) = (Some(MessageId::generate()), Some("00-trace".to_owned()));
    full.payload = (0..=255).collect();
    let _relay = tails(&world).await;

    world.append(&[full.clone()]).await;

    assert_eq!(take(&mut world.subscribe().await, 1).await, [full]);
}

#[tokio::test]
async fn a_transaction_may_be_larger_than_a_page() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;

    world.append(&messages(5_000)).await;

    assert_eq!(take_until(&mut world.subscribe().await, "4999").await, numbers(0..5_000));
    world.all_is_published().await;
}

#[tokio::test]
async fn what_was_committed_before_the_relay_ran_is_published_once() {
    let Some(world) = tailing_world().await else { return };
    world.append(&messages(300)).await;

    let _relay = tails(&world).await;
    world.append(&[message("order", "300")]).await;

    let taken = take(&mut world.subscribe().await, 301).await;
    assert_eq!(taken.into_iter().map(|message| message.effect_id).collect::<Vec<_>>(), numbers(0..301));
}

#[tokio::test]
async fn what_another_process_wrote_is_published_without_a_poll() {
    let Some(mut world) = tailing_world().await else { return };
    world.config.poll_ms = NEVER_MS;
    let server = Postgres::shared().await;
    let _relay = tails(&world).await;

    server.psql(database(&world), &insert("silent")).await.unwrap();

    assert_eq!(take_until(&mut world.subscribe().await, "silent").await, ["silent"]);
}

#[tokio::test]
async fn what_a_slow_transaction_wrote_early_is_not_skipped() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    let world = tailing(World::on(&server).await);
    let _relay = tails(&world).await;
    let mut subscription = world.subscribe().await;
    let mut slow = server.session(&world.url);
    slow.say(&format!("BEGIN; {} SELECT pg_advisory_lock(1);", insert("slow"))).await;
    world.becomes("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 1).await;

    world.append(&messages(100)).await;
    assert_eq!(take_until(&mut subscription, "99").await, numbers(0..100));
    // The cursor moves though the transaction is open, and stands before it.
    world.all_is_published().await;
    slow.say("COMMIT;").await;

    assert_eq!(take_until(&mut subscription, "slow").await, ["slow"]);
    world.all_is_published().await;
}

#[tokio::test]
async fn the_log_is_entered_when_what_was_running_has_ended() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    let world = tailing(World::on(&server).await);
    let mut subscription = world.subscribe().await;
    let mut slow = server.session(&world.url);
    slow.say(&format!("BEGIN; {} SELECT pg_advisory_lock(1);", insert("slow"))).await;
    world.becomes("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 1).await;

    let _relay = world.relay();
    world.append(&messages(10)).await;
    assert_eq!(take_until(&mut subscription, "9").await, numbers(0..10));
    assert!(!world.metrics.is_tailing());
    slow.say("COMMIT;").await;

    assert_eq!(take_until(&mut subscription, "slow").await, ["slow"]);
    becomes_tailing(&world.metrics).await;
}

#[tokio::test]
async fn switching_back_and_forth_under_load_loses_nothing_and_keeps_the_order_of_keys() {
    const KEYS: usize = 4;
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;
    let (store, count) = (world.store.clone(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let written = count.clone();
    let writing = Running::start(|drain| async move {
        while !drain.is_requested() {
            let number = written.load(std::sync::atomic::Ordering::SeqCst);
            let mut change = store::Change::new();
            for key in 0..KEYS {
                outbox::append(&mut change, &message(&format!("key-{key}"), &number.to_string()));
            }
            store.commit(change).await.unwrap();
            written.store(number + 1, std::sync::atomic::Ordering::SeqCst);
        }
    });

    for _ in 0..3 {
        switch(&world.store, Publisher::Polling).await.unwrap();
        becomes_polling(&world.metrics).await;
        world.becomes(SLOTS, 0).await;
        switch(&world.store, Publisher::Tailing).await.unwrap();
        becomes_tailing(&world.metrics).await;
    }
    writing.drain().await;

    take_keys(&mut world.subscribe().await, KEYS, count.load(std::sync::atomic::Ordering::SeqCst)).await;
    world.all_is_published().await;
    relay.drain().await;
}

#[tokio::test]
async fn an_outbox_is_switched_whatever_the_configuration_says_and_back_to_that() {
    let Some(world) = World::on_postgres().await else { return };
    let relay = world.relay();
    world.becomes(EPOCH, 1).await;

    switch(&world.store, Publisher::Tailing).await.unwrap();
    becomes_tailing(&world.metrics).await;
    let status = outbox::status(&world.store).await.unwrap();
    assert_eq!((status.switched_to, status.is_tailed), (Some(Publisher::Tailing), true));

    switch(&world.store, Publisher::None).await.unwrap();
    becomes_polling(&world.metrics).await;
    world.becomes(SLOTS, 0).await;
    let status = outbox::status(&world.store).await.unwrap();
    assert_eq!((status.switched_to, status.is_tailed), (None, false));
    relay.drain().await;
}

#[tokio::test]
async fn a_paused_relay_leaves_the_log_and_comes_back() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;

    pause(&world.store).await.unwrap();
    becomes_polling(&world.metrics).await;
    world.becomes(SLOTS, 0).await;
    world.append(&messages(10)).await;
    assert_eq!(world.unpublished().await, 10);
    resume(&world.store).await.unwrap();

    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
    becomes_tailing(&world.metrics).await;
}

#[tokio::test]
async fn a_drained_relay_has_published_everything_and_leaves_no_slot_behind() {
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;
    world.append(&messages(600)).await;

    relay.drain().await;

    assert_eq!((world.unpublished().await, world.number(SLOTS).await), (0, 0));
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
    let cut = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL AND database = current_database()";

    for round in 0..3 {
        let first = messages(1_000).split_off(round * 100);
        world.append(&first[..100]).await;
        server.psql(database(&world), cut).await.unwrap();
        becomes_polling(&world.metrics).await;
        becomes_tailing(&world.metrics).await;
    }

    assert_eq!(take_until(&mut world.subscribe().await, "299").await, numbers(0..300));
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
async fn an_idle_database_does_not_keep_the_log_of_a_busy_one() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    let world = tailing(World::on(&server).await);
    let _relay = tails(&world).await;

    let filler = "CREATE TABLE busy AS SELECT repeat('x', 100) FROM generate_series(1, 20000)";
    server.psql("postgres", filler).await.unwrap();
    let end = server.psql("postgres", "SELECT pg_current_wal_lsn()").await.unwrap();

    let is_past = format!("SELECT restart_lsn >= '{end}' AND confirmed_flush_lsn >= '{end}' FROM pg_replication_slots");
    eventually(PATIENCE, async || {
        // The server looks for what it still needs with each checkpoint.
        match server.psql("postgres", &format!("CHECKPOINT; {is_past}")).await?.as_str() {
            "t" => Ok(()),
            found => Err(format!("{is_past}: {found}")),
        }
    })
    .await;
    assert!(world.metrics.is_tailing());
}

#[tokio::test]
async fn a_relay_that_died_is_replaced_and_its_slot_taken_over() {
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
async fn what_is_replayed_comes_again() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;
    let mut subscription = world.subscribe().await;
    world.append(&messages(50)).await;
    let first = take(&mut subscription, 50).await;
    world.all_is_published().await;

    outbox::replay(&world.store, 0).await.unwrap();

    world.all_is_published().await;
    world.append(&[message("order", "end")]).await;
    // The bus knows the ids and stores none of them twice.
    assert_eq!(take_until(&mut subscription, "end").await.last().map(String::as_str), Some("end"));
    assert_eq!(first.len(), 50);
    becomes_tailing(&world.metrics).await;
}

#[tokio::test]
async fn tables_rotate_while_the_log_is_tailed() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;
    let rotate = Statement::new("SELECT outbox_rotate(0, epoch, 1, 0) FROM outbox_cursor");

    for (round, table) in ["outbox_0", "outbox_1", "outbox_2", "outbox_0"].into_iter().enumerate() {
        let all = messages(200);
        world.append(&all[round * 50..(round + 1) * 50]).await;
        world.all_is_published().await;
        world.run(rotate.clone()).await;
        world.run(rotate.clone()).await;
        let rows = match table {
            "outbox_0" => "SELECT count(*) FROM outbox_0",
            "outbox_1" => "SELECT count(*) FROM outbox_1",
            _ => "SELECT count(*) FROM outbox_2",
        };
        world.becomes(rows, 0).await;
    }

    assert_eq!(take_until(&mut world.subscribe().await, "199").await, numbers(0..200));
    assert!(world.metrics.is_tailing());
}

#[tokio::test]
async fn everything_is_published_in_order_after_the_bus_was_full_for_a_while() {
    if !Postgres::require() {
        return;
    }
    let url = Postgres::shared().await.database().await;
    let config = PostgresConfig { url, ..PostgresConfig::default() };
    let world = tailing(World::at(&config, &store::Config { pages_max: Some(80) }).await);
    let relay = tails(&world).await;
    let fillers = world.fill_bus().await;
    for batch in messages(100).chunks(10) {
        world.append(batch).await;
    }
    world.bus_refuses_again().await;

    world.empty_bus(fillers).await;

    assert_eq!(take_until(&mut world.subscribe().await, "99").await, numbers(0..100));
    world.all_is_published().await;
    relay.drain().await;
}

#[tokio::test]
async fn a_relay_drains_though_the_bus_refuses() {
    let Some(world) = tailing_world().await else { return };
    let relay = tails(&world).await;
    world.append(&[Message { channel: "nowhere".to_owned(), ..message("order", "1") }]).await;
    world.bus_refuses_again().await;

    relay.drain().await;

    assert_eq!((world.unpublished().await, world.number(SLOTS).await), (1, 0));
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

#[tokio::test]
async fn a_service_that_may_read_the_log_does_so_with_its_password() {
    if !Postgres::require() {
        return;
    }
    let mut server = Postgres::start().await;
    let rules = "host all service 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    let file = server.socket_dir().join("rules.conf");
    std::fs::write(&file, rules).unwrap();
    server.psql("postgres", "CREATE ROLE service LOGIN REPLICATION PASSWORD 'hunter2'").await.unwrap();
    server.psql("postgres", "CREATE DATABASE theirs OWNER service").await.unwrap();
    server.psql("postgres", &format!("ALTER SYSTEM SET hba_file = '{}'", file.display())).await.unwrap();
    server.restart().await;
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    let url = format!("postgres://service@127.0.0.1:{}/theirs", server.port());
    let config = PostgresConfig { url, password_file: Some(password), ..PostgresConfig::default() };
    let world = tailing(World::at(&config, &store::Config::default()).await);

    let _relay = tails(&world).await;
    world.append(&messages(10)).await;

    assert_eq!(take_until(&mut world.subscribe().await, "9").await, numbers(0..10));
}

#[tokio::test]
async fn sqlite_cannot_be_switched_to_a_log_that_it_does_not_have() {
    let world = World::new().await;

    let refused = switch(&world.store, Publisher::Tailing).await.unwrap_err();

    assert!(refused.to_string().contains("SQLite has no log"), "{refused}");
    switch(&world.store, Publisher::Polling).await.unwrap();
}
