//! Changing consumers and restaurants, with and without an update mask.

use e2e::{Shop, pounds, text};
use http::Method;
use proto::comanda::consumer::v1::{Consumer, UpdateConsumerRequest};
use serde_json::{Value as Json, json};
use testkit::{Answer, Comanda, Http};

async fn patch(http: &Http, path: &str, body: Json) -> Answer {
    http.call(Method::PATCH, path).json(&body).send().await
}

/// A platform with a consumer, and the consumer's path.
async fn with_consumer() -> (Comanda, String) {
    let comanda = Comanda::empty().await;
    let ada = json!({"name": "Ada", "orderLimit": pounds(5000)});
    let ada = comanda.http().post("/v1/consumers", &ada).send().await.expect(201);
    (comanda, format!("/v1/consumers/{}", text(&ada["consumerId"])))
}

#[tokio::test]
async fn without_a_mask_what_is_given_is_changed() {
    let (comanda, path) = with_consumer().await;

    let changed = patch(&comanda.http(), &path, json!({"state": "SUSPENDED"})).await.expect(200);

    assert_eq!((changed["name"].as_str(), changed["state"].as_str()), (Some("Ada"), Some("SUSPENDED")));
    assert_eq!(changed["orderLimit"], pounds(5000));
    assert_eq!(comanda.http().get(path).send().await.expect(200), changed);
}

#[tokio::test]
async fn with_a_mask_what_it_names_is_changed_and_nothing_else() {
    let (comanda, path) = with_consumer().await;
    let body = json!({"name": "Grace", "state": "SUSPENDED"});

    let renamed = patch(&comanda.http(), &format!("{path}?updateMask=name"), body.clone()).await.expect(200);
    let unlimited = patch(&comanda.http(), &format!("{path}?updateMask=orderLimit"), body.clone()).await.expect(200);
    let both = patch(&comanda.http(), &format!("{path}?update_mask=state,name"), body).await.expect(200);

    assert_eq!((renamed["name"].as_str(), renamed["state"].as_str()), (Some("Grace"), Some("ACTIVE")));
    assert_eq!((&renamed["orderLimit"], &unlimited["orderLimit"]), (&pounds(5000), &json!(null)));
    assert_eq!(both["state"], "SUSPENDED");
}

#[tokio::test]
async fn a_null_takes_a_limit_away() {
    let (comanda, path) = with_consumer().await;

    let unlimited = patch(&comanda.http(), &path, json!({"orderLimit": null})).await.expect(200);

    assert_eq!(unlimited["orderLimit"], json!(null));
}

#[tokio::test]
async fn a_change_that_is_repeated_changes_nothing_more() {
    let (comanda, path) = with_consumer().await;

    let once = patch(&comanda.http(), &path, json!({"name": "Grace"})).await.expect(200);
    let twice = patch(&comanda.http(), &path, json!({"name": "Grace"})).await.expect(200);

    assert_eq!(once, twice);
}

#[tokio::test]
async fn a_change_over_grpc_without_a_mask_changes_what_is_given() {
    let (comanda, path) = with_consumer().await;
    let consumer_id = path.rsplit('/').next().unwrap_or_default().to_owned();

    let consumer = Some(Consumer { consumer_id, name: "Grace".to_owned(), ..Consumer::default() });
    let request = UpdateConsumerRequest { consumer, update_mask: None };
    let changed = comanda.rpc().consumers.update_consumer(request).await.expect("the consumer").into_inner();

    assert_eq!((changed.name.as_str(), changed.order_limit.map(|limit| limit.units)), ("Grace", Some(50)));
}

#[tokio::test]
async fn a_restaurant_is_changed_and_keeps_its_menu() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    let path = format!("/v1/restaurants/{}", shop.restaurant_id);
    let before = http.get(&path).send().await.expect(200);

    let closed = patch(&http, &path, json!({"acceptsOrders": false})).await.expect(200);
    let body = json!({"acceptsOrders": true, "name": "Raj", "minimumOrder": pounds(100)});
    let masked = patch(&http, &format!("{path}?updateMask=acceptsOrders,minimumOrder"), body).await.expect(200);

    assert_eq!((&closed["acceptsOrders"], &closed["menu"]), (&json!(false), &before["menu"]));
    assert_eq!((&masked["acceptsOrders"], &masked["name"]), (&json!(true), &before["name"]));
    assert_eq!((&masked["minimumOrder"], &masked["menu"]), (&pounds(100), &before["menu"]));
    assert!(text(&masked["updateTime"]) > text(&before["updateTime"]), "{masked}");
}

#[tokio::test]
async fn a_restaurant_that_stops_taking_orders_refuses_later_ones() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    let path = format!("/v1/restaurants/{}", shop.restaurant_id);
    let in_time = e2e::place_and_wait(&http, &shop.order()).await;

    patch(&http, &path, json!({"acceptsOrders": false})).await.expect(200);
    let too_late = e2e::place_and_wait(&http, &shop.order()).await;

    assert_eq!(in_time["state"], "APPROVED");
    assert_eq!(e2e::reasons(&too_late), ["RESTAURANT_NOT_ACCEPTING_ORDERS"], "{too_late}");
}

#[tokio::test]
async fn a_menu_that_is_revised_keeps_the_ids_of_its_items_and_raises_its_version() {
    let comanda = Comanda::empty().await;
    let http = comanda.http();
    let shop = Shop::open(&comanda).await;
    let path = format!("/v1/restaurants/{}/menu", shop.restaurant_id);
    let items = json!({"items": [{"menuItemId": "curry", "name": "Curry", "price": pounds(900)}]});

    let revised = http.call(Method::PUT, &path).json(&items).send().await.expect(200);
    let empty = http.call(Method::PUT, &path).json(&json!({"items": []})).send().await.expect(200);

    assert_eq!((&revised["menu"]["version"], &empty["menu"]["version"]), (&json!("2"), &json!("3")));
    assert_eq!(revised["menu"]["items"][0]["price"], pounds(900));
    assert_eq!(empty["menu"]["items"], json!([]));
}
