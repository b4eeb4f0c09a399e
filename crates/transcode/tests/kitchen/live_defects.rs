//! What other gateways were seen to do wrong (GATEWAY.md, C.3), each with what is right.

use crate::kit::Answer;
use crate::public::Kitchen;
use bytes::Bytes;
use serde_json::json;

/// Asks the public kitchen; without its contract, the test ends here.
macro_rules! kitchen {
    () => {
        match Kitchen::open() {
            Some(kitchen) => kitchen,
            None => return,
        }
    };
}

/// An error is a `google.rpc.Status` in JSON, whoever made it.
#[track_caller]
fn check_refused(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/json")), "{}", answer.text());
    let json = answer.json();
    assert!(json["code"].is_u64() && json["message"].is_string() && json["details"].is_array(), "{json}");
}

#[tokio::test]
async fn a_variable_of_the_path_is_not_overridden_by_the_query() {
    let kitchen = kitchen!();
    check_refused(&kitchen.get("/v1/k/bob?name=evil").await, 400);
    assert_eq!(kitchen.post("/v1/starpath/bob", r#"{"name":"evil"}"#).await.json()["name"], "bob");
}

#[tokio::test]
async fn an_error_after_two_messages_is_not_lost() {
    let kitchen = kitchen!();
    for (accept, last) in [
        ("application/x-ndjson", r#"{"error":{"code":8,"#),
        ("application/json", r#"{"error":{"code":8,"#),
        ("text/event-stream", r#"event: status"#),
    ] {
        let answer = kitchen.send("GET", "/v1/streamerr/2", &[("accept", accept)], Bytes::new()).await;
        let (first, second) = (answer.text().find("s0"), answer.text().find("s1"));
        let error = answer.text().find(last);
        assert!(first.is_some() && first < second && second < error, "{}", answer.text());
        assert!(answer.text().contains(r#""message":"quota""#), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_malformed_body_is_refused() {
    check_refused(&kitchen!().post("/v1/star", r#"{"name":"#).await, 400);
}

#[tokio::test]
async fn bytes_after_the_body_are_refused() {
    check_refused(&kitchen!().post("/v1/star", r#"{"name":"a"} x"#).await, 400);
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_here_and_not_forwarded() {
    check_refused(&kitchen!().get("/v1/k/bob?zzz=1").await, 400);
}

#[tokio::test]
async fn an_unknown_path_is_refused_here_and_not_forwarded() {
    check_refused(&kitchen!().get("/nope").await, 404);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let answer = kitchen!().send("PATCH", "/v1/k/bob", &[], Bytes::new()).await;
    check_refused(&answer, 405);
    assert_eq!(answer.header("allow"), Some("DELETE, GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn a_mask_is_taken_in_camel_case_and_in_snake_case() {
    let kitchen = kitchen!();
    for mask in ["inner.twoWords", "inner.two_words"] {
        assert_eq!(kitchen.get(&format!("/v1/k/bob?mask={mask}")).await.json()["mask"], "inner.twoWords");
    }
}

#[tokio::test]
async fn brackets_after_a_name_are_not_taken_for_a_value() {
    check_refused(&kitchen!().get("/v1/k/bob?tags[]=a").await, 400);
}

#[tokio::test]
async fn an_unknown_name_of_an_enum_is_refused() {
    check_refused(&kitchen!().post("/v1/star", r#"{"color":"NOPE"}"#).await, 400);
}

#[tokio::test]
async fn yes_is_not_true() {
    check_refused(&kitchen!().get("/v1/k/bob?b=yes").await, 400);
}

#[tokio::test]
async fn a_wrapped_bool_in_the_query_is_taken() {
    assert_eq!(kitchen!().get("/v1/k/bob?bv=false").await.json()["bv"], false);
}

#[tokio::test]
async fn a_number_of_an_enum_in_the_query_is_taken() {
    assert_eq!(kitchen!().get("/v1/k/bob?color=2").await.json()["color"], "DARK_BLUE");
}

#[tokio::test]
async fn two_members_of_a_oneof_are_refused() {
    check_refused(&kitchen!().get("/v1/k/bob?oa=x&ob=1").await, 400);
}

#[tokio::test]
async fn a_body_where_none_is_mapped_is_neither_merged_nor_ignored() {
    let answer = kitchen!().send("PUT", "/v1/nobody/p", &[], r#"{"i32":5}"#.into()).await;
    check_refused(&answer, 400);
}

/// Compression is for whoever has the connection; what arrives here compressed is not taken for JSON.
#[tokio::test]
async fn a_compressed_body_is_refused_as_such() {
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    check_refused(&kitchen!().send("POST", "/v1/star", &headers, "{}".into()).await, 415);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_as_such() {
    let body = format!(r#"{{"name":"{}"}}"#, "X".repeat(5_000_000));
    check_refused(&kitchen!().post("/v1/star", &body).await, 413);
}

#[tokio::test]
async fn a_number_of_64_bits_is_a_body_with_and_without_quotes() {
    let kitchen = kitchen!();
    for body in [r#""77""#, "77"] {
        assert_eq!(kitchen.post("/v1/scalar/p", body).await.json()["i64"], "77");
    }
}

#[tokio::test]
async fn a_streamed_file_has_exactly_its_bytes() {
    let answer = kitchen!().get("/v1/downstream/3").await;
    assert_eq!((answer.text(), answer.header("content-type")), ("chunk0;chunk1;chunk2;", Some("text/plain")));
}

#[tokio::test]
async fn json_that_is_too_deep_is_refused_here_and_not_forwarded() {
    let body = format!(r#"{{"inner":{}{{}}{}}}"#, r#"{"deep":"#.repeat(150), "}".repeat(150));
    check_refused(&kitchen!().post("/v1/star", &body).await, 400);
}

#[tokio::test]
async fn a_preflight_is_not_forwarded() {
    let headers = [("origin", "http://x"), ("access-control-request-method", "POST")];
    let answer = kitchen!().send("OPTIONS", "/v1/star", &headers, Bytes::new()).await;
    assert_eq!((answer.status, answer.text(), answer.header("allow")), (204, "", Some("POST, OPTIONS")));
}

#[tokio::test]
async fn only_listed_headers_are_forwarded() {
    let headers = [("traceparent", "t"), ("x-request-id", "r"), ("cookie", "c"), ("x-other", "o")];
    let answer = kitchen!().send("GET", "/v1/meta", &headers, Bytes::new()).await;
    let seen = &answer.json()["m"];
    assert_eq!((&seen["traceparent"], &seen["x-request-id"]), (&json!("t"), &json!("r")));
    assert_eq!((seen.get("cookie"), seen.get("x-other")), (None, None));
    assert_eq!(
        (answer.header("x-resp"), answer.header("set-cookie"), answer.header("location")),
        (Some("h1"), None, None)
    );
}

#[tokio::test]
async fn a_bad_timeout_is_refused_and_not_forwarded() {
    let kitchen = kitchen!();
    for timeout in ["5X", "-1S", "123456789S", ""] {
        let answer = kitchen.send("GET", "/v1/meta", &[("grpc-timeout", timeout)], Bytes::new()).await;
        check_refused(&answer, 400);
    }
    let answer = kitchen.send("GET", "/v1/meta", &[("grpc-timeout", "7S")], Bytes::new()).await;
    assert_eq!(answer.json()["m"]["grpc-timeout"], "7000000u");
}
