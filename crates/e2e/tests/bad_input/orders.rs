//! Orders whose JSON can be read, and that cannot be taken.

use crate::table::Table;
use e2e::{Shop, consumer, restaurant, with};
use serde_json::{Value as Json, json};

/// `order` without a field.
fn without(order: &Json, field: &str) -> Json {
    let mut order = order.clone();
    order.as_object_mut().expect("an order is an object").remove(field);
    order
}

#[tokio::test]
async fn ids_are_required_and_uuids() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let mut rows = Vec::new();
    for field in ["consumerId", "restaurantId"] {
        rows.push((field, without(&order, field)));
        for bad in [json!(""), json!(null), json!("me"), json!(5), json!([]), json!({}), json!(true), json!(" ")] {
            rows.push((field, with(&order, &format!("/{field}"), bad)));
        }
    }

    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn lines_are_one_to_five_hundred_objects() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let line = order["lines"][0].clone();
    let mut rows = vec![("lines", without(&order, "lines"))];
    for bad in [json!([]), json!({}), json!("curry"), json!(null), json!(7)] {
        rows.push(("lines", with(&order, "/lines", bad)));
    }
    for count in [501, 10_000] {
        rows.push(("lines", with(&order, "/lines", json!(vec![line.clone(); count]))));
    }
    for bad in [json!(null), json!(5), json!("curry"), json!([])] {
        rows.push(("lines[0]", with(&order, "/lines", json!([bad]))));
    }

    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn a_quantity_is_a_whole_number_from_1_to_999() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let bad = [
        json!(0),
        json!(-1),
        json!(1000),
        json!(1_000_000_000),
        json!(1.5),
        json!("abc"),
        json!(""),
        json!(null),
        json!(true),
        json!({}),
        json!([1]),
        json!(2_147_483_648_u64),
        json!(-2_147_483_649_i64),
        json!(u64::MAX),
        json!(1e30),
        json!("0x1"),
        json!(" 1"),
        json!("-0"),
    ];

    let rows = bad.map(|quantity| ("lines[1].quantity", with(&order, "/lines/1/quantity", quantity)));
    table.all_refused("/v1/orders", &rows).await;
    table
        .all_refused("/v1/orders", &[("lines[0].quantity", with(&order, "/lines", json!([{"menuItemId": "naan"}])))])
        .await;
    let odd_and_good = with(
        &order,
        "/lines",
        json!([{"menuItemId": "naan", "quantity": "1"}, {"menuItemId": "naan", "quantity": 2.0}]),
    );
    let call = table.http.post("/v1/orders", &odd_and_good);
    table.taken("a quantity as text, and with a point", call, 201).await;
    table.finish().await;
}

#[tokio::test]
async fn an_item_is_on_the_menu() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let bad =
        [json!("pizza"), json!(""), json!(null), json!(5), json!("x".repeat(101)), json!("Curry"), json!("curry ")];

    let rows = bad.map(|item| ("lines[0].menuItemId", with(&order, "/lines/0/menuItemId", item)));
    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn an_address_is_complete_and_bounded() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let rows = [
        ("deliveryAddress", "/deliveryAddress", json!(null)),
        ("deliveryAddress", "/deliveryAddress", json!("1 Brick Lane")),
        ("deliveryAddress", "/deliveryAddress", json!([])),
        ("deliveryAddress.lines", "/deliveryAddress", json!({})),
        ("deliveryAddress.lines", "/deliveryAddress/lines", json!([])),
        ("deliveryAddress.lines", "/deliveryAddress/lines", json!("1 Brick Lane")),
        ("deliveryAddress.lines", "/deliveryAddress/lines", json!(["1", "2", "3", "4", "5", "6"])),
        ("deliveryAddress.lines[0]", "/deliveryAddress/lines", json!([5])),
        ("deliveryAddress.lines[0]", "/deliveryAddress/lines", json!([" "])),
        ("deliveryAddress.lines[1]", "/deliveryAddress/lines", json!(["a", "x".repeat(201)])),
        ("deliveryAddress.city", "/deliveryAddress/city", json!("")),
        ("deliveryAddress.city", "/deliveryAddress/city", json!("x".repeat(101))),
        ("deliveryAddress.city", "/deliveryAddress/city", json!({"name": "London"})),
        ("deliveryAddress.postalCode", "/deliveryAddress/postalCode", json!("x".repeat(21))),
        ("deliveryAddress.postalCode", "/deliveryAddress/postalCode", json!(16)),
        ("deliveryAddress.countryCode", "/deliveryAddress/countryCode", json!("")),
        ("deliveryAddress.countryCode", "/deliveryAddress/countryCode", json!("gb")),
        ("deliveryAddress.countryCode", "/deliveryAddress/countryCode", json!("GBR")),
        ("deliveryAddress.countryCode", "/deliveryAddress/countryCode", json!("É")),
    ];

    let rows = rows.map(|(field, path, bad)| (field, with(&order, path, bad)));
    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn a_time_limit_lies_ahead_and_is_a_time() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let bad = [
        json!("2001-01-01T00:00:00Z"),
        json!("10000-01-01T00:00:00Z"),
        json!("0000-01-01T00:00:00Z"),
        json!("9999-13-01T00:00:00Z"),
        json!("9999-02-30T00:00:00Z"),
        json!("9999-01-01"),
        json!("9999-01-01 00:00"),
        json!("tomorrow"),
        json!(""),
        json!(5),
        json!({"seconds": 253_000_000_000_i64}),
        json!([]),
        json!(true),
    ];

    let rows = bad.map(|time| ("validateBy", with(&order, "/validateBy", time)));
    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn a_request_id_is_printable_and_bounded() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let bad = [json!("a".repeat(256)), json!("ä"), json!("a\nb"), json!("a\u{0}"), json!(5), json!({})];

    let rows = bad.map(|key| ("requestId", with(&order, "/requestId", key)));
    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn fields_that_do_not_exist_are_named() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    let rows = [
        ("note", with(&order, "/note", json!("no onions"))),
        ("orderId", with(&order, "/orderId", json!("0199d2a4-6c00-7000-8000-000000000001"))),
        ("state", with(&order, "/state", json!("APPROVED"))),
        ("lines[0].price", with(&order, "/lines/0/price", json!(1))),
        ("lines[1].unitPrice", with(&order, "/lines/1/unitPrice", json!({}))),
        ("deliveryAddress.street", with(&order, "/deliveryAddress/street", json!("Brick Lane"))),
        ("ConsumerId", with(&order, "/ConsumerId", json!("x"))),
        ("", with(&order, "/", json!(1))),
        ("consumer_id", with(&order, "/consumer_id", order["consumerId"].clone())),
    ];

    table.all_refused("/v1/orders", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn a_total_that_no_number_holds_is_refused() {
    let mut table = Table::open().await;
    let dear = json!({"currencyCode": "GBP", "units": (i64::MAX / 100).to_string()});
    let dear = with(&restaurant(), "/menu/items/0/price", dear);
    let shop = Shop::open_with(&table.http, &dear, &consumer()).await;
    let lines = |lines: Json| with(&shop.order(), "/lines", lines);
    let one = json!({"menuItemId": "curry", "quantity": 1});

    let too_many = lines(json!([{"menuItemId": "curry", "quantity": 2}]));
    let too_much = lines(json!([one, one]));
    table.all_refused("/v1/orders", &[("lines[0].quantity", too_many), ("lines[1].quantity", too_much)]).await;
    let call = table.http.post("/v1/orders", &lines(json!([one])));
    table.taken("the largest total that there is", call, 201).await;
    table.finish().await;
}

#[tokio::test]
async fn a_restaurant_that_is_not_known_is_not_found_with_a_reason() {
    let mut table = Table::open().await;
    let nowhere = with(&table.shop.order(), "/restaurantId", json!("0199d2a4-6c00-7000-8000-000000000001"));

    let call = table.http.post("/v1/orders", &nowhere);
    let answer = table.refused("an unknown restaurant", call, 404, "").await.expect("an answer");

    assert_eq!(answer.reason(), "RESTAURANT_UNKNOWN");
    assert!(!answer.detail("ErrorInfo")["metadata"]["replica_age_ms"].is_null(), "{}", answer.text());
    let hurried = table.http.post("/v1/orders", &nowhere).header("request-timeout", "0.5");
    table.refused("an unknown restaurant, for somebody in a hurry", hurried, 404, "").await;
    table.finish().await;
}
