//! Consumers that cannot be created or changed.

use crate::table::Table;
use e2e::{consumer, pounds, with};
use http::Method;
use serde_json::{Value as Json, json};

#[tokio::test]
async fn a_consumer_is_checked_field_by_field() {
    let mut table = Table::open().await;
    let limited = with(&consumer(), "/orderLimit", pounds(100));
    let rows = [
        ("name", with(&consumer(), "/name", json!(""))),
        ("name", with(&consumer(), "/name", json!("  "))),
        ("name", with(&consumer(), "/name", json!("x".repeat(201)))),
        ("name", with(&consumer(), "/name", json!(5))),
        ("state", with(&consumer(), "/state", json!("SLEEPING"))),
        ("state", with(&consumer(), "/state", json!(7))),
        ("state", with(&consumer(), "/state", json!({}))),
        ("orderLimit", with(&consumer(), "/orderLimit", json!(5))),
        ("orderLimit", with(&consumer(), "/orderLimit", json!("5 GBP"))),
        ("orderLimit", with(&limited, "/orderLimit/units", json!("-1"))),
        ("orderLimit", with(&limited, "/orderLimit/nanos", json!(-10_000_000))),
        ("orderLimit.currencyCode", with(&consumer(), "/orderLimit", json!({}))),
        ("orderLimit.currencyCode", with(&limited, "/orderLimit/currencyCode", json!("gbp"))),
        ("orderLimit.currencyCode", with(&limited, "/orderLimit/currencyCode", json!("XQX"))),
        ("orderLimit.currencyCode", with(&limited, "/orderLimit/currencyCode", json!(826))),
        ("orderLimit.nanos", with(&limited, "/orderLimit/nanos", json!(1))),
        ("orderLimit.nanos", with(&limited, "/orderLimit/nanos", json!(1_000_000_000))),
        ("orderLimit.nanos", with(&limited, "/orderLimit/nanos", json!(0.5))),
        ("orderLimit.units", with(&limited, "/orderLimit/units", json!("many"))),
        ("orderLimit.units", with(&limited, "/orderLimit/units", json!(1e30))),
        ("orderLimit.units", with(&limited, "/orderLimit/units", json!(i64::MAX.to_string()))),
        ("orderLimit.pence", with(&limited, "/orderLimit/pence", json!(5))),
        ("nickname", with(&consumer(), "/nickname", json!("A"))),
    ];

    table.all_refused("/v1/consumers", &rows).await;
    table.finish().await;
}

#[tokio::test]
async fn a_change_is_checked_and_its_mask_too() {
    let mut table = Table::open().await;
    let path = format!("/v1/consumers/{}", table.shop.consumer_id);
    let rows: [(&str, &str, Json); 14] = [
        ("?updateMask=nickname", "updateMask", json!({})),
        ("?updateMask=createTime", "updateMask", json!({})),
        ("?updateMask=consumerId", "updateMask", json!({})),
        ("?updateMask=name,*", "updateMask", json!({"name": "Ada"})),
        ("?updateMask=name", "name", json!({})),
        ("?updateMask=name", "name", json!({"name": ""})),
        ("?updateMask=state", "state", json!({})),
        ("?updateMask=orderLimit.units", "updateMask", json!({"orderLimit": pounds(1)})),
        ("?mask=name", "mask", json!({"name": "Ada"})),
        ("", "createTime", json!({"createTime": "soon"})),
        ("", "nickname", json!({"nickname": "A"})),
        ("", "name", json!({"name": ""})),
        ("", "state", json!({"state": "STATE_UNSPECIFIED"})),
        ("", "orderLimit", json!({"orderLimit": pounds(-100)})),
    ];

    for (query, field, body) in rows {
        let call = table.http.call(Method::PATCH, format!("{path}{query}")).json(&body);
        table.refused(&format!("PATCH {query} {body}"), call, 400, field).await;
    }
    let nobody = table.http.call(Method::PATCH, "/v1/consumers/0199d2a4-6c00-7000-8000-000000000001");
    table.refused("PATCH of nobody", nobody.json(&json!({"name": "Ada"})), 404, "").await;
    assert_eq!(table.http.get(&path).send().await.expect(200)["name"], "Ada");
    table.finish().await;
}
