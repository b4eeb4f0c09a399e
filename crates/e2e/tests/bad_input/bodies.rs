//! Bodies that are no JSON object, too large, or not what the headers say.

use crate::table::Table;
use http::Method;

#[tokio::test]
async fn a_body_is_one_json_object() {
    let mut table = Table::open().await;
    let order = table.shop.order().to_string();
    let twice = order.replacen('{', r#"{"consumerId":"x","#, 1);
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(200), close.repeat(200));
    let latin = [br#"{"consumerId":"#.as_slice(), b"\"\xe9\"}"].concat();
    let bodies: [(&str, Vec<u8>); 20] = [
        ("null", b"null".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a number", b"5".to_vec()),
        ("a text", br#""order""#.to_vec()),
        ("a boolean", b"true".to_vec()),
        ("half an object", br#"{"consumerId":"#.to_vec()),
        ("half a text", br#"{"consumerId":"x"#.to_vec()),
        ("an object and more", format!("{order} x").into_bytes()),
        ("two objects", format!("{order}{order}").into_bytes()),
        ("a key that stands twice", twice.into_bytes()),
        ("deep arrays", deep("[", "]").into_bytes()),
        ("deep objects", deep(r#"{"deliveryAddress":"#, "}").into_bytes()),
        ("deep lines", format!(r#"{{"lines":{}}}"#, deep("[", "]")).into_bytes()),
        ("bytes that are no UTF-8", latin),
        ("half of a surrogate", br#"{"consumerId":"\ud800"}"#.to_vec()),
        ("single quotes", b"{'consumerId':'x'}".to_vec()),
        ("a comment", b"{} // no more".to_vec()),
        ("a comma too many", br#"{"consumerId":"x",}"#.to_vec()),
        ("a number that is none", br#"{"consumerId":NaN}"#.to_vec()),
        ("only blanks", b" \n\t ".to_vec()),
    ];

    for (what, body) in bodies {
        let call = table.http.call(Method::POST, "/v1/orders").header("content-type", "application/json").body(body);
        table.refused(what, call, 400, "body").await;
    }
    table.finish().await;
}

#[tokio::test]
async fn an_empty_body_misses_every_required_field() {
    let mut table = Table::open().await;
    for (path, field) in [("/v1/orders", "consumerId"), ("/v1/restaurants", "currencyCode"), ("/v1/consumers", "name")]
    {
        for body in ["", "{}"] {
            let call = table.http.call(Method::POST, path).header("content-type", "application/json").body(body);
            table.refused(&format!("POST {path} {body:?}"), call, 400, field).await;
        }
    }
    table.finish().await;
}

/// A connection that was closed with the body unread was reset, and ordinary clients saw no answer at all.
#[tokio::test]
async fn a_body_of_ten_mebibytes_is_too_large() {
    let mut table = Table::open().await;
    let body = "x".repeat(10 << 20);
    let call = table.http.call(Method::POST, "/v1/orders").header("content-type", "application/json");
    table.refused("by an ordinary client", call.body(body), 413, "").await;
    table.finish().await;
}

#[tokio::test]
async fn a_body_of_another_type_or_encoding_is_refused() {
    let mut table = Table::open().await;
    let order = table.shop.order().to_string();
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "json", ""]
    {
        let call = table.http.call(Method::POST, "/v1/orders").header("content-type", content_type).body(order.clone());
        table.refused(content_type, call, 415, "").await;
    }
    for encoding in ["br", "deflate", "gzip, identity"] {
        let call = table.http.post("/v1/orders", &table.shop.order()).header("content-encoding", encoding);
        table.refused(encoding, call, 415, "").await;
    }
    let call = table.http.post("/v1/orders", &table.shop.order()).header("content-encoding", "gzip");
    table.refused("what is not gzip", call, 400, "").await;
    for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json"] {
        let call = table.http.call(Method::POST, "/v1/orders").header("content-type", content_type).body(order.clone());
        table.taken(content_type, call, 201).await;
    }
    table.finish().await;
}

#[tokio::test]
async fn a_body_where_none_belongs_is_refused() {
    let mut table = Table::open().await;
    for path in ["/v1/orders", "/v1/consumers", "/v1/restaurants"] {
        let call = table.http.get(path).json(&table.shop.order());
        table.refused(path, call, 400, "body").await;
    }
    table.finish().await;
}
