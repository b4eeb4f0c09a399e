//! Requests that are wrong before their body is read: paths, methods, queries, headers.

use crate::table::Table;
use http::Method;

const NOBODY: &str = "0199d2a4-6c00-7000-8000-000000000001";

#[tokio::test]
async fn a_path_that_leads_nowhere_is_not_found() {
    let mut table = Table::open().await;
    for path in [
        "/v1",
        "/v1/",
        "/v2/orders",
        "/v1/pizzas",
        "/V1/orders",
        "/v1/orders/a/b/c",
        "//v1/orders",
        "/.env",
        "/v1/orders/x:fry",
    ] {
        let call = table.http.get(path);
        let status = if path.ends_with(":fry") { 400 } else { 404 };
        table.refused(path, call, status, "").await;
    }
    for path in ["orders", "consumers", "restaurants"] {
        let call = table.http.get(format!("/v1/{path}/{NOBODY}"));
        table.refused(path, call, 404, "").await;
    }
    let tickets = format!("/v1/restaurants/{NOBODY}/tickets");
    let ticket = format!("/v1/restaurants/{}/tickets/{NOBODY}", table.shop.restaurant_id);
    for path in [tickets, ticket] {
        let call = table.http.get(&path);
        table.refused(&path, call, 404, "").await;
    }
    table.finish().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_read_is_refused() {
    let mut table = Table::open().await;
    for path in ["/v1/orders/%zz", "/v1/orders/%", "/v1/orders/%ff", "/v1/orders/%4"] {
        let call = table.http.get(path);
        table.refused(path, call, 400, "").await;
    }
    for (path, field) in [
        ("/v1/orders/me", "orderId"),
        ("/v1/orders/me/journey", "orderId"),
        ("/v1/orders/me:watch", "orderId"),
        ("/v1/orders/%20", "orderId"),
        ("/v1/orders/..%2f..", "orderId"),
        ("/v1/consumers/me", "consumerId"),
        ("/v1/restaurants/me", "restaurantId"),
        ("/v1/restaurants/me/tickets", "restaurantId"),
        ("/v1/restaurants/me/tickets/me", "ticketId"),
    ] {
        let call = table.http.get(path);
        table.refused(path, call, 400, field).await;
    }
    table.finish().await;
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has() {
    let mut table = Table::open().await;
    let order = format!("/v1/orders/{NOBODY}");
    let cancel = format!("{order}:cancel");
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/orders", &["GET", "POST"][..]),
        (Method::PUT, "/v1/orders", &["GET", "POST"]),
        (Method::PATCH, &order, &["GET"]),
        (Method::DELETE, &order, &["GET"]),
        (Method::GET, &cancel, &["POST"]),
        (Method::POST, "/healthz", &["GET"]),
        (Method::DELETE, "/openapi.json", &["GET"]),
        (Method::TRACE, "/v1/orders", &["GET", "POST"]),
        (Method::from_bytes(b"BREW").expect("a method"), "/v1/orders", &["GET", "POST"]),
    ] {
        let what = format!("{method} {path}");
        let call = table.http.call(method, path);
        let Some(answer) = table.refused(&what, call, 405, "").await else { continue };
        for method in allowed {
            assert!(answer.header("allow").split(", ").any(|it| it == *method), "{what}: {:?}", answer.header("allow"));
        }
    }
    table.finish().await;
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused() {
    let mut table = Table::open().await;
    let watch = format!("/v1/orders/{NOBODY}:watch");
    let rows = [
        ("page_size=-1", "pageSize"),
        ("page_size=x", "page_size"),
        ("pageSize=1.5", "pageSize"),
        ("pageSize=", "pageSize"),
        ("pageSize=99999999999", "pageSize"),
        ("pageSize=1&page_size=1", "page_size"),
        ("page_token=x", "pageToken"),
        ("pageToken=00000000000000000000000000000000000000000000000g", "pageToken"),
        ("pageToken=%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9", "pageToken"),
        ("state=FRIED", "state"),
        ("state=approved", "state"),
        ("state=99", "state"),
        ("consumer_id=me", "consumerId"),
        ("restaurantId=%00", "restaurantId"),
        ("sort=price", "sort"),
        ("=1", ""),
        ("state=%zz", "state"),
        ("state=%ff", "state"),
    ];
    for (query, field) in rows {
        let call = table.http.get(format!("/v1/orders?{query}"));
        table.refused(query, call, 400, field).await;
    }
    for (path, field) in [
        (format!("{watch}?after_version=x"), "after_version"),
        (format!("{watch}?afterVersion=-1"), "afterVersion"),
        (format!("{watch}?orderId={NOBODY}"), "orderId"),
        (format!("/v1/restaurants/{}/tickets?page_size=-5", table.shop.restaurant_id), "pageSize"),
    ] {
        let call = table.http.get(&path);
        table.refused(&path, call, 400, field).await;
    }
    let call = table.http.post("/v1/orders?consumerId=x", &table.shop.order());
    table.refused("a field of the body in the query", call, 400, "consumerId").await;
    table.finish().await;
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_refused() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    for key in [&b""[..], &[b'a'; 256], "ключ".as_bytes(), b"a\tb", b"\xff"] {
        let call = table.http.post("/v1/orders", &order).header("idempotency-key", key);
        table.refused(&format!("Idempotency-Key {}", String::from_utf8_lossy(key)), call, 400, "requestId").await;
    }
    for (name, value) in [
        ("request-timeout", "soon"),
        ("request-timeout", "-1"),
        ("request-timeout", "1e400"),
        ("request-timeout", ""),
        ("grpc-timeout", "5"),
        ("grpc-timeout", "-1S"),
        ("grpc-timeout", "123456789S"),
    ] {
        let call = table.http.post("/v1/orders", &order).header(name, value);
        table.refused(&format!("{name}: {value}"), call, 400, "").await;
    }
    let placed = e2e::place_and_wait(&table.http, &order).await;
    let watch = format!("/v1/orders/{}:watch", e2e::text(&placed["orderId"]));
    for (id, field) in [
        ("x", "Last-Event-ID"),
        ("-1", "afterVersion"),
        ("", "Last-Event-ID"),
        ("1.5", "Last-Event-ID"),
        ("99999999999999999999", "Last-Event-ID"),
    ] {
        let call = table.http.get(&watch).header("accept", "text/event-stream").header("last-event-id", id);
        table.refused(&format!("Last-Event-ID {id}"), call, 400, field).await;
    }
    let call = table.http.get(&watch).header("accept", "text/html");
    table.refused("a stream as a page", call, 406, "").await;
    table.finish().await;
}

#[tokio::test]
async fn a_preference_that_cannot_be_read_is_ignored() {
    let mut table = Table::open().await;
    let order = table.shop.order();
    for preference in
        [&b"wait"[..], b"wait=soon", b"wait=-1", b"wait=1.5", b"", b";;,,==", b"return=minimal", b"\xff", b"wait=0"]
    {
        let call = table.http.post("/v1/orders", &order).header("prefer", preference);
        table.taken(&format!("Prefer: {}", String::from_utf8_lossy(preference)), call, 201).await;
    }
    let forged =
        table.http.post("/v1/orders", &order).header("x-comanda-principal", "root").header("traceparent", "nonsense");
    table.taken("internal headers and a broken trace", forged, 201).await;
    table.finish().await;
}
