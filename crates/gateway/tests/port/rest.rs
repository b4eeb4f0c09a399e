//! The public port as HTTP clients see it.

use crate::harness::{Port, guarded};
use gateway::Config;
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_order_is_created_and_got() {
    let port = Port::open().await;

    let created = port.post("/v1/orders", r#"{"restaurantId":"r","lines":[{"menuItemId":"m","quantity":1}]}"#).await;
    assert_eq!((created.status, created.header("location")), (201, Some("/v1/orders/new%2F1")));
    assert_eq!(created.header("content-type"), Some("application/json"));
    let got = port.get(created.header("location").unwrap()).await;
    assert_eq!((got.status, &got.json()["orderId"], &got.json()["state"]), (200, &json!("new/1"), &json!("PENDING")));
    assert_eq!(got.json()["version"], "1");
}

#[tokio::test]
async fn an_error_of_a_service_has_its_details_in_json_names() {
    let port = Port::open().await;

    let answer = port.post("/v1/orders", r#"{"restaurantId":"wrong"}"#).await;

    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(3)));
    let violations = &answer.json()["details"][0]["fieldViolations"];
    assert_eq!(violations[0]["field"], "lines[0].menuItemId");
    assert_eq!(violations[1]["field"], "deliveryAddress.city");
    let missing = port.get("/v1/orders/missing").await;
    assert_eq!((missing.status, &missing.json()["details"][0]["reason"]), (404, &json!("ORDER_UNKNOWN")));
}

#[tokio::test]
async fn a_request_that_is_not_understood_never_reaches_the_service() {
    let port = Port::open().await;

    let answer = port.post("/v1/orders", r#"{"lines":[{"quantity":"many"}],"nonsense":1}"#).await;

    let violations = answer.json()["details"][0]["fieldViolations"].clone();
    assert_eq!(
        (answer.status, &violations[0]["field"], &violations[1]["field"]),
        (400, &json!("lines[0].quantity"), &json!("nonsense"))
    );
    assert_eq!(port.get("/v1/orders?zzz=1").await.status, 400);
    assert_eq!(port.service.begun.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn paths_methods_types_and_sizes_are_told_apart() {
    let port = Port::open().await;

    let unknown = port.get("/v1/nothing").await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!(5)));
    let wrong = port.send(Request::delete("/v1/orders"), "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, POST, HEAD, OPTIONS")));
    let text = port.send(Request::post("/v1/orders").header("content-type", "text/plain"), "{}").await;
    assert_eq!(text.status, 415);
    let big = port.post("/v1/orders", &" ".repeat((4 << 20) + 1)).await;
    assert_eq!((big.status, &big.json()["code"]), (413, &json!(11)));
    let options = port.send(Request::options("/v1/orders"), "").await;
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, POST, HEAD, OPTIONS")));
}

#[tokio::test]
async fn a_service_that_is_away_is_told_with_a_time_to_come_again() {
    let port = Port::open().await;

    let away = port.get("/v1/consumers/c").await;
    assert_eq!((away.status, away.header("retry-after"), &away.json()["code"]), (503, Some("1"), &json!(14)));
    assert!(away.text().contains(r#""reason":"SERVICE_UNAVAILABLE""#), "{}", away.text());

    port.orders.clear();
    assert_eq!(port.get("/v1/orders/o").await.status, 503);
    port.orders.fill(guarded(&port.service));
    assert_eq!(port.get("/v1/orders/o").await.status, 200);
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_connection_lives() {
    let port = Port::open().await;

    let answer = port.post("/v1/orders", r#"{"restaurantId":"faulty"}"#).await;

    assert_eq!((answer.status, &answer.json()["code"]), (500, &json!(13)));
    assert!(!answer.text().contains("by intent"), "{}", answer.text());
    assert_eq!(port.get("/v1/orders/o").await.status, 200);
}

#[tokio::test]
async fn a_call_ends_at_its_timeout() {
    let port = Port::open().await;

    let request = Request::post("/v1/orders").header("request-timeout", "0.02");
    let late = port.send(request, r#"{"restaurantId":"slow"}"#).await;

    assert_eq!((late.status, &late.json()["code"]), (504, &json!(4)));
    assert_eq!(port.send(Request::get("/v1/orders").header("grpc-timeout", "5X"), "").await.status, 400);
}

#[tokio::test]
async fn a_watched_order_is_a_stream_of_events_that_can_be_resumed() {
    let port = Port::open().await;
    let watch = |last: &'static str| {
        Request::get("/v1/orders/o:watch").header("accept", "text/event-stream").header("last-event-id", last)
    };

    let events = port.send(watch("1"), "").await;
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")));
    let ids: Vec<&str> = events.text().lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, ["2", "3"]);
    assert!(events.text().ends_with("event: status\ndata: {\"code\":0}\n\n"), "{}", events.text());
    assert_eq!(port.send(watch("3"), "").await.status, 204);
    assert_eq!(port.send(watch("x"), "").await.status, 400);
}

#[tokio::test]
async fn a_watched_order_is_a_stream_of_lines() {
    let port = Port::open().await;

    let lines = port.get("/v1/orders/o:watch?afterVersion=1").await;

    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let versions: Vec<_> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["version"].clone())
        .collect();
    assert_eq!(versions, ["2", "3"]);
}

#[tokio::test]
async fn internal_headers_from_outside_are_dropped() {
    let port = Port::open().await;

    // The service fails when it sees one.
    let request = Request::post("/v1/orders").header("x-comanda-principal", "root");
    assert_eq!(port.send(request, "{}").await.status, 201);
}

#[tokio::test]
async fn the_own_endpoints_answer() {
    let port = Port::open().await;

    assert_eq!(port.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(port.get("/").await.json()["openapi"], "/openapi.json");
    let ready = port.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));
    assert_eq!(
        ready.json()["checks"][0],
        json!({"name": "order", "status": "degraded", "detail": "looked at by the test"})
    );
    port.orders.clear();
    assert_eq!(port.get("/readyz").await.status, 503);
    let wrong = port.post("/healthz", "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_closes_its_side_behind_its_request_is_answered() {
    // hyper found the end before it had the answer, and hung up on one in five such clients.
    let port = Port::open().await;
    let ask = async || {
        let mut client = TcpStream::connect(port.address).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };

    for _ in 0..50 {
        for answer in futures_util::future::join_all((0..4).map(|_| ask())).await {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn requests_are_counted_by_protocol_method_and_code() {
    let port = Port::open().await;
    port.get("/v1/orders/missing").await;
    port.get("/v1/nothing").await;

    let metrics = port.get("/metrics").await;

    assert_eq!(metrics.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let orders =
        r#"gateway_requests_total{protocol="rest",method="comanda.order.v1.OrderService/GetOrder",code="NotFound"} 1"#;
    let unknown = r#"gateway_requests_total{protocol="rest",method="unknown",code="NotFound"} 1"#;
    assert!(metrics.text().contains(orders) && metrics.text().contains(unknown), "{}", metrics.text());
    assert!(metrics.text().contains("gateway_request_duration_seconds_bucket"), "{}", metrics.text());
}

#[tokio::test]
async fn garbage_on_a_connection_hurts_nobody() {
    let port = Port::open().await;

    for garbage in [
        b"\x00\x01\x02\x03 nonsense\r\n\r\n".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxx",
    ] {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        // The connection is closed, with or without an answer; a reset is fine too.
        stream.read_to_end(&mut answer).await.ok();
    }
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(port.address).await.unwrap();
    // The gateway may close before it has read all of it.
    stream.write_all(head.as_bytes()).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();

    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(port.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let port = Port::open_with(Config { header_read_timeout_ms: 50, ..Config::default() }).await;
    for beginning in ["", "PRI * HT", "GET /healthz HTTP/1.1\r\n"] {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();

        let mut answer = Vec::new();
        let closed = tokio::time::timeout(std::time::Duration::from_secs(10), stream.read_to_end(&mut answer)).await;

        assert!(closed.is_ok(), "{beginning:?} kept its connection");
    }
}

#[tokio::test]
async fn connections_above_the_limit_wait_their_turn() {
    let port = Port::open_with(Config { connections_max: 1, ..Config::default() }).await;
    let ask = async || {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream
    };
    let mut head = [0; 12];
    let mut first = ask().await;
    first.read_exact(&mut head).await.unwrap();
    let mut second = ask().await;

    let while_full = tokio::time::timeout(std::time::Duration::from_millis(50), second.read_exact(&mut head)).await;
    drop(first);
    second.read_exact(&mut head).await.unwrap();

    assert!(while_full.is_err(), "the second connection was served beside the first");
    assert_eq!(&head, b"HTTP/1.1 200");
}
