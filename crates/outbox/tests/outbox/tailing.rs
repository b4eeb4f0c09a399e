//! The log is published: everything, in order, whatever becomes of the slot, the line and the server.

mod control;
mod trouble;

use crate::world::{PATIENCE, Running, World, eventually, message, messages, numbers, take, take_until};
use messaging::MessageId;
use outbox::{Metrics, Publisher};
use servers::{Postgres, Session};
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

/// Everything came from the log, and never anything else.
fn has_tailed_all_the_time(world: &World) {
    assert!(world.metrics.is_tailing());
    assert_eq!(world.metrics.log_cuts(), 0);
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

/// A session with a transaction that has written a message, `slow`, and is open.
async fn begin_slow(server: &Postgres, world: &World) -> Session {
    let mut slow = server.session(&world.url);
    slow.say(&format!("BEGIN; {} SELECT pg_advisory_lock(1);", insert("slow"))).await;
    world.becomes("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 1).await;
    slow
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
    has_tailed_all_the_time(&world);
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
    has_tailed_all_the_time(&world);
}

#[tokio::test]
async fn a_transaction_may_be_larger_than_a_page() {
    let Some(world) = tailing_world().await else { return };
    let _relay = tails(&world).await;

    world.append(&messages(5_000)).await;

    assert_eq!(take_until(&mut world.subscribe().await, "4999").await, numbers(0..5_000));
    world.all_is_published().await;
    has_tailed_all_the_time(&world);
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
    has_tailed_all_the_time(&world);
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
    let mut slow = begin_slow(&server, &world).await;

    world.append(&messages(100)).await;
    assert_eq!(take_until(&mut subscription, "99").await, numbers(0..100));
    // The cursor moves though the transaction is open, and stands before it.
    world.all_is_published().await;
    slow.say("COMMIT;").await;

    assert_eq!(take_until(&mut subscription, "slow").await, ["slow"]);
    world.all_is_published().await;
    has_tailed_all_the_time(&world);
}

#[tokio::test]
async fn the_log_is_entered_when_what_was_running_has_ended() {
    if !Postgres::require() {
        return;
    }
    let server = Postgres::start().await;
    let world = tailing(World::on(&server).await);
    let mut subscription = world.subscribe().await;
    let mut slow = begin_slow(&server, &world).await;

    let _relay = world.relay();
    world.append(&messages(10)).await;
    assert_eq!(take_until(&mut subscription, "9").await, numbers(0..10));
    assert!(!world.metrics.is_tailing());
    slow.say("COMMIT;").await;

    assert_eq!(take_until(&mut subscription, "slow").await, ["slow"]);
    becomes_tailing(&world.metrics).await;
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
    has_tailed_all_the_time(&world);
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
    has_tailed_all_the_time(&world);
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
    has_tailed_all_the_time(&world);
    relay.drain().await;
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
    has_tailed_all_the_time(&world);
}
