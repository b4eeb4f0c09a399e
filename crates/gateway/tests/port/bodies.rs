//! Bodies that are compressed, on their way out and in, and answers that are not sent twice.

use crate::harness::{Answer, Port};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gateway::{CompressionConfig, Config};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::io::{Read, Write, repeat};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::decompression::DecompressionLayer;

fn gzip(mut content: impl Read) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut content, &mut encoder).unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap().into()
}

/// Decompresses an answer, as a client does.
async fn plain(answer: &Answer) -> Bytes {
    let service = service_fn(|_: Request<()>| {
        let mut response = Response::new(Full::new(answer.body.clone()));
        *response.headers_mut() = answer.headers.clone();
        async { Ok::<_, Infallible>(response) }
    });
    let response = DecompressionLayer::new().layer(service).oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn get(port: &Port, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    port.send(request, "").await
}

#[tokio::test]
async fn a_large_answer_is_compressed_as_the_client_likes() {
    let port = Port::open().await;
    let whole = port.get("/openapi.json").await;
    assert_eq!(whole.header("content-encoding"), None);

    for coding in ["gzip", "br", "zstd"] {
        let answer = get(&port, "/openapi.json", &[("accept-encoding", coding)]).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("accept-encoding")), "{coding}");
        assert!(answer.body.len() * 3 < whole.body.len(), "{coding} makes {} bytes", answer.body.len());
        assert!(plain(&answer).await == whole.body, "{coding}");
    }
    let many = [("accept-encoding", "gzip;q=0.1, br;q=0.5, *;q=0")];
    assert_eq!(get(&port, "/openapi.json", &many).await.header("content-encoding"), Some("br"));
    assert_eq!(get(&port, "/openapi.json", &[("accept-encoding", "lzma")]).await.header("content-encoding"), None);
}

#[tokio::test]
async fn what_is_small_or_streamed_is_not() {
    let port = Port::open_with(Config {
        compression: CompressionConfig { bytes_min: 100, ..CompressionConfig::default() },
        ..Config::default()
    })
    .await;
    let encodings = ("accept-encoding", "gzip, br, zstd");

    let small = get(&port, "/healthz", &[encodings]).await;
    let events = get(&port, "/v1/orders/o:watch", &[encodings, ("accept", "text/event-stream")]).await;
    let lines = get(&port, "/v1/orders/o:watch", &[encodings]).await;
    for answer in [small, events, lines] {
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None));
    }
    let off = CompressionConfig { is_on: false, ..CompressionConfig::default() };
    let port = Port::open_with(Config { compression: off, ..Config::default() }).await;
    assert_eq!(get(&port, "/openapi.json", &[encodings]).await.header("content-encoding"), None);
}

#[tokio::test]
async fn a_compressed_request_is_understood() {
    let port = Port::open().await;
    let post = |coding: &'static str| {
        Request::post("/v1/orders").header("content-type", "application/json").header("content-encoding", coding)
    };
    let body = gzip(&br#"{"restaurantId":"r","lines":[{"menuItemId":"m","quantity":1}]}"#[..]);

    assert_eq!(port.send(post("gzip"), body.clone()).await.status, 201);
    assert_eq!(port.send(post("identity"), "{}").await.status, 201);
    assert_eq!(port.send(post("br"), body.clone()).await.status, 415);
    assert_eq!(port.send(post("gzip, gzip"), body.clone()).await.status, 415);
}

#[tokio::test]
async fn a_body_that_is_not_what_its_coding_says_is_refused_with_the_reason() {
    let port = Port::open().await;
    let order = gzip(&br#"{"restaurantId":"r","lines":[{"menuItemId":"m","quantity":1}]}"#[..]);
    let plain = (Bytes::from_static(b"{\"restaurantId\":\"r\"}"), "gzip header");
    let cut = (order.slice(..order.len() - 9), "unexpected end of file");

    for (body, reason) in [plain, cut] {
        let post = Request::post("/v1/orders").header("content-type", "application/json");
        let refused = port.send(post.header("content-encoding", "gzip"), body).await;

        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, 400, "{message}");
        assert!(message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn a_body_that_grows_too_much_is_too_large() {
    let port = Port::open().await;
    // A thousandth of what it holds.
    let bomb = gzip(repeat(b' ').take(64 << 20));
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());

    let request = Request::post("/v1/orders").header("content-encoding", "gzip");
    let refused = port.send(request.header("content-type", "application/json"), bomb).await;

    assert_eq!((refused.status, &refused.json()["code"]), (413, &11.into()));
    assert_eq!(port.get("/v1/orders/o").await.status, 200);
}

#[tokio::test]
async fn an_order_that_is_known_is_not_sent_again() {
    let port = Port::open().await;
    let first = port.get("/v1/orders/o").await;
    let tag = first.header("etag").unwrap().to_owned();

    let again = get(&port, "/v1/orders/o", &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.header("etag"), again.body.len()), (304, Some(tag.as_str()), 0));
    assert_eq!(get(&port, "/v1/orders/p", &[("if-none-match", &tag)]).await.status, 200);
    assert_eq!(get(&port, "/v1/orders/o", &[("if-match", &tag)]).await.status, 200);
    let refused = get(&port, "/v1/orders/p", &[("if-match", &tag)]).await;
    assert_eq!((refused.status, &refused.json()["code"]), (412, &9.into()));
    assert_eq!(port.get("/v1/orders/missing").await.header("etag"), None);
    let unheard = Request::post("/v1/orders").header("if-match", "\"a\"").header("content-type", "application/json");
    assert_eq!(port.send(unheard, "{}").await.status, 412);
}

#[tokio::test]
async fn a_compressed_answer_has_a_tag_of_its_own_that_is_known_again() {
    let port = Port::open_with(Config {
        compression: CompressionConfig { bytes_min: 1, ..CompressionConfig::default() },
        ..Config::default()
    })
    .await;
    let whole = port.get("/v1/orders/o").await.header("etag").unwrap().to_owned();
    let gzip = ("accept-encoding", "gzip");

    let compressed: HeaderMap = get(&port, "/v1/orders/o", &[gzip]).await.headers;
    let tag = compressed["etag"].to_str().unwrap();

    assert_eq!(tag, whole.trim_end_matches('"').to_owned() + ";gzip\"");
    assert_eq!(get(&port, "/v1/orders/o", &[gzip, ("if-none-match", tag)]).await.status, 304);
    assert_eq!(get(&port, "/v1/orders/o", &[("if-match", tag)]).await.status, 200);
}
