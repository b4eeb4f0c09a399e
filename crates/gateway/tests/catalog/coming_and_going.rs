//! Services that come and go at run time.

use crate::describing::SHOP;
use crate::gate::{Gate, eventually};
use crate::shop::Shop;
use std::net::SocketAddr;
use tokio::join;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test]
async fn a_service_with_the_tag_is_served_as_soon_as_it_is_found() {
    let (gate, shop) = (Gate::open(&["except"]).await, Shop::open("one", SHOP).await);
    gate.finds("shop", &[shop.address]);
    gate.finds("except", &[shop.address]);

    gate.tag(&["shop", "except"]);

    assert_eq!(gate.until("/v1/wares/tea", 200).await.json["by"], "one");
    assert_eq!(gate.shown("shop")["source"], "consul");
    assert_eq!(gate.shown("except")["source"], "configuration", "which names it already");
}

#[tokio::test]
async fn routes_stay_for_a_grace_when_all_endpoints_have_gone_and_then_go() {
    let (gate, shop) = (Gate::open(&["shop"]).await, Shop::open("one", SHOP).await);
    gate.list("shop", &[shop.address]);
    gate.until("/v1/wares/tea", 200).await;

    gate.list("shop", &[]);

    let away = gate.until("/v1/wares/tea", 503).await;
    assert_eq!(away.json["code"], 14);
    assert_eq!(gate.shown("shop")["state"], "absent; its routes stay for a while");
    gate.until("/v1/wares/tea", 404).await;
    gate.list("shop", &[shop.address]);
    gate.until("/v1/wares/tea", 200).await;
}

#[tokio::test]
async fn a_service_that_lost_its_tag_goes_at_once_and_what_it_works_on_is_finished() {
    let (gate, shop) = (Gate::open(&[]).await, Shop::open("one", SHOP).await);
    gate.finds("shop", &[shop.address]);
    gate.tag(&["shop"]);
    gate.until("/v1/wares/tea", 200).await;

    let withdraw = async {
        shop.until_called(2).await;
        gate.finds_untagged("shop", &[shop.address]);
        gate.tag(&[]);
        gate.until("/v1/wares/tea", 404).await;
        assert!(gate.shown("shop").is_null());
        shop.behaviour.go_on.notify_one();
    };
    let (answer, ()) = join!(gate.get("/v1/wares/slow"), withdraw);

    assert_eq!((answer.status, &answer.json["by"]), (200, &"one".into()));
}

#[tokio::test]
async fn a_service_that_nobody_lists_any_more_goes_after_its_grace_and_may_come_again() {
    let (gate, shop) = (Gate::open(&[]).await, Shop::open("one", SHOP).await);
    gate.finds("shop", &[shop.address]);
    gate.tag(&["shop"]);
    gate.until("/v1/wares/tea", 200).await;

    gate.finds("shop", &[]);
    gate.tag(&[]);
    gate.until("/v1/wares/tea", 503).await;
    gate.until("/v1/wares/tea", 404).await;
    assert!(gate.shown("shop").is_null());

    gate.finds("shop", &[shop.address]);
    gate.tag(&["shop"]);
    gate.until("/v1/wares/tea", 200).await;
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_takes_nothing_from_the_others() {
    let (gate, shop) = (Gate::open(&["shop", "nowhere"]).await, Shop::open("one", SHOP).await);

    gate.list("nowhere", &[SocketAddr::from(([127, 0, 0, 1], 1))]);
    gate.list("shop", &[shop.address]);

    gate.until("/v1/wares/tea", 200).await;
    assert_eq!(gate.shown("nowhere")["state"], "not described yet");
}

#[tokio::test]
async fn health_follows_what_is_served() {
    let (gate, shop) = (Gate::open(&["shop"]).await, Shop::open("one", SHOP).await);
    let client = HealthClient::new(gate.channel().await);
    let status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        client.clone().check(request).await.map(|answer| answer.into_inner().status()).map_err(|it| it.code())
    };
    let until = async |expected: Result<ServingStatus, tonic::Code>| {
        eventually(async || match status("shop.v1.Shop").await {
            seen if seen == expected => Ok(()),
            seen => Err(format!("{seen:?}, not {expected:?}")),
        })
        .await;
    };

    until(Err(tonic::Code::NotFound)).await;
    gate.list("shop", &[shop.address]);
    until(Ok(ServingStatus::Serving)).await;
    gate.list("shop", &[]);
    until(Ok(ServingStatus::NotServing)).await;
    until(Err(tonic::Code::NotFound)).await;
}
