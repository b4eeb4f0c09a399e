//! The same guard, whether a caller speaks REST or gRPC.

use crate::shop::{Order, Shop, descriptors};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tonic::Code;
use transcode::Transcoder;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }
}

async fn send(shop: &Shop, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let transcoder = Transcoder::new(&descriptors().encode_to_vec(), transcode::Config::default()).unwrap();
    let mut request = Request::new(Full::new(if method == "POST" { Bytes::from_static(b"{}") } else { Bytes::new() }));
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    request.extensions_mut().insert(guard::Peer { address: [127, 0, 0, 1].into(), certificate: None });
    let (parts, body) = transcoder.call(request, &|_| Some(shop.service())).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

#[tokio::test(start_paused = true)]
async fn rest_and_grpc_draw_on_one_budget() {
    let shop = Shop::open("[[rates]]\nmethods = [\"*\"]\nper_second = 0.5\nburst = 2\n").await;

    let first = send(&shop, "GET", "/orders/anna-1", &[]).await;
    assert_eq!((first.status, &first.headers["ratelimit"]), (200, &"\"default\";r=1;t=2".parse().unwrap()));
    assert_eq!(first.headers["ratelimit-limit"], "2");
    shop.get("anna-1", &[]).await.unwrap();

    let refused = send(&shop, "GET", "/orders/anna-1", &[]).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"2".parse().unwrap()));
    assert_eq!(refused.headers["ratelimit-remaining"], "0");
    assert_eq!(refused.json()["code"], 8);
    let details = refused.json()["details"].to_string();
    for detail in ["google.rpc.RetryInfo", "google.rpc.QuotaFailure", "RATE_LIMITED"] {
        assert!(details.contains(detail), "{details}");
    }
    assert_eq!(shop.get("anna-1", &[]).await.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn an_answer_over_rest_is_given_again_over_grpc() {
    let shop = Shop::open("").await;
    let key = [("idempotency-key", "k")];

    let first = send(&shop, "POST", "/orders/anna-1:pay", &key).await;
    let again = send(&shop, "POST", "/orders/anna-1:pay", &key).await;
    let by_grpc = shop.pay("anna-1", "k").await.unwrap();

    assert_eq!((first.status, first.headers.get("idempotency-replayed")), (200, None));
    assert_eq!((again.status, &again.headers["idempotency-replayed"]), (200, &"true".parse().unwrap()));
    assert_eq!((first.body, &first.headers["x-receipt"]), (again.body, &again.headers["x-receipt"]));
    assert_eq!(by_grpc.get_ref().paid, 1);
    let reused = send(&shop, "POST", "/orders/anna-2:pay", &key).await;
    assert_eq!((reused.status, &reused.json()["details"][0]["reason"]), (409, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(shop.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_callers_protocol() {
    let shop = Shop::open("access = \"rules\"").await;

    let stranger = send(&shop, "GET", "/orders/anna-1", &[]).await;
    assert_eq!((stranger.status, &stranger.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    assert_eq!(
        (stranger.json()["code"].clone(), stranger.json()["details"][0]["reason"].clone()),
        (json!(16), json!("CREDENTIALS_MISSING"))
    );
    let watched = send(&shop, "GET", "/orders/anna-1:watch", &[("accept", "text/event-stream")]).await;
    assert_eq!(watched.status, 401);
    let nonsense = send(&shop, "GET", "/orders/anna-1", &[("grpc-timeout", "5X")]).await;
    assert_eq!((nonsense.status, &nonsense.json()["code"]), (400, &json!(3)));
    assert_eq!(shop.call::<Order>("Get", "anna-1", &[]).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_timeout_over_rest_is_cut_as_well() {
    let shop = Shop::open("timeout_max_ms = 3000").await;

    send(&shop, "GET", "/orders/anna-1", &[("request-timeout", "7200")]).await;

    assert_eq!(shop.seen()[0].headers["grpc-timeout"], "3000000u");
}

#[tokio::test]
async fn an_api_key_over_rest_reaches_the_guard_and_not_the_service() {
    let hash = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";
    let rules = "[[rules]]\nmethods = [\"*\"]\nwho = \"authenticated\"";
    let shop = Shop::open(&format!("[[api_keys]]\nname = \"till\"\nsha256 = \"{hash}\"\n{rules}")).await;

    assert_eq!(send(&shop, "GET", "/orders/anna-1", &[("x-api-key", "open sesame")]).await.status, 200);

    let seen = shop.seen().pop().unwrap();
    assert!(!seen.headers.contains_key("x-api-key"));
    assert_eq!((seen.subject.as_deref(), &seen.headers["x-guard-subject"]), (Some("till"), &"till".parse().unwrap()));
}
