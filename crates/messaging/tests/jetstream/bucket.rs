//! A bucket that several processes share.

use super::support::{broker, settings};
use messaging::jetstream::{Bucket, BucketConfig};
use servers::Nats;
use std::time::Duration;

fn config(name: &str) -> BucketConfig {
    BucketConfig { name: name.to_owned(), kept: Duration::from_secs(60), bytes_max: 1 << 20 }
}

#[tokio::test]
async fn one_of_two_writes_and_the_other_hears_of_it() {
    if !Nats::require() {
        return;
    }
    let line = settings(Nats::shared().await.urls());
    let (one, two) =
        (Bucket::open(&line, config("shared")).await.unwrap(), Bucket::open(&line, config("shared")).await.unwrap());

    let first = one.create("key", "a".into()).await.unwrap().unwrap();
    assert_eq!(two.create("key", "b".into()).await.unwrap(), None);
    assert_eq!(two.get("key").await.unwrap(), Some(("a".into(), first)));

    let second = two.update("key", "c".into(), first).await.unwrap().unwrap();
    assert_eq!(one.update("key", "d".into(), first).await.unwrap(), None);
    one.delete("key", first).await.unwrap();
    assert_eq!(one.get("key").await.unwrap(), Some(("c".into(), second)));

    two.delete("key", second).await.unwrap();
    assert_eq!(one.get("key").await.unwrap(), None);
    assert!(one.create("key", "e".into()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_bucket_that_is_lost_is_made_again() {
    if !Nats::require() {
        return;
    }
    let nats = Nats::shared().await;
    let bucket = Bucket::open(&settings(nats.urls()), config("lost")).await.unwrap();
    bucket.create("key", "a".into()).await.unwrap();

    broker(&nats.url()).await.delete_key_value("lost").await.unwrap();
    // The first use finds out.
    drop(bucket.create("key", "b".into()).await);

    assert!(bucket.create("other", "c".into()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_broker_that_is_away_is_told_at_once() {
    let line = settings(vec!["nats://127.0.0.1:1".to_owned()]);
    let bucket = Bucket::open(&line, config("away")).await.unwrap();

    assert!(bucket.get("key").await.is_err());
}
