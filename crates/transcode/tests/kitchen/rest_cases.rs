//! The 93 recorded requests: what four gateways answered, what this one answers, and why where it stands alone.

use crate::kit::Answer;
use crate::public::{Kitchen, require};
use bytes::Bytes;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Where this one answers otherwise than most of the others who agree: the case, the status, and the reason.
const DIFFERENT: [(&str, u16, &str); 17] = [
    ("path.empty_seg", 404, "a variable of one segment is never empty; an id that is missing is no id"),
    ("path.multi_pct", 200, "an encoded slash is a part of its segment (RFC 3986 2.2)"),
    (
        "path.deep_pct",
        200,
        "in a variable of several segments an encoded slash stays encoded (http.proto), or two paths are one",
    ),
    ("route.options", 204, "OPTIONS is answered here with Allow, and never forwarded"),
    ("c.preflight", 204, "OPTIONS is answered here with Allow, and never forwarded; CORS is the gateway's"),
    ("q.enum_unknown_num", 200, "enums of proto3 are open: a newer client may know more names than this gateway"),
    ("q.rep_brackets", 400, "there is no field `tags[]`, and a value that is dropped is a wrong answer"),
    ("q.map", 400, "there is no field `m[a]`, and a value that is dropped is a wrong answer"),
    ("q.unknown", 400, "strict: a parameter that is misspelt and ignored is a wrong answer"),
    ("q.case", 400, "strict: names have one spelling, or two with that of the `.proto` file"),
    ("q.dup_scalar", 400, "strict: of two values, which one is meant is not to be guessed"),
    ("b.unknown", 400, "strict: a field that is misspelt and ignored is a wrong answer"),
    ("b.dup", 400, "readers of JSON differ on which of two keys counts (RFC 8259 4)"),
    ("b.get_with_body", 400, "a body where none is mapped is neither merged nor ignored"),
    ("b.big", 413, "the limit of a body is seen here, and told as what it is"),
    ("r.etag", 304, "`If-None-Match: *` of what is there is answered without it (RFC 9110 13.1.2)"),
    ("s.err2_sse", 200, "the last event tells how the stream ended"),
];

#[tokio::test]
async fn every_recorded_request_is_answered_as_by_the_others_or_for_a_reason() {
    let (Some(kitchen), Some(path)) = (Kitchen::open(), require("rest_cases.json")) else { return };
    let cases: Vec<Json> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 93);
    let reasons: BTreeMap<&str, (u16, &str)> =
        DIFFERENT.iter().map(|(id, status, why)| (*id, (*status, *why))).collect();

    let mut complaints = Vec::new();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let answer = ask(&kitchen, case).await;
        let is_common = most_common(case).contains(&meaning(id, answer.status, answer.text()));
        match (is_common, reasons.get(id)) {
            (true, None) => {}
            (false, Some((status, _))) if *status == answer.status => {}
            _ => complaints.push(format!("{id}: {} {}", answer.status, answer.text())),
        }
    }

    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(DIFFERENT.iter().all(|(id, ..)| cases.iter().any(|case| case["id"] == *id)));
}

async fn ask(kitchen: &Kitchen, case: &Json) -> Answer {
    let headers = case["headers"].as_object().unwrap().iter();
    let headers: Vec<(&str, &str)> = headers.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let body = match case["body"].as_str() {
        Some("REPEAT_X_5000000") => format!(r#"{{"name":"{}"}}"#, "X".repeat(5_000_000)),
        body => body.unwrap_or_default().to_owned(),
    };
    kitchen.send(case["method"].as_str().unwrap(), case["path"].as_str().unwrap(), &headers, Bytes::from(body)).await
}

/// What the largest groups of the others say: an answer that two give outweighs one that a single gateway gives.
fn most_common(case: &Json) -> Vec<String> {
    let id = case["id"].as_str().unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for answer in case["answers"].as_object().unwrap().values() {
        let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        *counts.entry(meaning(id, status, answer["body"].as_str().unwrap_or_default())).or_default() += 1;
    }
    let most = counts.values().max().copied().unwrap_or_default();
    counts.into_iter().filter(|(_, count)| *count == most).map(|(meaning, _)| meaning).collect()
}

/// An answer without what gateways write differently and mean alike: texts of errors, defaults, the frames of streams.
fn meaning(id: &str, status: u16, body: &str) -> String {
    if status >= 300 || id.starts_with("m.") || id.starts_with("route.") {
        return status.to_string();
    }
    let unframed = |line: &str| line.strip_prefix("data: ").unwrap_or(line).to_owned();
    let lines: Vec<String> = body.lines().map(unframed).filter(|line| line.starts_with(['{', '['])).collect();
    let parsed = serde_json::from_str::<Json>(body).map(|json| match json {
        Json::Array(elements) if id.starts_with("s.") => elements,
        json => vec![json],
    });
    let messages: Vec<Json> = match parsed {
        Ok(messages) => messages,
        Err(_) => lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    let bare = |message: Json| message.get("result").cloned().unwrap_or(message);
    let texts: Vec<String> =
        messages.into_iter().filter_map(|message| trim(&bare(message))).map(|json| json.to_string()).collect();
    let raw = if texts.is_empty() && !body.starts_with(['{', '[', '"']) { body } else { "" };
    format!("{status} {}{raw}", texts.join(" "))
}

/// Without defaults.
fn trim(json: &Json) -> Option<Json> {
    match json {
        Json::Object(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| Some((key.clone(), trim(value)?)));
            let entries: serde_json::Map<_, _> = entries.collect();
            (!entries.is_empty()).then(|| entries.into())
        }
        Json::Array(elements) => (!elements.is_empty()).then(|| elements.iter().filter_map(trim).collect()),
        Json::Number(number) => (number.as_f64() != Some(0.0)).then(|| json.clone()),
        Json::String(text) => (!matches!(text.as_str(), "" | "0" | "COLOR_UNSPECIFIED")).then(|| json.clone()),
        Json::Bool(value) => value.then(|| json.clone()),
        Json::Null => None,
    }
}
