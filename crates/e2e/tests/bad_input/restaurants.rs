//! Restaurants and menus that cannot be created or changed.

use crate::table::Table;
use e2e::{pounds, restaurant, with};
use http::Method;
use serde_json::{Value as Json, json};

fn spoilt<const N: usize>(rows: [(&'static str, &str, Json); N]) -> Vec<(&'static str, Json)> {
    rows.into_iter().map(|(field, path, bad)| (field, with(&restaurant(), path, bad))).collect()
}

#[tokio::test]
async fn a_restaurant_is_checked_field_by_field() {
    let mut table = Table::open().await;
    let rows = spoilt([
        ("name", "/name", json!("")),
        ("name", "/name", json!("x".repeat(201))),
        ("name", "/name", json!(["Taj"])),
        ("countryCode", "/countryCode", json!("gb")),
        ("countryCode", "/countryCode", json!("GBR")),
        ("currencyCode", "/currencyCode", json!("")),
        ("currencyCode", "/currencyCode", json!("gbp")),
        ("currencyCode", "/currencyCode", json!("£")),
        ("timeZone", "/timeZone", json!("Mars/Olympus")),
        ("timeZone", "/timeZone", json!("../../etc/passwd")),
        ("timeZone", "/timeZone", json!(1)),
        ("deliveryArea", "/deliveryArea", json!([])),
        ("deliveryArea.postalCodePrefixes[0]", "/deliveryArea", json!({"postalCodePrefixes": [""]})),
        ("deliveryArea.postalCodePrefixes[1]", "/deliveryArea", json!({"postalCodePrefixes": ["E1", "x".repeat(21)]})),
        ("deliveryArea.postalCodePrefixes", "/deliveryArea", json!({"postalCodePrefixes": vec!["E1"; 1001]})),
        ("minimumOrder.currencyCode", "/minimumOrder", json!({"currencyCode": "EUR", "units": "5"})),
        ("minimumOrder.nanos", "/minimumOrder", json!({"currencyCode": "GBP", "nanos": 5})),
        ("minimumOrder", "/minimumOrder", pounds(-500)),
        ("acceptsOrders", "/acceptsOrders", json!("yes")),
        ("acceptsOrders", "/acceptsOrders", json!(1)),
        ("stars", "/stars", json!(3)),
    ]);

    table.all_refused("/v1/restaurants", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn opening_hours_are_checked_span_by_span() {
    let mut table = Table::open().await;
    let span = |span: Json| json!([{"day": "MONDAY"}, span]);
    let rows = spoilt([
        ("openingHours", "/openingHours", json!("always")),
        ("openingHours", "/openingHours", json!(vec![json!({"day": "MONDAY"}); 101])),
        ("openingHours[1]", "/openingHours", span(json!("MONDAY"))),
        ("openingHours[1].day", "/openingHours", span(json!({}))),
        ("openingHours[1].day", "/openingHours", span(json!({"day": "FUNDAY"}))),
        ("openingHours[1].day", "/openingHours", span(json!({"day": 8}))),
        ("openingHours[1].opens", "/openingHours", span(json!({"day": "MONDAY", "opens": "09:00"}))),
        ("openingHours[1].opens", "/openingHours", span(json!({"day": "MONDAY", "opens": {"hours": 25}}))),
        ("openingHours[1].opens", "/openingHours", span(json!({"day": "MONDAY", "opens": {"hours": -1}}))),
        ("openingHours[1].opens", "/openingHours", span(json!({"day": "MONDAY", "opens": {"minutes": 60}}))),
        ("openingHours[1].opens", "/openingHours", span(json!({"day": "MONDAY", "opens": {"seconds": 1}}))),
        ("openingHours[1].opens", "/openingHours", span(json!({"day": "MONDAY", "opens": {"hours": 24}}))),
        ("openingHours[1].opens.hours", "/openingHours", span(json!({"day": "MONDAY", "opens": {"hours": "nine"}}))),
        (
            "openingHours[1].closes",
            "/openingHours",
            span(json!({"day": "MONDAY", "closes": {"hours": 24, "minutes": 1}})),
        ),
        ("openingHours[1].closes", "/openingHours", span(json!({"day": "MONDAY", "closes": {"hours": i32::MAX}}))),
        ("openingHours[1].till", "/openingHours", span(json!({"day": "MONDAY", "till": 5}))),
    ]);

    table.all_refused("/v1/restaurants", &rows).await;
    table.finish().await;
}

/// Each of these menus has something wrong with its second item, or with the whole.
fn menus() -> Vec<(&'static str, Json)> {
    let good = restaurant()["menu"]["items"].clone();
    let item = |path: &str, bad: Json| with(&good, &format!("/1{path}"), bad);
    vec![
        ("items", json!({})),
        ("items", json!(vec![good[0].clone(); 10_001])),
        ("items[1]", json!([good[0], "naan"])),
        ("items[1].menuItemId", item("/menuItemId", json!("curry"))),
        ("items[1].menuItemId", item("/menuItemId", json!(""))),
        ("items[1].menuItemId", item("/menuItemId", json!("x".repeat(101)))),
        ("items[1].menuItemId", item("/menuItemId", json!(7))),
        ("items[1].name", item("/name", json!(""))),
        ("items[1].name", item("/name", json!("x".repeat(201)))),
        ("items[1].description", item("/description", json!("x".repeat(2001)))),
        ("items[1].category", item("/category", json!("x".repeat(201)))),
        ("items[1].price", item("/price", json!(null))),
        ("items[1].price", item("/price", json!(2.95))),
        ("items[1].price", item("/price", pounds(-295))),
        ("items[1].price", item("/price", json!({"currencyCode": "GBP", "units": "1", "nanos": -10_000_000}))),
        ("items[1].price.nanos", item("/price", json!({"currencyCode": "GBP", "nanos": 5_000_000}))),
        ("items[1].price.currencyCode", item("/price", json!({"currencyCode": "EUR", "units": "3"}))),
        ("items[1].price.currencyCode", item("/price", json!({"units": "3"}))),
        ("items[1].price.units", item("/price", json!({"currencyCode": "GBP", "units": "three"}))),
        ("items[1].price.units", item("/price", json!({"currencyCode": "GBP", "units": i64::MAX}))),
        ("items[1].available", item("/available", json!("often"))),
        ("items[1].calories", item("/calories", json!(300))),
    ]
}

#[tokio::test]
async fn a_menu_is_checked_item_by_item_on_creation_and_on_revision() {
    let mut table = Table::open().await;
    let path = format!("/v1/restaurants/{}/menu", table.shop.restaurant_id);

    for (field, items) in menus() {
        let shown: String = items.to_string().chars().take(300).collect();
        let revision = table.http.call(Method::PUT, &path).json(&json!({"items": items}));
        table.refused(&format!("PUT menu ({field}) {shown}"), revision, 400, field).await;
        let creation = table.http.post("/v1/restaurants", &with(&restaurant(), "/menu/items", items));
        table.refused(&format!("POST menu ({field}) {shown}"), creation, 400, &format!("menu.{field}")).await;
    }
    let nowhere = "/v1/restaurants/0199d2a4-6c00-7000-8000-000000000001/menu";
    let call = table.http.call(Method::PUT, nowhere).json(&json!({"items": []}));
    table.refused("the menu of no restaurant", call, 404, "").await;
    table.finish().await;
}

#[tokio::test]
async fn a_change_of_a_restaurant_is_checked_and_its_mask_too() {
    let mut table = Table::open().await;
    let path = format!("/v1/restaurants/{}", table.shop.restaurant_id);
    let rows: [(&str, &str, Json); 11] = [
        ("?updateMask=stars", "updateMask", json!({})),
        ("?updateMask=menu", "updateMask", json!({"menu": {"items": []}})),
        ("?updateMask=createTime", "updateMask", json!({})),
        ("?updateMask=currencyCode", "updateMask", json!({"currencyCode": "EUR"})),
        ("?updateMask=name", "name", json!({})),
        ("?updateMask=acceptsOrders", "acceptsOrders", json!({})),
        ("", "timeZone", json!({"timeZone": "Mars/Olympus"})),
        ("", "minimumOrder.currencyCode", json!({"minimumOrder": {"currencyCode": "EUR", "units": "1"}})),
        ("", "openingHours[0].day", json!({"openingHours": [{}]})),
        ("", "stars", json!({"stars": 3})),
        ("", "name", json!({"name": ""})),
    ];

    for (query, field, body) in rows {
        let call = table.http.call(Method::PATCH, format!("{path}{query}")).json(&body);
        table.refused(&format!("PATCH {query} {body}"), call, 400, field).await;
    }
    for body in [json!({"currencyCode": "EUR"}), json!({"menu": {"items": [{"menuItemId": "x"}]}})] {
        let call = table.http.call(Method::PATCH, &path).json(&body);
        table.refused(&format!("PATCH {body}"), call, 400, "").await;
    }
    table.finish().await;
}
