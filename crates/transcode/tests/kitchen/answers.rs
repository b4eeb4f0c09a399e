//! What the service answers, and what the client gets of it.

use crate::kit::{get, post, send};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::json;
use tonic::body::Body;

#[tokio::test]
async fn an_answer_is_proto3_json_with_its_defaults() {
    let answer = get("/v1/things/t").await;

    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.text(), r#"{"thingId":"t","title":"","size":"0"}"#);
}

#[tokio::test]
async fn a_field_can_be_the_body_of_an_answer() {
    assert_eq!(get("/v1/rb/X").await.json()["id"], "X");
    assert_eq!(get("/v1/rt").await.text(), "[]");
    assert_eq!(get("/v1/rs/bob").await.text(), r#""bob""#);
    assert_eq!(send("DELETE", "/v1/k/bob", &[], "").await.text(), "{}");
}

#[tokio::test]
async fn what_is_created_has_a_location() {
    let answer = post("/v1/things", r#"{"title":"x"}"#).await;

    assert_eq!((answer.status, answer.header("location")), (201, Some("/v1/things/a%2Fb")));
}

#[tokio::test]
async fn metadata_that_concerns_the_client_becomes_headers() {
    let answer = get("/v1/meta").await;

    assert_eq!((answer.header("preference-applied"), answer.header("x-request-id")), (Some("wait"), Some("7")));
    assert_eq!((answer.header("etag"), answer.header("secret")), (Some("\"1\""), None));
}

#[tokio::test]
async fn every_code_has_its_http_status() {
    let codes = [(1, 499), (2, 500), (3, 400), (4, 504), (5, 404), (6, 409), (7, 403), (8, 429), (9, 400), (10, 409)];
    for (code, status) in codes.into_iter().chain([(11, 400), (12, 501), (13, 500), (14, 503), (15, 500), (16, 401)]) {
        let answer = get(&format!("/v1/fail/{code}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)));
    }
}

#[tokio::test]
async fn an_error_has_its_details_in_the_clients_names() {
    let answer = get("/v1/fail/14").await;

    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((answer.header("retry-after"), answer.header("x-trace")), (Some("2"), Some("seen")));
    let details = answer.json()["details"].clone();
    let of = |name: &str| {
        let url = format!("type.googleapis.com/google.rpc.{name}");
        details.as_array().unwrap().iter().find(|detail| detail["@type"] == url).cloned().unwrap()
    };
    assert_eq!(of("RetryInfo")["retryDelay"], "1.500s");
    assert_eq!(
        (&of("ErrorInfo")["reason"], &of("ErrorInfo")["metadata"]),
        (&json!("BY_INTENT"), &json!({"key": "value"}))
    );
    assert_eq!(of("BadRequest")["fieldViolations"][0], json!({"field": "inner.twoWords", "description": "is wrong"}));
}

#[tokio::test]
async fn the_field_that_is_the_body_vanishes_from_the_paths_of_violations() {
    let answer = post("/v1/fail?i32=3", "{}").await;

    let details = answer.json()["details"].to_string();
    assert!(details.contains(r#""twoWords""#) && details.contains(r#""snakeCaseName""#), "{details}");
}

#[tokio::test]
async fn a_detail_of_an_unknown_type_is_given_as_bytes() {
    let answer = get("/v1/fail/77").await;

    assert_eq!(answer.json()["details"], json!([{"@type": "type.googleapis.com/nobody.Knows", "value": "AQID"}]));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_as_such() {
    let answer = get("/nope").await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (404, json!(5)));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(get("/v1/k/").await.status, 404);

    let answer = send("PUT", "/v1/k/bob", &[], "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("DELETE, GET, HEAD, OPTIONS")));
    assert_eq!(answer.json()["code"], 12);

    let answer = send("OPTIONS", "/v1/k/bob", &[], "").await;
    assert_eq!((answer.status, answer.header("allow"), answer.text()), (204, Some("DELETE, GET, HEAD, OPTIONS"), ""));
}

const EVENTS: [(&str, &str); 1] = [("accept", "text/event-stream")];

#[tokio::test]
async fn a_stream_is_given_as_events() {
    let answer = send("GET", "/v1/things/t:watch?after=1", &EVENTS, "").await;

    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    let thing = |size: u8| format!("id: {size}\ndata: {{\"thingId\":\"\",\"title\":\"\",\"size\":\"{size}\"}}\n\n");
    let expected = format!("retry: 1000\n\n{}{}event: status\ndata: {{\"code\":0}}\n\n", thing(2), thing(3));
    assert_eq!(answer.text(), expected);
}

#[tokio::test]
async fn a_lost_stream_is_resumed_after_its_last_event() {
    let resumed =
        async |id: &str| send("GET", "/v1/things/t:watch?after=1", &[EVENTS[0], ("last-event-id", id)], "").await;

    let answer = resumed("2").await;
    assert!(answer.text().contains("id: 3\n") && !answer.text().contains("id: 2\n"), "{}", answer.text());
    let answer = resumed("3").await;
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert_eq!(resumed("x").await.violations()[0].split(':').next(), Some("Last-Event-ID"));
}

#[tokio::test]
async fn a_stream_is_given_as_lines() {
    for accept in ["application/x-ndjson", "application/ndjson", "*/*"] {
        let answer = send("GET", "/v1/things/t:watch?after=2", &[("accept", accept)], "").await;

        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(answer.text(), "{\"thingId\":\"\",\"title\":\"\",\"size\":\"3\"}\n");
    }
    assert_eq!(send("GET", "/v1/things/t:watch", &[("accept", "application/xml")], "").await.status, 406);
}

#[tokio::test]
async fn a_stream_is_given_as_an_array() {
    let array = async |path: &str| send("GET", path, &[("accept", "application/json")], "").await;
    let thing = |size: u8| format!("{{\"thingId\":\"\",\"title\":\"\",\"size\":\"{size}\"}}");

    let answer = array("/v1/things/t:watch?after=1").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.text(), format!("[{},\n{}]", thing(2), thing(3)));
    assert_eq!(array("/v1/things/t:watch?after=3").await.text(), "[]");
    let broken = array("/v1/things/broken:watch?after=2").await.json();
    assert_eq!((&broken[0]["size"], &broken[1]["error"]["code"]), (&json!("3"), &json!(14)));
}

#[tokio::test]
async fn an_error_within_a_stream_reaches_the_client() {
    let error = r#"{"code":14,"details":[],"message":"lost"}"#;

    let lines = get("/v1/things/broken:watch?after=2").await;
    assert_eq!(lines.text().lines().last(), Some(format!("{{\"error\":{error}}}").as_str()));
    let events = send("GET", "/v1/things/broken:watch?after=2", &EVENTS, "").await;
    assert!(events.text().ends_with(&format!("event: status\ndata: {error}\n\n")), "{}", events.text());
}

#[tokio::test]
async fn a_message_that_cannot_be_read_takes_nothing_with_it() {
    let error = r#"{"error":{"code":13,"details":[],"message":"the service's answer cannot be read"}}"#;
    let thing = r#"{"thingId":"","title":"","size":"3"}"#;

    let lines = get("/v1/things/garbled:watch?after=2").await;
    assert_eq!(lines.text(), format!("{thing}\n{error}\n"));
    let array = send("GET", "/v1/things/garbled:watch?after=2", &[("accept", "application/json")], "").await;
    assert_eq!(array.text(), format!("[{thing},\n{error}]"));
}

#[tokio::test]
async fn an_error_before_the_first_message_is_an_http_error() {
    for accept in ["text/event-stream", "application/x-ndjson"] {
        assert_eq!(send("GET", "/v1/things/missing:watch", &[("accept", accept)], "").await.status, 404);
        assert_eq!(send("GET", "/v1/things/late:watch", &[("accept", accept)], "").await.status, 409);
    }
}

async fn watched(name: &str, accept: &str) -> Body {
    let request = http::Request::get(format!("/v1/things/{name}:watch")).header("accept", accept);
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    crate::kit::transcoder().call(request, &|_: &str| Some(tower::service_fn(crate::kit::answer))).await.into_body()
}

/// Each message was a piece of its own, and the pieces cost more than the messages.
#[tokio::test]
async fn messages_that_are_there_come_in_one_piece_and_wait_for_no_other() {
    for (accept, first, last) in [
        ("application/x-ndjson", "{", "}\n"),
        ("application/json", "[{", "}"),
        ("text/event-stream", "id: 1\ndata: {", "}\n\n"),
    ] {
        let mut body = watched("open", accept).await;
        if accept == "text/event-stream" {
            body.frame().await.unwrap().unwrap();
        }

        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&piece).unwrap();
        assert!(text.starts_with(first) && text.ends_with(last) && text.matches("size").count() == 3, "{text}");
        assert!(body.frame().now_or_never().is_none(), "{accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_kept_alive() {
    let mut body = watched("quiet", "text/event-stream").await;

    let mut next = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(next().await, "retry: 1000\n\n");
    let begun = tokio::time::Instant::now();
    assert_eq!(next().await, ": keepalive\n\n");
    assert_eq!(begun.elapsed().as_secs(), 15);
}
