//! What is asked of a gateway, and what its answer must be.

use crate::hello::{GREETER, GreetRequest, Greeting, Letter, Paragraph, Priority};
use bytes::{BufMut, Bytes, BytesMut};
use clap::ValueEnum;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use prost::Message;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Numbers of a stream.
const STREAMED: usize = 10_000;
/// Paragraphs of about 130 bytes as JSON: together 1 MiB.
const PARAGRAPHS_OF_BIG: usize = 8_800;
/// What of 64 connections is busy on one HTTP/2 connection.
const STREAMS_OF_GRPC: usize = 8;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// A small GET, on 32 connections.
    TranscodeGet,
    /// A small POST, on 32 connections.
    TranscodePost,
    /// A small gRPC call, on 8 connections with 8 calls each.
    PassThrough,
    /// A POST of 1 MiB, which comes back, on 4 connections.
    BigPost,
    /// A stream of 10,000 messages as lines, on 4 connections.
    Stream,
}

/// How many calls are made at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width {
    pub(crate) connections: usize,
    pub(crate) calls_each: usize,
}

impl Width {
    /// One call at a time.
    pub(crate) const ONE: Width = Width { connections: 1, calls_each: 1 };
}

/// An answer that has come to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Case {
    pub(crate) const ALL: [Case; 5] =
        [Case::TranscodeGet, Case::TranscodePost, Case::PassThrough, Case::BigPost, Case::Stream];
    /// Those by which gateways are compared.
    pub(crate) const SMALL: [Case; 3] = [Case::TranscodeGet, Case::TranscodePost, Case::PassThrough];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Case::TranscodeGet => "transcode GET",
            Case::TranscodePost => "transcode POST",
            Case::PassThrough => "pass-through",
            Case::BigPost => "POST of 1 MiB",
            Case::Stream => "stream of 10,000",
        }
    }

    pub(crate) fn is_rest(self) -> bool {
        self != Case::PassThrough
    }

    pub(crate) fn width(self) -> Width {
        let (connections, calls_each) = match self {
            Case::TranscodeGet | Case::TranscodePost => (32, 1),
            Case::PassThrough => (8, STREAMS_OF_GRPC),
            Case::BigPost | Case::Stream => (4, 1),
        };
        Width { connections, calls_each }
    }

    pub(crate) fn request(self, target: SocketAddr) -> Request<Full<Bytes>> {
        let rest = |method, path: &str| {
            Request::builder().method(method).uri(path).header("host", target.to_string()).header("accept", "*/*")
        };
        let post = |letter: Value| {
            let request = rest(Method::POST, "/v1/letters").header("content-type", "application/json");
            (request, Bytes::from(letter.to_string()))
        };
        let (request, body) = match self {
            Case::TranscodeGet => (rest(Method::GET, "/v1/greet/bob"), Bytes::new()),
            Case::TranscodePost => post(letter_json(2)),
            Case::BigPost => post(letter_json(PARAGRAPHS_OF_BIG)),
            Case::Stream => {
                let request = Request::get(format!("/v1/count/{STREAMED}")).header("host", target.to_string());
                (request.header("accept", "application/x-ndjson, application/json;q=0.5"), Bytes::new())
            }
            Case::PassThrough => {
                let request = Request::post(format!("http://{target}/{GREETER}/Greet"));
                let request = request.header("content-type", "application/grpc").header("te", "trailers");
                (request, framed(&GreetRequest { name: "bob".to_owned() }))
            }
        };
        request.body(Full::new(body)).expect("a request of constants")
    }

    /// Whether an answer is the right one.
    pub(crate) fn is_right(self, answer: &Answer) -> bool {
        if answer.status != StatusCode::OK {
            return false;
        }
        let is_json = |expected: Value| serde_json::from_slice::<Value>(&answer.body).is_ok_and(|it| it == expected);
        match self {
            Case::TranscodeGet => is_json(json!({"message": "Hello bob"})),
            Case::TranscodePost => is_json(letter_json(2)),
            Case::BigPost => is_json(letter_json(PARAGRAPHS_OF_BIG)),
            Case::Stream => counted(&answer.body) == STREAMED,
            Case::PassThrough => {
                let is_ok = answer.trailers.get("grpc-status").is_some_and(|status| status == "0");
                is_ok && answer.body == framed(&Greeting { message: "Hello bob".to_owned() })
            }
        }
    }
}

/// The messages of a stream, whether they are lines, elements or events.
fn counted(body: &[u8]) -> usize {
    body.windows(b"\"name\"".len()).filter(|window| window == b"\"name\"").count()
}

/// A message as it is sent by gRPC.
fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).expect("messages of tests are small"));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// A letter in which every field has a value, so that it does not matter whether a gateway writes those that have none.
fn letter_json(paragraphs: usize) -> Value {
    let letter = Letter {
        recipient: "customers/4711".to_owned(),
        subject: "Your order is on its way".to_owned(),
        number: 9_007_199_254_740_993,
        priority: Priority::High as i32,
        paragraphs: (1..=paragraphs).map(paragraph).collect(),
    };
    let paragraphs = letter.paragraphs.iter().map(|it| json!({"text": it.text, "words": it.words, "emphasised": true}));
    json!({
        "recipient": letter.recipient,
        "subject": letter.subject,
        "number": letter.number.to_string(),
        "priority": "PRIORITY_HIGH",
        "paragraphs": paragraphs.collect::<Vec<_>>(),
    })
}

fn paragraph(number: usize) -> Paragraph {
    let text = format!("The courier has left with parcel {number}, which should reach you before the evening.");
    Paragraph { text, words: 14, emphasised: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> Answer {
        Answer { status: StatusCode::OK, body: Bytes::from_static(body.as_bytes()), trailers: HeaderMap::new() }
    }

    #[test]
    fn a_wrong_answer_is_seen() {
        assert!(Case::TranscodeGet.is_right(&answer(r#"{ "message": "Hello bob" }"#)));
        assert!(!Case::TranscodeGet.is_right(&answer(r#"{"message":"Hello eve"}"#)));
        assert!(!Case::TranscodeGet.is_right(&Answer { status: StatusCode::BAD_GATEWAY, ..answer("{}") }));
        assert!(!Case::PassThrough.is_right(&answer("")));
        assert!(!Case::Stream.is_right(&answer(r#"{"value":1,"name":"number 1"}"#)));
    }

    #[test]
    fn a_big_letter_is_1_mib() {
        let bytes = letter_json(PARAGRAPHS_OF_BIG).to_string().len();

        assert!((1 << 20..(1 << 20) + (1 << 17)).contains(&bytes), "{bytes}");
    }
}
