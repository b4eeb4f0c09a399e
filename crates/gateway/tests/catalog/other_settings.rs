//! Settings that change while a gateway runs.

use crate::describing::{SHOP, on_disk};
use crate::gate::{Gate, from_file, settings, with};
use crate::shop::{Shop, set};
use gateway::{Config, ServiceConfig};
use guard::Access;
use std::net::SocketAddr;
use tokio::join;

/// The shop, asked what it serves, and not strict about what it does not know.
fn lenient() -> Config {
    let from = "http://127.0.0.1:1".to_owned();
    with(ServiceConfig { from, descriptors: None, strict: false, strip_enum_prefix: false })
}

/// A gateway that serves a shop.
async fn open(config: Config) -> (Gate, Shop) {
    let (gate, shop) = (Gate::open_with(config, &["shop"]).await.unwrap(), Shop::open("one", SHOP).await);
    gate.list("shop", &[shop.address]);
    gate.until("/v1/wares/tea", 200).await;
    (gate, shop)
}

/// Calls a ware again and again while something is done, and fails if an answer does.
async fn without_a_gap(gate: &Gate, done: impl Future<Output = ()>) {
    let load = async {
        loop {
            let answer = gate.get("/v1/wares/tea").await;
            assert_eq!((answer.status, &answer.json["by"]), (200, &"one".into()), "{answer:?}");
        }
    };
    tokio::select! {
        () = done => {}
        never = load => never,
    }
}

#[tokio::test]
async fn a_service_is_served_by_other_settings_without_a_gap() {
    let (gate, _shop) = open(settings()).await;
    assert_eq!(gate.get("/v1/wares/tea?price=1").await.status, 400);

    without_a_gap(&gate, async {
        gate.change(&lenient(), &["shop"]).await.unwrap();
        gate.until("/v1/wares/tea?price=1", 200).await;
        gate.change(&settings(), &["shop"]).await.unwrap();
        gate.until("/v1/wares/tea?price=1", 400).await;
    })
    .await;
}

#[tokio::test]
async fn a_service_that_was_found_gets_settings_of_its_own_and_loses_them_without_a_gap() {
    let (gate, shop) = (Gate::open(&[]).await, Shop::open("one", SHOP).await);
    gate.finds("found", &[shop.address]);
    gate.tag(&["found"]);
    gate.until("/v1/wares/tea", 200).await;

    without_a_gap(&gate, async {
        gate.change(&lenient(), &["shop@found"]).await.unwrap();
        gate.until("/v1/wares/tea?price=1", 200).await;
        assert_eq!(gate.shown("shop")["source"], "configuration");
        assert!(gate.shown("found").is_null(), "it is served once");

        gate.change(&settings(), &[]).await.unwrap();
        gate.until("/v1/wares/tea?price=1", 400).await;
        assert_eq!(gate.shown("found")["source"], "consul");
        assert!(gate.shown("shop").is_null(), "it is served once");
    })
    .await;
}

#[tokio::test]
async fn services_are_added_and_removed_and_the_others_are_left_alone() {
    let (gate, one) = open(settings()).await;
    let two = Shop::open("two", &SHOP.replace("shop.v1", "inn.v1").replace("/v1/wares", "/v1/rooms")).await;
    gate.list("inn", &[two.address]);

    gate.change(&settings(), &["shop", "inn"]).await.unwrap();
    assert_eq!(gate.until("/v1/rooms/blue", 200).await.json["by"], "two");

    let remove = async {
        one.until_called(2).await;
        gate.change(&settings(), &["inn"]).await.unwrap();
        assert_eq!(gate.get("/v1/wares/tea").await.status, 404);
        one.behaviour.go_on.notify_one();
    };
    let (answer, ()) = join!(gate.get("/v1/wares/slow"), remove);
    assert_eq!(answer.status, 200, "what has begun is finished");
    assert!(gate.shown("shop").is_null());
    assert_eq!(gate.get("/v1/rooms/blue").await.status, 200);
}

#[tokio::test]
async fn a_service_that_is_nowhere_by_other_settings_stays_where_it_was_for_a_grace() {
    let (gate, _shop) = open(settings()).await;
    gate.list("nowhere", &[SocketAddr::from(([127, 0, 0, 1], 1))]);

    gate.change(&lenient(), &["shop@nowhere"]).await.unwrap();

    assert_eq!(gate.get("/v1/wares/tea").await.status, 200);
    gate.until("/v1/wares/tea", 404).await;
    assert_eq!(gate.shown("shop")["state"], "not described yet");
}

#[tokio::test]
async fn a_descriptor_file_is_read_again() {
    let (_folder, file, _set) = on_disk(SHOP);
    let config = with(from_file(file.clone()));
    let (gate, _shop) = open(config.clone()).await;

    std::fs::write(&file, set("shop.proto", &SHOP.replace("/v1/wares/{name}", "/v2/wares/{name}"))).unwrap();
    gate.change(&config, &["shop"]).await.unwrap();

    gate.until("/v2/wares/tea", 200).await;
    assert_eq!(gate.get("/v1/wares/tea").await.status, 404);
}

#[tokio::test]
async fn settings_that_cannot_be_used_change_nothing() {
    let (gate, _shop) = open(settings()).await;
    let mut closed = with(from_file("/nowhere/shop.binpb".into()));
    closed.guard.access = Some(Access::Rules);
    let mut senseless = settings();
    senseless.guard.refresh_ms = 0;

    for (config, words) in [(closed, "/nowhere/shop.binpb"), (senseless, "failed to set up the guard")] {
        let error = gate.change(&config, &["shop"]).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(gate.get("/v1/wares/tea").await.status, 200);
    }
}

#[tokio::test]
async fn other_rules_count_for_the_next_call_and_one_in_flight_ends_as_it_began() {
    let (gate, shop) = open(settings()).await;
    let mut closed = settings();
    closed.guard.access = Some(Access::Rules);

    let close = async {
        shop.until_called(2).await;
        gate.change(&closed, &["shop"]).await.unwrap();
        assert_eq!(gate.get("/v1/wares/tea").await.status, 401);
        shop.behaviour.go_on.notify_one();
    };
    let (answer, ()) = join!(gate.get("/v1/wares/slow"), close);

    assert_eq!(answer.status, 200);
    gate.change(&settings(), &["shop"]).await.unwrap();
    assert_eq!(gate.get("/v1/wares/tea").await.status, 200);
}
