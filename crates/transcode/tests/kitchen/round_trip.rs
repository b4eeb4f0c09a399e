//! JSON to bytes and back: what a client sends and a service echoes is what the client gets.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

/// A message in the one form that answers have: defaults printed, 64-bit numbers as strings, nothing unset.
fn message() -> impl Strategy<Value = Json> {
    let numbers = (any::<i32>(), any::<i64>(), any::<u64>(), any::<bool>());
    let texts = (any::<String>(), vec(any::<String>(), 0..4), btree_map("[a-z]{1,3}", any::<String>(), 0..4));
    let values =
        (0..=253_402_300_799_i64, prop_oneof!["RED", "DARK_BLUE"], vec(any::<u8>(), 0..9), vec(any::<i32>(), 0..4));
    (numbers, texts, values).prop_map(|((i32, i64, u64, b), (name, tags, m), (seconds, color, bytes, nums))| {
        json!({
            "i32": i32, "i64": i64.to_string(), "u64": u64.to_string(), "b": b,
            "name": name, "tags": tags, "m": m, "opt": name, "sv": name,
            "ts": timestamp(seconds), "color": color, "by": base64(&bytes), "nums": nums, "i64v": i64.to_string(),
            "inner": {"id": name, "n": i32, "list": tags, "twoWords": ""},
        })
    })
}

fn timestamp(seconds: i64) -> String {
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[usize::try_from(digit).unwrap()]) } else { '=' });
        }
    }
    text
}

/// 256 requests, and not proptest's retries: each is a whole call.
const CASES: u32 = 256;

#[test]
fn what_is_sent_comes_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let transcoder = crate::kit::transcoder();
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) });

    let outcome = runner.run(&message(), |sent| {
        let request =
            http::Request::post("/v1/star").body(http_body_util::Full::new(bytes::Bytes::from(sent.to_string())));
        let call = transcoder.call(request.unwrap(), &|_: &str| Some(tower::service_fn(crate::kit::answer)));
        let response = runtime.block_on(call);
        let body = runtime.block_on(http_body_util::BodyExt::collect(response.into_body())).unwrap().to_bytes();
        let got: Json = serde_json::from_slice(&body).unwrap();
        for (name, value) in sent.as_object().unwrap() {
            proptest::prop_assert_eq!(&got[name], value, "{}", name);
        }
        Ok(())
    });

    outcome.unwrap();
}
