//! Orders that are called off: by their client, or by the time.

use e2e::{Shop, decided, in_state, journey, order, place, place_and_wait, reasons, text, with};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value as Json, json};
use testkit::{Answer, Comanda, Http};

async fn cancel(http: &Http, order_id: &str) -> Answer {
    http.post(format!("/v1/orders/{order_id}:cancel"), &json!({})).send().await
}

#[tokio::test]
async fn an_order_that_waits_can_be_cancelled_and_stays_so() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;
    let order_id = place(&http, &shop.order()).await;
    in_state(&http, &order_id, "ORDER_DETAILS_VALIDATED").await;

    let cancelled = cancel(&http, &order_id).await.expect(200);
    let again = cancel(&http, &order_id).await.expect(200);
    comanda.roles_start("consumer").await;
    // Messages of the first order are before those of the second.
    assert_eq!(decided(&http, &place(&http, &shop.order()).await).await["state"], "APPROVED");

    assert_eq!((cancelled["state"].as_str(), cancelled["version"].as_str()), (Some("CANCELLED"), Some("3")));
    assert_eq!(again, cancelled);
    assert_eq!(order(&http, &order_id).await, cancelled);
    assert_eq!(journey(&http, &order_id).await["waitingFor"], json!([]));
    e2e::verified(&comanda).await;
}

#[tokio::test]
async fn an_order_that_waits_for_its_ticket_can_be_cancelled() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("restaurant").await;
    let order_id = place(&http, &shop.order()).await;
    in_state(&http, &order_id, "CONSUMER_VALIDATED").await;

    let cancelled = cancel(&http, &order_id).await.expect(200);
    comanda.roles_start("restaurant").await;
    assert_eq!(decided(&http, &place(&http, &shop.order()).await).await["state"], "APPROVED");

    assert_eq!(order(&http, &order_id).await, cancelled);
    e2e::verified(&comanda).await;
}

#[tokio::test]
async fn an_approved_order_cannot_be_cancelled() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let approved = place_and_wait(&http, &Shop::open(&comanda).await.order()).await;

    let answer = cancel(&http, &text(&approved["orderId"])).await;

    assert_eq!(answer.expect(400)["code"], 9);
    assert_eq!(answer.detail("ErrorInfo")["metadata"]["state"], "APPROVED");
    assert!(!answer.detail("PreconditionFailure")["violations"].as_array().is_none_or(Vec::is_empty));
    assert_eq!(order(&http, &text(&approved["orderId"])).await, approved);
}

#[tokio::test]
async fn an_order_that_does_not_exist_cannot_be_cancelled() {
    let comanda = Comanda::empty().await;

    let answer = cancel(&comanda.http(), "0199d2a4-6c00-7000-8000-000000000001").await;

    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (404, "ORDER_UNKNOWN"));
}

/// An order that must be decided within one second.
fn urgent(shop: &Shop) -> Json {
    let soon = Timestamp::now() + 1.second();
    with(&shop.order(), "/validateBy", json!(soon.to_string()))
}

#[tokio::test]
async fn an_order_that_is_not_decided_in_time_is_rejected() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    comanda.roles_stop("consumer").await;

    let order_id = place(&http, &urgent(&shop)).await;
    let rejected = decided(&http, &order_id).await;
    comanda.roles_start("consumer").await;
    assert_eq!(decided(&http, &place(&http, &shop.order()).await).await["state"], "APPROVED");

    assert_eq!(
        (rejected["state"].as_str(), reasons(&rejected)),
        (Some("REJECTED"), vec!["VALIDATION_TIMED_OUT".into()])
    );
    let sentence = text(&rejected["rejection"]["reasons"][0]["message"]);
    assert!(sentence.contains("ConsumerValidated") && !sentence.contains("OrderDetailsValidated"), "{sentence}");
    assert_eq!(order(&http, &order_id).await, rejected);
    e2e::verified(&comanda).await;
}

#[tokio::test]
async fn an_order_that_is_decided_in_time_is_not_rejected_later() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    let in_time = place_and_wait(&http, &with(&shop.order(), "/validateBy", json!("9999-12-31T23:59:59Z"))).await;

    assert_eq!(
        (in_time["state"].as_str(), in_time["validateBy"].as_str()),
        (Some("APPROVED"), Some("9999-12-31T23:59:59Z"))
    );
}
