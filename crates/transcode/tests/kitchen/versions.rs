//! Answers that a client knows already, and changes of the version that it knows.

use crate::kit::{get, send};
use serde_json::json;

#[tokio::test]
async fn the_field_of_an_answer_is_its_tag_and_a_hash_stands_for_it() {
    let tagged = get("/v1/versions/a?etag=%22v1%22").await;
    assert_eq!((tagged.status, tagged.header("etag")), (200, Some("\"v1\"")));
    let weak = get("/v1/versions/a?etag=W%2F%22v1%22").await;
    assert_eq!(weak.header("etag"), Some("W/\"v1\""));
    let (hashed, again, other) = (get("/v1/k/bob").await, get("/v1/k/bob").await, get("/v1/k/bill").await);
    assert!(hashed.header("etag").is_some_and(|tag| tag.len() == 24), "{hashed:?}");
    assert_eq!(hashed.header("etag"), again.header("etag"));
    assert_ne!(hashed.header("etag"), other.header("etag"));
    // What the service says itself counts most.
    assert_eq!(get("/v1/meta").await.header("etag"), Some("\"1\""));
    // An answer with several messages, one to a change, and a refusal have none.
    for (method, path) in [("GET", "/v1/things/x:watch"), ("DELETE", "/v1/k/bob"), ("GET", "/v1/fail/5")] {
        assert_eq!(send(method, path, &[], "").await.header("etag"), None, "{method} {path}");
    }
}

#[tokio::test]
async fn a_known_version_is_not_sent_and_an_unknown_one_is_refused() {
    let path = "/v1/versions/a?etag=%22v1%22";

    let known = send("GET", path, &[("if-none-match", "\"v0\", \"v1\"")], "").await;
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, Some("\"v1\""), 0));
    assert_eq!(send("HEAD", path, &[("if-none-match", "\"v1\"")], "").await.status, 304);
    assert_eq!(send("GET", path, &[("if-none-match", "\"v2\"")], "").await.status, 200);
    assert_eq!(send("GET", path, &[("if-match", "\"v1\"")], "").await.status, 200);
    let refused = send("GET", path, &[("if-match", "\"v2\"")], "").await;
    assert_eq!((refused.status, &refused.json()["code"]), (412, &json!(9)));
}

#[tokio::test]
async fn a_change_is_of_the_version_that_the_client_knows() {
    let matched = ("if-match", "\"v1\"");

    let patched = send("PATCH", "/v1/versions/a", &[matched], r#"{"etag":"\"v0\""}"#).await;
    assert_eq!((patched.status, &patched.json()["version"]["etag"]), (200, &json!("\"v1\"")));
    assert_eq!(patched.json()["version"]["name"], "a");
    let deleted = send("DELETE", "/v1/versions/a", &[matched], "").await;
    assert_eq!(deleted.json()["etag"], "\"v1\"");
    assert_eq!(send("DELETE", "/v1/versions/a", &[("if-match", "*")], "").await.json()["etag"], "");
    let several = send("DELETE", "/v1/versions/a", &[("if-match", "\"v1\", \"v2\"")], "").await;
    assert_eq!(several.status, 400);
    // A method that cannot look must not change anything.
    assert_eq!(send("POST", "/v1/star", &[matched], "{}").await.status, 412);
}
