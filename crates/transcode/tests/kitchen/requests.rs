//! What a client sends, and what the service gets of it.

use crate::kit::{descriptors, get, post, send, serve};
use http::Request;
use http_body_util::Full;
use serde_json::{Value as Json, json};
use transcode::{Config, Transcoder};

/// A GET is understood: these fields reach the service.
async fn check(path: &str, fields: Json) {
    check_answer(path, &get(path).await, &fields);
}

async fn check_body(path: &str, body: &str, fields: Json) {
    check_answer(&format!("{path} {body}"), &post(path, body).await, &fields);
}

fn check_answer(sent: &str, answer: &crate::kit::Answer, fields: &Json) {
    assert_eq!(answer.status, 200, "{sent}: {}", answer.text());
    let got = answer.json();
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&got[name], value, "{sent}: {name} in {got}");
    }
}

/// A request is refused for these violations.
async fn check_refused(path: &str, violations: &[&str]) {
    let answer = get(path).await;
    assert_eq!((answer.status, answer.violations()), (400, owned(violations)), "{path}: {}", answer.text());
}

async fn check_body_refused(path: &str, body: &str, violations: &[&str]) {
    let answer = post(path, body).await;
    assert_eq!((answer.status, answer.violations()), (400, owned(violations)), "{body}: {}", answer.text());
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn paths_are_bound() {
    check("/v1/k/bob", json!({"name": "bob"})).await;
    check("/v1/k/a%3Ab", json!({"name": "a:b"})).await;
    check("/v1/k/a:zzz", json!({"name": "a:zzz"})).await;
    check("/v1/m/shelves/a%2Fb/books/2", json!({"name": "shelves/a%2Fb/books/2"})).await;
    check("/v1/n/ID/x/7", json!({"inner": {"id": "ID", "n": 0, "deep": {"id": "", "n": 7, "list": [], "twoWords": ""}, "list": [], "twoWords": ""}})).await;
    check("/v1/e/DARK_BLUE", json!({"color": "DARK_BLUE"})).await;
    check("/v1/e/2", json!({"color": "DARK_BLUE"})).await;
    check("/v1/t/2024-01-02T03:04:05Z", json!({"ts": "2024-01-02T03:04:05Z"})).await;
    check("/v1/alt/bob/5", json!({"name": "bob", "i32": 5})).await;
}

#[tokio::test]
async fn a_value_in_the_path_must_fit_its_field() {
    check_refused("/v1/n/ID/x/seven", &["inner.deep.n: must be a whole number from -2147483648 to 2147483647"]).await;
    check_refused("/v1/e/red", &["color: must be one of COLOR_UNSPECIFIED, RED, DARK_BLUE"]).await;
    check_refused("/v1/t/yesterday", &["ts: must be a time such as 2026-05-17T18:30:00Z"]).await;
    assert_eq!(get("/v1/k/%zz").await.status, 400);
}

#[tokio::test]
async fn queries_are_bound() {
    let path = |query: &str| format!("/v1/k/bob?{query}");
    check(&path("i64=9007199254740993"), json!({"i64": "9007199254740993"})).await;
    check(&path("d=NaN"), json!({"d": "NaN"})).await;
    check(&path("by=%2B%2F8%3D"), json!({"by": "+/8="})).await;
    check(&path("color=77"), json!({"color": 77})).await;
    check(&path("tags=a&tags=b"), json!({"tags": ["a", "b"]})).await;
    check(&path("tags=a,b"), json!({"tags": ["a,b"]})).await;
    check(&path("colors=RED&colors=2"), json!({"colors": ["RED", "DARK_BLUE"]})).await;
    check(&path("ts.seconds=5"), json!({"ts": "1970-01-01T00:00:05Z"})).await;
    check(&path("ts=2024-01-02T03:04:05.5Z"), json!({"ts": "2024-01-02T03:04:05.500Z"})).await;
    check(&path("dur=1.5s"), json!({"dur": "1.500s"})).await;
    check(&path("mask=inner.two_words,name"), json!({"mask": "inner.twoWords,name"})).await;
    check(&path("mask=inner.twoWords,name"), json!({"mask": "inner.twoWords,name"})).await;
    check(&path("sv=x&i64v=9&bv=false"), json!({"sv": "x", "i64v": "9", "bv": false})).await;
    check(&path("snake_case_name=x"), json!({"snakeCaseName": "x"})).await;
    check(&path("snakeCaseName=x&customJson=y"), json!({"snakeCaseName": "x", "customJson": "y"})).await;
    check(&path("opt=a+b%20c;i32=1"), json!({"opt": "a b c;i32=1"})).await;
    check("/v1/k/bob?inner.deep.n=3&inner.twoWords=x&inner.list=1&inner.list=2", json!({"name": "bob"})).await;
}

#[tokio::test]
async fn queries_that_are_not_understood_are_refused() {
    let path = |query: &str| format!("/v1/k/bob?{query}");
    for unknown in ["zzz", "I32", "tags[]", "inners.id", "inner", "m", "m[a]", "st", "ts.zzz", "inner.zzz", "name.x"] {
        check_refused(&path(&format!("{unknown}=1")), &[&format!("{unknown}: is not a query parameter here")]).await;
    }
    check_refused(&path("i32=1&i32=2"), &["i32: is given twice"]).await;
    check_refused(&path("snake_case_name=1&snakeCaseName=2"), &["snakeCaseName: is given twice"]).await;
    check_refused(&path("oa=x&ob=1"), &["ob: cannot be given together with oa"]).await;
    check_refused(&path("b=yes"), &["b: must be true or false"]).await;
    check_refused(&path("bv=1"), &["bv: must be true or false"]).await;
    check_refused(&path("opt=%zz"), &["opt: has a broken percent escape, or one that is not UTF-8"]).await;
    check_refused(
        &path("i32=x&u64=-1"),
        &[
            "i32: must be a whole number from -2147483648 to 2147483647",
            "u64: must be a whole number from 0 to 18446744073709551615",
        ],
    )
    .await;
}

#[tokio::test]
async fn path_and_body_cannot_be_overridden_by_the_query() {
    check_refused("/v1/k/bob?name=evil", &["name: is given by the path and cannot be given in the query"]).await;
    let answer = post("/v1/star?i32=1", "{}").await;
    assert_eq!(answer.violations(), ["i32: belongs into the body"]);
    let answer = post("/v1/field/p?inner.n=1", "{}").await;
    assert_eq!(answer.violations(), ["inner.n: belongs into the body"]);
}

#[tokio::test]
async fn bodies_are_bound() {
    check_body("/v1/star", r#"{"i64":9007199254740993}"#, json!({"i64": "9007199254740993"})).await;
    check_body("/v1/star", r#"{"i64":"-5","i32":"5"}"#, json!({"i64": "-5", "i32": 5})).await;
    check_body("/v1/star", r#"{"i32":1e2,"nums":[1.0]}"#, json!({"i32": 100, "nums": [1]})).await;
    check_body("/v1/star", r#"{"d":"NaN","f":"Infinity"}"#, json!({"d": "NaN", "f": "Infinity"})).await;
    check_body("/v1/star", r#"{"custom":"x","snakeCaseName":"y"}"#, json!({"customJson": "x", "snakeCaseName": "y"}))
        .await;
    check_body("/v1/star", r#"{"name":null,"tags":null,"inner":null}"#, json!({"name": "", "tags": []})).await;
    check_body("/v1/star", r#"{"val":null,"st":{"a":[1,null]}}"#, json!({"val": null, "st": {"a": [1.0, null]}})).await;
    check_body(
        "/v1/star",
        r#"{"mask":"inner.twoWords","m":{"a":"b"}}"#,
        json!({"mask": "inner.twoWords", "m": {"a": "b"}}),
    )
    .await;
    check_body(
        "/v1/star",
        r#"{"any":{"@type":"type.googleapis.com/kit.v1.Thing","title":"x"}}"#,
        json!({"any": {"@type": "type.googleapis.com/kit.v1.Thing", "thingId": "", "title": "x", "size": "0"}}),
    )
    .await;
    check_body("/v1/star", "", json!({"name": ""})).await;
    check_body("/v1/starpath/p", r#"{"i32":5,"name":"evil"}"#, json!({"name": "p", "i32": 5})).await;
    check_body("/v1/rep/p", r#"[{"id":"a"},{"id":"b"}]"#, json!({"name": "p"})).await;
    check_body("/v1/scalar/p", r#""77""#, json!({"name": "p", "i64": "77"})).await;
    check_body("/v1/field/p?i32=3", r#"{"id":"x"}"#, json!({"name": "p", "i32": 3})).await;
}

#[tokio::test]
async fn bodies_that_are_not_understood_are_refused_with_the_path_of_the_field() {
    let path = "/v1/star";
    check_body_refused(path, r#"{"zzz":1,"name":5}"#, &["name: must be a string", "zzz: is not a field here"]).await;
    check_body_refused(
        path,
        r#"{"inners":[{},{"n":"x"}]}"#,
        &["inners[1].n: must be a whole number from -2147483648 to 2147483647"],
    )
    .await;
    check_body_refused(path, r#"{"inners":[null]}"#, &["inners[0]: must be an object"]).await;
    check_body_refused(path, r#"{"im":{"1":{"zzz":1}}}"#, &["im.1.zzz: is not a field here"]).await;
    check_body_refused(
        path,
        r#"{"snakeCaseName":"a","snake_case_name":"b"}"#,
        &["snake_case_name: is given twice, in two spellings"],
    )
    .await;
    check_body_refused(path, r#"{"oa":"x","ob":1}"#, &["ob: cannot be given together with oa"]).await;
    check_body_refused(path, r#"{"color":"red"}"#, &["color: must be one of COLOR_UNSPECIFIED, RED, DARK_BLUE"]).await;
    check_body_refused(path, r#"{"b":"true"}"#, &["b: must be true or false"]).await;
    check_body_refused(
        path,
        r#"{"i32":1.5,"u64":-1}"#,
        &[
            "i32: must be a whole number from -2147483648 to 2147483647",
            "u64: must be a whole number from 0 to 18446744073709551615",
        ],
    )
    .await;
    check_body_refused(path, r#"{"tags":"a","inner":[]}"#, &["inner: must be an object", "tags: must be an array"])
        .await;
    check_body_refused(path, r#"{"ts":"2024-01-02"}"#, &["ts: must be a time such as 2026-05-17T18:30:00Z"]).await;
    check_body_refused(path, "null", &["body: must not be null"]).await;
    check_body_refused(path, "[]", &["body: must be an object"]).await;
    check_body_refused("/v1/field/p", r#"{"twoWords":1}"#, &["twoWords: must be a string"]).await;
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let deep = r#"{"inner":"#.to_owned() + &r#"{"deep":"#.repeat(150);
    for body in [r#"{"name":"#, r#"{"name":"a"} x"#, r#"{"name":"a","name":"b"}"#, "\u{feff}{}", deep.as_str()] {
        let answer = post("/v1/star", body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.violations()[0].starts_with("body: is not valid JSON"), "{}", answer.text());
    }
    let answer = send("POST", "/v1/star", &[], b"{\"name\":\"\xff\"}".as_slice()).await;
    assert_eq!(answer.violations(), ["body: is not UTF-8 after byte 9"]);
}

#[tokio::test]
async fn messages_are_nested_as_deep_as_protobuf_reads_them() {
    let nested = |depth: usize| format!("{}{}", r#"{"deep":"#.repeat(depth) + "{}", "}".repeat(depth));

    assert_eq!(post("/v1/field/p", &nested(98)).await.status, 200);
    let answer = post("/v1/field/p", &nested(120)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.violations()[0].ends_with("is nested deeper than 99 messages"), "{}", answer.text());
}

#[tokio::test]
async fn a_body_where_none_is_mapped_is_refused() {
    let answer = send("PUT", "/v1/nobody/p", &[], r#"{"i32":5}"#).await;
    assert_eq!((answer.status, answer.violations()), (400, owned(&["body: must be empty here"])));
    assert_eq!(send("GET", "/v1/k/bob", &[], "x").await.status, 400);
}

#[tokio::test]
async fn a_body_of_another_type_or_size_is_refused() {
    assert_eq!(send("POST", "/v1/star", &[("content-type", "text/plain")], "{}").await.status, 415);
    assert_eq!(send("POST", "/v1/star", &[("content-encoding", "gzip")], "{}").await.status, 415);
    assert_eq!(send("POST", "/v1/star", &[], "{}").await.status, 200);
    let answer = post("/v1/star", &" ".repeat(10_001)).await;
    assert_eq!((answer.status, answer.json()["code"].clone()), (413, json!(11)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let body = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, tonic::Status>,
    >());
    let request = http::Request::post("/v1/star").body(body).unwrap();

    let response = crate::kit::transcoder().call(request, &|_: &str| Some(tower::service_fn(crate::kit::answer))).await;

    assert_eq!(response.status(), 408);
}

#[tokio::test]
async fn a_patch_without_a_mask_names_the_fields_that_it_gave() {
    let patch =
        async |query: &str, body: &'static str| send("PATCH", &format!("/v1/things/t{query}"), &[], body).await.json();

    let derived = patch("", r#"{"thingId":"other","title":"x","size":null}"#).await;
    assert_eq!(derived["updateMask"], "size,title");
    assert_eq!(derived["thing"]["thingId"], "t");
    assert_eq!(patch("?updateMask=title", r#"{"title":"x","size":"1"}"#).await["updateMask"], "title");
    assert_eq!(patch("?updateMask=", r#"{"title":"x","size":"1"}"#).await["updateMask"], "size,title");
    assert_eq!(patch("", "{}").await.get("updateMask"), None);
}

#[tokio::test]
async fn a_raw_body_passes_as_it_is() {
    let answer = send("POST", "/v1/up/n", &[("content-type", "image/png")], b"raw\x01\xff".as_slice()).await;

    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
    assert_eq!(answer.body.as_ref(), b"raw\x01\xff");
}

#[tokio::test]
async fn listed_headers_and_a_checked_timeout_reach_the_service() {
    let headers = [("traceparent", "t"), ("x-request-timeout", "2"), ("cookie", "c"), ("x-api-key", "k")];
    let seen = send("GET", "/v1/meta", &headers, "").await.json()["m"].clone();

    assert_eq!((&seen["traceparent"], &seen["x-api-key"]), (&json!("t"), &json!("k")));
    assert_eq!((&seen["grpc-timeout"], seen.get("cookie")), (&json!("2000000u"), None));
    assert_eq!(send("GET", "/v1/meta", &[("grpc-timeout", "5X")], "").await.status, 400);
}

#[tokio::test]
async fn a_header_that_the_configuration_names_reaches_the_service() {
    let config = serde_json::from_value(json!({"forwarded_headers": ["X-Tenant"]})).unwrap();
    let transcoder = Transcoder::new(&descriptors("kitchen.proto"), config).unwrap();
    let request = Request::get("/v1/meta").header("x-tenant", "7").header("x-other", "8");

    let seen = serve(&transcoder, request.body(Full::default()).unwrap()).await.json()["m"].clone();

    assert_eq!((&seen["x-tenant"], seen.get("x-other")), (&json!("7"), None));
    let refused = serde_json::from_value::<Config>(json!({"forwarded_headers": ["Host"]})).unwrap_err().to_string();
    assert!(refused.starts_with("host cannot be passed on"), "{refused}");
}
