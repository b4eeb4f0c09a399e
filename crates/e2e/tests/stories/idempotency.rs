//! A call that is repeated has one effect.

use e2e::{PREFER_WAIT, Shop, all, decided, text, with};
use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::time::Duration;
use testkit::{Answer, Comanda, Http, eventually};

async fn place(http: &Http, order: &Json, key: &str) -> Answer {
    http.post("/v1/orders", order).header("idempotency-key", key).send().await
}

#[tokio::test]
async fn the_same_key_and_request_give_the_same_order_as_it_is_now() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let first = place(&http, &shop.order(), "k").await.expect(201);
    let approved = decided(&http, &text(&first["orderId"])).await;

    let again = place(&http, &shop.order(), "k").await;
    let in_the_body = http.post("/v1/orders", &with(&shop.order(), "/requestId", json!("k"))).send().await;
    let in_both = place(&http, &with(&shop.order(), "/requestId", json!("k")), "k").await;

    assert_eq!(again.expect(201), approved);
    assert_eq!((in_the_body.expect(201), in_both.expect(201)), (approved.clone(), approved));
    assert_eq!(all(&http, "/v1/orders", "orders").await.len(), 1);
}

#[tokio::test]
async fn a_call_that_would_be_refused_by_now_is_still_answered_with_its_order() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let order = place(&http, &shop.order(), "k").await.expect(201);
    let menu = format!("/v1/restaurants/{}/menu", shop.restaurant_id);
    http.call(http::Method::PUT, &menu).json(&json!({"items": []})).send().await.expect(200);
    eventually(Duration::from_secs(10), async || {
        let fresh = http.post("/v1/orders", &shop.order()).send().await;
        if fresh.status == 400 { Ok(()) } else { Err(format!("the replica has the old menu: {}", fresh.status)) }
    })
    .await;

    let again = place(&http, &shop.order(), "k").await.expect(201);

    assert_eq!(again["orderId"], order["orderId"]);
}

#[tokio::test]
async fn fifty_calls_at_once_with_one_key_make_one_order() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);

    let answers = join_all((0..50).map(|_| async { place(&http, &shop.order(), "k").await.expect(201) })).await;

    let ids: HashSet<String> = answers.iter().map(|order| text(&order["orderId"])).collect();
    assert_eq!((ids.len(), all(&http, "/v1/orders", "orders").await.len()), (1, 1));
    decided(&http, &text(&answers[0]["orderId"])).await;
    e2e::verified(&comanda).await;
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    place(&http, &shop.order(), "k").await;

    let other = place(&http, &with(&shop.order(), "/lines/0/quantity", json!(3)), "k").await;

    assert_eq!((other.status.as_u16(), other.reason().as_str()), (409, "IDEMPOTENCY_KEY_REUSED"));
    assert_eq!(other.json()["code"], 6);
    assert_eq!(all(&http, "/v1/orders", "orders").await.len(), 1);
}

#[tokio::test]
async fn a_key_in_the_header_that_differs_from_the_body_is_refused() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);

    let answer = place(&http, &with(&shop.order(), "/requestId", json!("a")), "b").await;

    assert_eq!((answer.status.as_u16(), answer.fields()), (400, vec!["requestId".to_owned()]));
    assert!(all(&http, "/v1/orders", "orders").await.is_empty());
}

#[tokio::test]
async fn different_keys_and_no_key_make_different_orders() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);

    for key in ["a", "A", "a "] {
        let placed = http.post("/v1/orders", &with(&shop.order(), "/requestId", json!(key))).send().await;
        assert_eq!(placed.status, 201, "{}", placed.text());
    }
    for _ in 0..2 {
        e2e::place(&http, &shop.order()).await;
    }

    assert_eq!(all(&http, "/v1/orders", "orders").await.len(), 5);
}

#[tokio::test]
async fn a_key_is_remembered_over_a_restart() {
    let mut comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let first = place(&comanda.http(), &shop.order(), "k").await.expect(201);
    comanda.restart().await;

    let again = place(&comanda.http(), &shop.order(), "k").await.expect(201);
    let other = place(&comanda.http(), &with(&shop.order(), "/lines/0/quantity", json!(3)), "k").await;

    assert_eq!((&again["orderId"], other.status.as_u16()), (&first["orderId"], 409));
}

#[tokio::test]
async fn a_replay_over_grpc_gives_the_order_of_the_call_over_rest() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let first = place(&http, &shop.order(), "k").await.expect(201);

    let mut call = tonic::Request::new(shop.order_message());
    call.metadata_mut().insert("idempotency-key", "k".parse().expect("a value"));
    let again = comanda.rpc().orders.create_order(call).await.expect("the order").into_inner();

    assert_eq!(again.order_id, text(&first["orderId"]));
}

#[tokio::test]
async fn a_refused_order_is_replayed_too() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let nobody = Shop { consumer_id: shop.restaurant_id.clone(), ..shop }.order();
    let call = || http.post("/v1/orders", &nobody).header("idempotency-key", "k").header("prefer", PREFER_WAIT).send();

    let (first, again) = (call().await.expect(201), call().await.expect(201));

    assert_eq!((first["state"].as_str(), &first), (Some("REJECTED"), &again));
}

#[tokio::test]
async fn a_key_of_a_request_that_was_refused_at_once_is_free() {
    let comanda = Comanda::empty().await;
    let (http, shop) = (comanda.http(), Shop::open(&comanda).await);
    let wrong = with(&shop.order(), "/lines/0/menuItemId", json!("pizza"));
    assert_eq!(place(&http, &wrong, "k").await.status, 400);

    let right = place(&http, &shop.order(), "k").await;

    assert_eq!(right.status, 201, "{}", right.text());
}
