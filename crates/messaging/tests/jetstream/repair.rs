//! Streams and consumers that are gone or not as they must be.

use crate::support::{
    broker, chain, connect, eventually, numbered, order, publish_all, settings, stream_of, subscribe, take_until,
};
use async_nats::jetstream::stream::{self, StorageType};
use messaging::{JetStreamConfig, Message};
use servers::Nats;
use std::time::Duration;

async fn ours() -> JetStreamConfig {
    settings(vec![Nats::shared().await.url()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_deleted_is_made_again_and_its_subscription_goes_on() {
    if !Nats::require() {
        return;
    }
    let config = ours().await;
    let bus = connect(&config).await;
    bus.publish(&[order("before")]).await.unwrap();
    let mut subscription = subscribe(&bus, "kitchen").await;
    take_until(&mut subscription, "before").await;

    broker(&config.servers[0]).await.delete_stream(stream_of(&config, "orders")).await.unwrap();
    bus.publish(&[order("after")]).await.unwrap();

    assert_eq!(take_until(&mut subscription, "after").await, ["after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_was_deleted_is_made_again_and_gets_everything_that_is_kept() {
    if !Nats::require() {
        return;
    }
    let config = ours().await;
    let bus = connect(&config).await;
    bus.publish(&[order("before")]).await.unwrap();
    let mut subscription = subscribe(&bus, "kitchen").await;
    take_until(&mut subscription, "before").await;

    let broker = broker(&config.servers[0]).await;
    broker.delete_consumer_from_stream("kitchen", stream_of(&config, "orders")).await.unwrap();
    bus.publish(&[order("after")]).await.unwrap();

    assert_eq!(take_until(&mut subscription, "after").await, ["before", "after"]);
}

#[tokio::test]
async fn settings_that_somebody_changed_are_put_right_and_others_stay() {
    if !Nats::require() {
        return;
    }
    let config = ours().await;
    connect(&config).await.publish(&[order("1")]).await.unwrap();
    let broker = broker(&config.servers[0]).await;
    let name = stream_of(&config, "orders");
    let mut changed = broker.get_stream(&name).await.unwrap().cached_info().config.clone();
    (changed.max_age, changed.description) = (Duration::from_secs(600), Some("by an operator".to_owned()));
    broker.update_stream(changed).await.unwrap();

    connect(&config).await.publish(&[order("2")]).await.unwrap();

    let is = broker.get_stream(&name).await.unwrap().cached_info().config.clone();
    assert_eq!(is.max_age, Duration::from_secs(u64::from(config.kept_hours) * 3_600));
    assert_eq!(is.description.as_deref(), Some("by an operator"));
}

#[tokio::test]
async fn settings_that_cannot_be_put_right_are_an_error_that_names_them() {
    if !Nats::require() {
        return;
    }
    let config = ours().await;
    let subjects = vec![format!("{}.orders.*", config.prefix)];
    let in_memory = stream::Config {
        name: stream_of(&config, "orders"),
        subjects,
        storage: StorageType::Memory,
        ..Default::default()
    };
    broker(&config.servers[0]).await.create_stream(in_memory).await.unwrap();
    let bus = connect(&config).await;

    let unpublished = bus.publish(&[order("1")]).await.unwrap_err();
    let unsubscribed = bus.subscribe("orders", "kitchen").await.unwrap_err();

    for refused in [unpublished, unsubscribed] {
        assert!(!refused.is_transient());
        assert!(chain(&refused).contains("storage"), "{}", chain(&refused));
    }
}

#[tokio::test]
async fn a_foreign_stream_that_takes_our_subjects_is_an_error_that_says_so() {
    if !Nats::require() {
        return;
    }
    let config = ours().await;
    let subjects = vec![format!("{}.>", config.prefix)];
    let foreign = stream::Config { name: format!("{}-foreign", config.prefix), subjects, ..Default::default() };
    broker(&config.servers[0]).await.create_stream(foreign).await.unwrap();

    let refused = connect(&config).await.publish(&[order("1")]).await.unwrap_err();

    assert!(!refused.is_transient());
    assert!(chain(&refused).contains("subjects overlap"), "{}", chain(&refused));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lost_everything_shows_it_and_goes_on() {
    if !Nats::require() {
        return;
    }
    let mut nats = Nats::start().await;
    let bus = connect(&settings(vec![nats.url()])).await;
    let before: Vec<Message> = numbered(0, 50);
    bus.publish(&before).await.unwrap();
    let mut subscription = subscribe(&bus, "kitchen").await;
    take_until(&mut subscription, "49").await;
    let first_life = bus.incarnation("orders").await.unwrap().unwrap();

    nats.wipe_and_restart().await;

    eventually(async || match bus.incarnation("orders").await {
        Ok(None) => Ok(()),
        Ok(Some(life)) if life.created_us > first_life.created_us => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    publish_all(&bus, &[order("after")]).await;
    assert_eq!(take_until(&mut subscription, "after").await, ["after"]);
    let second_life = bus.incarnation("orders").await.unwrap().unwrap();
    assert!(second_life.created_us > first_life.created_us);
    assert_eq!(second_life.last_sequence, 1);
}
