//! The guard before services that nobody knew when it was made.

use crate::gate::{Answer, Gate, settings};
use crate::shop::Shop;
use gateway::Config;
use guard::{AccessRule, ApiKey, Own, Who};
use http::Request;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

const SHOP: &str = r#"package shop.v1;
    service Shop {
        rpc Buy(Thing) returns (Thing) { option (google.api.http) = { post: "/v1/things/{name}:buy" body: "*" }; }
        rpc Look(Thing) returns (Thing) {
            option idempotency_level = NO_SIDE_EFFECTS;
            option (google.api.http) = { get: "/v1/things/{name}" };
        }
    }
    message Thing { string name = 1; string by = 2; }"#;

async fn open(config: Config) -> (Gate, Shop) {
    let (gate, shop) = (Gate::open_with(config, &["shop"]).await.unwrap(), Shop::open("shop", SHOP).await);
    gate.list("shop", &[shop.address]);
    (gate, shop)
}

async fn send(gate: &Gate, method: &str, path: &str, header: (&str, &str)) -> Answer {
    let request = Request::builder().method(method).uri(format!("http://{}{path}", gate.address));
    let body = if method == "POST" { "{}" } else { "" };
    gate.send(request.header("content-type", "application/json").header(header.0, header.1), body).await
}

#[tokio::test]
async fn a_purchase_that_is_repeated_is_made_once() {
    let (gate, shop) = open(settings()).await;
    gate.until("/v1/things/pen", 200).await;
    let before = shop.behaviour.calls.load(Ordering::SeqCst);

    let first = send(&gate, "POST", "/v1/things/pen:buy", ("idempotency-key", "k")).await;
    let again = send(&gate, "POST", "/v1/things/pen:buy", ("idempotency-key", "k")).await;
    let other = send(&gate, "POST", "/v1/things/cup:buy", ("idempotency-key", "k")).await;

    assert_eq!((first.status, &first), (200, &again));
    assert_eq!((other.status, &other.json["details"][0]["reason"]), (409, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(shop.behaviour.calls.load(Ordering::SeqCst) - before, 1);
    for _ in 0..2 {
        send(&gate, "GET", "/v1/things/pen", ("idempotency-key", "k")).await;
    }
    assert_eq!(shop.behaviour.calls.load(Ordering::SeqCst) - before, 3, "what only reads is done each time");
}

#[tokio::test]
async fn a_service_that_no_rule_covers_is_for_operators_and_its_fields_can_be_held_against_claims() {
    let key = |name: &str, sha256: &str, roles: &[&str]| ApiKey {
        name: name.to_owned(),
        sha256: sha256.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        claims: BTreeMap::from([("thing".to_owned(), "pen".to_owned())]),
    };
    let mut config = settings();
    // SHA-256 of `anna` and `boss`.
    config.guard.api_keys = vec![
        key("anna", "55579b557896d0ce1764c47fed644f9b35f58bad620674af23f356d80ed0c503", &[]),
        key("boss", "a5e7c002443743c5836758c7d1cd8ddefd9fcf2061daa0efaac683fb99966057", &["operator"]),
    ];
    config.guard.rules = vec![AccessRule {
        methods: vec!["/shop.v1.Shop/Look".to_owned()],
        who: Who::Authenticated,
        own: vec![Own {
            claim: "thing".to_owned(),
            request: Some("name".to_owned()),
            answer: None,
            call: None,
            same: vec![],
        }],
    }];
    let (gate, _shop) = open(config).await;
    let status = async |method: &str, path: &str, key: &str| send(&gate, method, path, ("x-api-key", key)).await.status;
    // Routes come with the service; before, there is nothing to be refused.
    gate.until("/v1/things/pen", 401).await;

    assert_eq!(status("GET", "/v1/things/pen", "anna").await, 200);
    assert_eq!(status("GET", "/v1/things/cup", "anna").await, 403);
    assert_eq!(status("POST", "/v1/things/pen:buy", "anna").await, 403);
    assert_eq!(status("POST", "/v1/things/pen:buy", "boss").await, 200);
}
