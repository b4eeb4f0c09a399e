//! What an operator sees, also when nothing moves.

use crate::world::{PATIENCE, Running, World, eventually, message, on_every_store};
use messaging::Message;
use outbox::Metrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use store::Change;

async fn shows(registry: &Registry, lines: &[&str]) {
    eventually(PATIENCE, async || {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        match lines.iter().find(|line| !text.lines().any(|shown| shown == **line)) {
            None => Ok(()),
            Some(missing) => Err(format!("{missing} is not in\n{text}")),
        }
    })
    .await;
}

fn observe(world: &World, registry: &mut Registry) -> (Metrics, Running) {
    let metrics = Metrics::register(registry);
    let (store, of_task) = (world.store.clone(), metrics.clone());
    (metrics, Running::start(|drain| outbox::observe(store, of_task, drain)))
}

on_every_store! {
    depth_and_age_show_though_no_relay_runs,
    what_is_published_is_counted,
}

async fn depth_and_age_show_though_no_relay_runs(world: World) {
    let aged = |effect: &str, seconds: i64| {
        let young = message("order", effect);
        Message { created_us: young.created_us - seconds * 1_000_000, ..young }
    };
    world.append(&[aged("1", 3_600), aged("2", 0)]).await;
    world.append(&[Message { channel: "others".to_owned(), ..aged("3", 0) }]).await;
    let mut change = Change::new();
    outbox::oblige(&mut change, &aged("4", 0), &world.config);
    world.store.commit(change).await.unwrap();

    let mut registry = Registry::default();
    let (_metrics, observing) = observe(&world, &mut registry);

    shows(
        &registry,
        &[
            "outbox_depth{channel=\"commands\"} 3",
            "outbox_depth{channel=\"others\"} 1",
            "outbox_oldest_unpublished_seconds{channel=\"commands\"} 3600",
            "outbox_obligations 1",
        ],
    )
    .await;
    observing.drain().await;
}

async fn what_is_published_is_counted(mut world: World) {
    let mut registry = Registry::default();
    world.metrics = Metrics::register(&mut registry);

    world.append(&[message("order", "1"), message("order", "2")]).await;
    let _relay = world.relay();

    shows(&registry, &["outbox_published_total 2"]).await;
}
