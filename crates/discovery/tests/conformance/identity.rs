//! Deltas keep identity: what did not change is not touched, and an address that returns is the same endpoint again.

use crate::fake::Fake;
use crate::support::{Here, until, until_fresh};
use discovery::{Change, Standing, deltas};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn ten_updates_that_change_nothing_wake_nobody() {
    let fake = Fake::start(1, &[1, 2, 3]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    let before = until_fresh(&mut endpoints, &[1, 2, 3]).await;
    // Until here there may be something to hear of.
    drop(timeout(Duration::ZERO, endpoints.changed()).await);

    for index in 2..=11 {
        let asked = fake.asked().len();
        fake.say(index, &[1, 2, 3]);
        fake.until_asked(asked, |it| it.parameter("index") == Some(&index.to_string())).await;
    }

    assert!(timeout(Duration::ZERO, endpoints.changed()).await.is_err());
    assert_eq!(endpoints.stats().wakes, 11);
    assert!(std::ptr::eq(&*before.endpoints, &*endpoints.now().endpoints), "it is the very same list");
}

#[tokio::test]
async fn an_endpoint_that_vanishes_and_returns_is_updated_and_not_replaced() {
    let fake = Fake::start(1, &[1, 2]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    let up = until_fresh(&mut endpoints, &[1, 2]).await;

    fake.say(2, &[]);
    let is_held = |now: &discovery::Snapshot| now.endpoints.iter().all(|it| it.standing == Standing::Unknown);
    let held = until(&mut endpoints, "they are held back", is_held).await;
    fake.say(3, &[1, 2]);
    let back = until(&mut endpoints, "they are back", |now| !is_held(now)).await;

    let is_update = |change: &Change| matches!(change, Change::Update(_));
    let (gone, returned) = (deltas(&up.endpoints, &held.endpoints), deltas(&held.endpoints, &back.endpoints));
    assert!(gone.len() == 2 && gone.iter().all(is_update), "{gone:?}");
    assert!(returned.len() == 2 && returned.iter().all(is_update), "{returned:?}");
    assert_eq!(deltas(&up.endpoints, &back.endpoints), []);
}

#[tokio::test]
async fn deltas_name_only_what_came_changed_or_went() {
    let fake = Fake::start(1, &[1, 2, 3]).await;
    let mut here = Here::at(fake.url());
    let mut endpoints = here.watch("orders");
    let before = until_fresh(&mut endpoints, &[1, 2, 3]).await;

    fake.say(2, &[2, 3, 4]);

    let after = until_fresh(&mut endpoints, &[2, 3, 4]).await;
    let changes = deltas(&before.endpoints, &after.endpoints);
    assert_eq!(changes, [Change::Remove(before.endpoints[0].clone()), Change::Insert(after.endpoints[2].clone())]);
}
