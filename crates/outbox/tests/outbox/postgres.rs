//! What only PostgreSQL can get wrong: ids that come again after a crash, places that were never taken.

use crate::world::{World, message, take_until};
use store::{Change, Statement};

const EPOCH: &str = "SELECT epoch FROM outbox_cursor";
const IS_CURSOR_WRITTEN: &str = "SELECT CAST(floor_xid <> '0' AS INT) FROM outbox_cursor";

#[tokio::test]
async fn the_first_message_of_a_new_database_is_published_though_the_relay_was_idle_before() {
    let Some(world) = World::on_postgres().await else { return };
    let _relay = world.relay();
    world.becomes(IS_CURSOR_WRITTEN, 1).await;

    world.append(&[message("order", "first")]).await;

    assert_eq!(take_until(&mut world.subscribe().await, "first").await, ["first"]);
}

#[tokio::test]
async fn a_relay_that_the_database_forgot_in_a_crash_writes_no_cursor() {
    let Some(mut world) = World::on_postgres().await else { return };
    world.config.poll_ms = 3_600_000;
    let relay = world.relay();
    world.becomes(IS_CURSOR_WRITTEN, 1).await;

    // As after a crash of the server, with a place that shows whether it is written over.
    let mut crash = Change::new();
    crash.push(Statement::new("UPDATE outbox_cursor SET position = -7"));
    crash.push(Statement::new("DELETE FROM outbox_session"));
    world.store.commit(crash).await.unwrap();

    world.becomes(EPOCH, 2).await;
    assert_eq!(world.number("SELECT position FROM outbox_cursor").await, -7);
    relay.drain().await;
}
