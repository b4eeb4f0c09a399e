//! Orders that a service refuses, with all its reasons.

use e2e::{Shop, consumer, place_and_wait, pounds, reasons, restaurant, text, with};
use serde_json::{Value as Json, json};
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::Comanda;

const DAYS: [&str; 7] = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

/// One hour in UTC, three days from now: never now, also around midnight.
fn other_hours() -> Json {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    // 1970-01-01 was a Thursday.
    let day = usize::try_from(since.as_secs() / 86_400 + 4 + 3).expect("days are few") % DAYS.len();
    json!([{"day": DAYS[day], "opens": {"hours": 10}, "closes": {"hours": 11}}])
}

/// Places the usual order in this shop, and expects these reasons, in alphabetical order.
async fn check(restaurant: &Json, consumer: &Json, codes: &[&str]) {
    let comanda = Comanda::empty().await;
    let shop = Shop::open_with(&comanda.http(), restaurant, consumer).await;

    let order = place_and_wait(&comanda.http(), &shop.order()).await;

    assert_eq!(order["state"], "REJECTED", "{order}");
    assert_eq!(reasons(&order), codes, "{order}");
    e2e::verified(&comanda).await;
}

fn limited(limit: Json) -> Json {
    with(&consumer(), "/orderLimit", limit)
}

#[tokio::test]
async fn a_suspended_consumer_is_refused() {
    check(&restaurant(), &with(&consumer(), "/state", json!("SUSPENDED")), &["CONSUMER_SUSPENDED"]).await;
}

#[tokio::test]
async fn an_order_above_the_limit_is_refused() {
    check(&restaurant(), &limited(pounds(2084)), &["ORDER_LIMIT_EXCEEDED"]).await;
}

#[tokio::test]
async fn a_consumer_is_refused_for_all_reasons_at_once() {
    let both = with(&limited(pounds(0)), "/state", json!("SUSPENDED"));
    check(&restaurant(), &both, &["CONSUMER_SUSPENDED", "ORDER_LIMIT_EXCEEDED"]).await;
}

#[tokio::test]
async fn a_limit_in_another_currency_allows_nothing() {
    let limit = json!({"currencyCode": "EUR", "units": "1000"});
    check(&restaurant(), &limited(limit), &["ORDER_LIMIT_CURRENCY_MISMATCH"]).await;
}

#[tokio::test]
async fn an_order_outside_the_delivery_area_is_refused() {
    let area = json!({"postalCodePrefixes": ["N1", "SW"]});
    check(&with(&restaurant(), "/deliveryArea", area), &consumer(), &["OUTSIDE_DELIVERY_AREA"]).await;
}

#[tokio::test]
async fn an_order_below_the_minimum_is_refused() {
    check(&with(&restaurant(), "/minimumOrder", pounds(2086)), &consumer(), &["MINIMUM_ORDER_NOT_MET"]).await;
}

#[tokio::test]
async fn an_order_outside_the_opening_hours_is_refused() {
    let hours = with(&with(&restaurant(), "/openingHours", other_hours()), "/timeZone", json!("UTC"));
    check(&hours, &consumer(), &["RESTAURANT_CLOSED"]).await;
}

#[tokio::test]
async fn an_item_that_cannot_be_had_is_refused() {
    let restaurant = with(&restaurant(), "/menu/items/1/available", json!(false));
    check(&restaurant, &consumer(), &["MENU_ITEM_UNAVAILABLE"]).await;
}

#[tokio::test]
async fn a_restaurant_refuses_for_all_reasons_at_once() {
    let mut busy = with(&restaurant(), "/acceptsOrders", json!(false));
    busy = with(&busy, "/openingHours", other_hours());
    busy = with(&busy, "/timeZone", json!(""));
    busy = with(&busy, "/minimumOrder", pounds(100_000));
    busy = with(&busy, "/deliveryArea", json!({"postalCodePrefixes": ["N1"]}));
    let codes =
        ["MINIMUM_ORDER_NOT_MET", "OUTSIDE_DELIVERY_AREA", "RESTAURANT_CLOSED", "RESTAURANT_NOT_ACCEPTING_ORDERS"];
    check(&busy, &consumer(), &codes).await;
}

#[tokio::test]
async fn an_unknown_consumer_is_refused_afterwards_and_not_at_once() {
    let comanda = Comanda::empty().await;
    let shop = Shop::open(&comanda).await;
    let nobody = Shop { consumer_id: shop.restaurant_id.clone(), ..shop };

    let order = place_and_wait(&comanda.http(), &nobody.order()).await;

    assert_eq!(reasons(&order), ["CONSUMER_UNKNOWN"], "{order}");
    assert_eq!(order["rejection"]["reasons"][0]["field"], "consumerId");
}

#[tokio::test]
async fn the_limit_and_the_minimum_themselves_are_good() {
    let comanda = Comanda::empty().await;
    let restaurant = with(&restaurant(), "/minimumOrder", pounds(2085));
    let shop = Shop::open_with(&comanda.http(), &restaurant, &limited(pounds(2085))).await;

    let order = place_and_wait(&comanda.http(), &shop.order()).await;

    assert_eq!(order["state"], "APPROVED", "{order}");
}

#[tokio::test]
async fn a_refused_order_has_no_ticket() {
    let comanda = Comanda::empty().await;
    let suspended = with(&consumer(), "/state", json!("SUSPENDED"));
    let shop = Shop::open_with(&comanda.http(), &restaurant(), &suspended).await;
    let order = place_and_wait(&comanda.http(), &shop.order()).await;

    let tickets =
        e2e::all(&comanda.http(), &format!("/v1/restaurants/{}/tickets", shop.restaurant_id), "tickets").await;

    assert_eq!((text(&order["state"]).as_str(), tickets.len()), ("REJECTED", 0));
}
