//! What a client streams, and what it uploads and downloads as it is.

use crate::public::Kitchen;
use bytes::Bytes;
use serde_json::json;

macro_rules! kitchen {
    () => {
        match Kitchen::open() {
            Some(kitchen) => kitchen,
            None => return,
        }
    };
}

#[tokio::test]
async fn a_client_stream_is_sent_as_lines_or_as_an_array() {
    let kitchen = kitchen!();
    for (content_type, body) in [
        ("application/x-ndjson", "{\"name\":\"a\"}\n{\"name\":\"b\"}\n"),
        ("application/json", "{\"name\":\"a\"}\n{\"name\":\"b\"}"),
        ("application/json", "[{\"name\":\"a\"},\n{\"name\":\"b\"}]"),
    ] {
        let answer = kitchen.send("POST", "/v1/collect", &[("content-type", content_type)], body.into()).await;
        assert_eq!((answer.status, &answer.json()["tags"]), (200, &json!(["a", "b"])), "{body}");
    }
    assert_eq!(kitchen.post("/v1/collect", "").await.json()["tags"], json!([]));
}

#[tokio::test]
async fn both_directions_stream() {
    let body = r#"[{"name":"a"},{"name":"b"}]"#;
    let lines = kitchen!().post("/v1/bidi", body).await;

    let names: Vec<serde_json::Value> = lines
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["name"].clone())
        .collect();
    assert_eq!(names, ["echo a", "echo b"]);
}

#[tokio::test]
async fn a_message_that_is_refused_ends_the_call_and_is_named() {
    let kitchen = kitchen!();

    let answer = kitchen.post("/v1/collect", "{\"name\":\"a\"}\n{\"zzz\":1,\"i32\":\"x\"}\n").await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["message"].as_str().unwrap().starts_with("message 2 of the stream: "), "{}", answer.text());
    assert_eq!(answer.violations().len(), 2);
    for body in ["[{}", "{\"name\":", "[{}]x", "{} nonsense"] {
        assert_eq!(kitchen.post("/v1/collect", body).await.status, 400, "{body}");
    }
    let answer = kitchen.send("POST", "/v1/collect", &[("content-type", "text/plain")], "{}".into()).await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_form_with_a_file_is_the_file_and_its_fields() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\n\
                raw\r\n--b--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=b")];

    let answer = kitchen!().send("POST", "/v1/up/n", &headers, body.into()).await;

    let json = answer.json();
    assert_eq!((&json["name"], &json["by"], &json["customJson"]), (&json!("n"), &json!("cmF3"), &json!("image/png")));
    let cut = kitchen!().send("POST", "/v1/up/n", &headers, "--b\r\n".into()).await;
    assert_eq!((cut.status, cut.violations()), (400, vec!["body: is a form that is cut short".to_owned()]));
}

#[tokio::test]
async fn a_part_of_a_file_is_given() {
    let kitchen = kitchen!();
    let part = async |range: &str| kitchen.send("GET", "/v1/down/x", &[("range", range)], Bytes::new()).await;

    let whole = kitchen.get("/v1/down/x").await;
    assert_eq!((whole.text(), whole.header("accept-ranges")), ("a,b\n1,2\n", Some("bytes")));
    let answer = part("bytes=4-6").await;
    assert_eq!((answer.status, answer.text(), answer.header("content-range")), (206, "1,2", Some("bytes 4-6/8")));
    let answer = part("bytes=9-").await;
    assert_eq!((answer.status, answer.text(), answer.header("content-range")), (416, "", Some("bytes */8")));
    assert_eq!(part("bytes=0-1,3-4").await.status, 200);
}

#[tokio::test]
async fn every_get_has_a_head() {
    assert_eq!(kitchen!().send("HEAD", "/v1/k/bob", &[], Bytes::new()).await.status, 200);
}
