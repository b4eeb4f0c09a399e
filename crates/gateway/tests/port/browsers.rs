//! The public port as pages of other origins see it.

use crate::harness::{Answer, Port};
use gateway::{Config, CorsConfig};
use http::Request;

const SHOP: &str = "https://shop.example";

async fn open(origins: &[&str], credentials: bool) -> Port {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Port::open_with(Config { cors: CorsConfig { origins, credentials, ..CorsConfig::default() }, ..Config::default() })
        .await
}

/// What a browser asks before it makes a call.
async fn ask(port: &Port, origin: &str, method: &str, headers: &str) -> Answer {
    let request = Request::options("/v1/orders").header("origin", origin);
    let request = request.header("access-control-request-method", method);
    port.send(request.header("access-control-request-headers", headers), "").await
}

async fn get(port: &Port, path: &str, origin: &str) -> Answer {
    port.send(Request::get(path).header("origin", origin), "").await
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_read() {
    let port = open(&[SHOP, "http://localhost:3000"], false).await;

    let asked = ask(&port, SHOP, "POST", "content-type, idempotency-key, x-grpc-web").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, Some(SHOP)));
    let methods = asked.header("access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    assert_eq!(asked.header("access-control-allow-headers"), Some("content-type, idempotency-key, x-grpc-web"));
    assert_eq!((asked.header("access-control-max-age"), asked.body.len()), (Some("7200"), 0));
    // A refusal can be read as well.
    for (path, status) in [("/v1/orders/o", 200), ("/v1/orders/missing", 404), ("/v1/nothing", 404)] {
        let answer = get(&port, path, SHOP).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (status, Some(SHOP)), "{path}");
        assert!(answer.header("vary").unwrap().contains("origin"), "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for name in ["grpc-status", "grpc-message", "etag", "retry-after", "ratelimit-remaining", "x-request-id"] {
            assert!(exposed.contains(name), "{path}: {name} is not in {exposed}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_not() {
    for port in [open(&[SHOP], true).await, Port::open().await] {
        for origin in ["https://evil.example", "null", "https://shop.example.evil.example"] {
            let asked = ask(&port, origin, "POST", "content-type").await;
            assert_eq!(asked.header("access-control-allow-origin"), None, "{origin}");
            assert_eq!(
                get(&port, "/v1/orders/o", origin).await.header("access-control-allow-origin"),
                None,
                "{origin}"
            );
        }
    }
}

#[tokio::test]
async fn credentials_and_every_origin_are_a_choice() {
    let port = open(&[SHOP], true).await;
    assert_eq!(get(&port, "/healthz", SHOP).await.header("access-control-allow-credentials"), Some("true"));
    let port = open(&["*"], false).await;
    assert_eq!(get(&port, "/healthz", "https://any.example").await.header("access-control-allow-origin"), Some("*"));
    let cors = CorsConfig { origins: ["*".to_owned()].into(), credentials: true, ..CorsConfig::default() };
    let refused = Port::refuse(Config { cors, ..Config::default() }).await;
    assert!(refused.contains("gateway.cors.origins"), "{refused}");
}

#[tokio::test]
async fn options_without_a_page_are_still_the_methods_of_the_path() {
    let port = open(&[SHOP], false).await;

    let options = port.send(Request::options("/v1/orders"), "").await;

    assert_eq!((options.status, options.header("allow")), (204, Some("GET, POST, HEAD, OPTIONS")));
}

#[tokio::test]
async fn a_page_reads_how_a_call_of_grpc_web_ended() {
    let port = open(&[SHOP], false).await;
    let request = Request::post("/comanda.order.v1.OrderService/GetOrder").header("origin", SHOP);
    let request = request.header("content-type", "application/grpc-web+proto");

    let answer = port.send(request, &b"\0\0\0\0\x09\x0a\x07missing"[..]).await;

    assert_eq!((answer.header("grpc-status"), answer.header("access-control-allow-origin")), (Some("5"), Some(SHOP)));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("grpc-status-details-bin"));
}
