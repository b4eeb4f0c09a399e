//! Cuts an answer into the messages of a socket.

use bytes::{Bytes, BytesMut};
use http::{Response, header};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use std::collections::VecDeque;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tonic::body::Body;
use tonic::{Code, Status};
use transcode::Called;

/// How an answer is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Lines, of which each is a message.
    Lines,
    /// All of it is one message.
    Whole,
    /// All of it is a status.
    Refusal,
    /// Each piece is a message, of any bytes.
    Raw,
}

/// An answer whose messages come one by one.
pub(super) struct Answer {
    body: Body,
    called: Option<Called>,
    form: Form,
    buffer: BytesMut,
    ready: VecDeque<Message>,
    is_ended: bool,
}

/// How a call ended, and what must still be said of it.
#[derive(Debug, PartialEq)]
pub(super) struct End {
    pub(super) code: Code,
    pub(super) last: Option<Message>,
}

impl End {
    /// A call that is ended here with a status.
    pub(super) fn of(status: &Status) -> Self {
        let error = json!({"code": i32::from(status.code()), "message": status.message(), "details": []});
        End { code: status.code(), last: Some(text(json!({"error": error}).to_string().into())) }
    }

    fn well() -> Self {
        End { code: Code::Ok, last: Some(text(json!({"status": {"code": 0}}).to_string().into())) }
    }
}

impl Answer {
    pub(super) fn new(response: Response<Body>) -> Self {
        let content_type = response.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        let form = match content_type {
            _ if !response.status().is_success() => Form::Refusal,
            Some(b"application/x-ndjson") => Form::Lines,
            Some(b"application/json") => Form::Whole,
            _ => Form::Raw,
        };
        let called = response.extensions().get::<Called>().cloned();
        let (buffer, ready) = (BytesMut::new(), VecDeque::new());
        Answer { body: response.into_body(), called, form, buffer, ready, is_ended: false }
    }

    /// The next message. Cancel safe: what was read is kept.
    pub(super) async fn next(&mut self) -> Result<Message, End> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(message);
            }
            if self.is_ended {
                return Err(self.end());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.take(data);
                    }
                }
                Some(Err(status)) => {
                    self.is_ended = true;
                    return Err(End::of(&status));
                }
                None => {
                    self.is_ended = true;
                    let rest = self.buffer.split().freeze();
                    if self.form != Form::Refusal && !rest.is_empty() {
                        self.ready.push_back(text(rest));
                    } else {
                        self.buffer = BytesMut::from(rest);
                    }
                }
            }
        }
    }

    fn take(&mut self, data: Bytes) {
        match self.form {
            Form::Raw if data.is_empty() => {}
            Form::Raw => self.ready.push_back(Message::Binary(data)),
            Form::Whole | Form::Refusal => self.buffer.extend_from_slice(&data),
            Form::Lines => {
                self.buffer.extend_from_slice(&data);
                while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                    let mut line = self.buffer.split_to(end + 1);
                    line.truncate(end);
                    self.ready.push_back(text(line.freeze()));
                }
            }
        }
    }

    /// How the call ended. A stream of lines has told an error already.
    fn end(&mut self) -> End {
        if self.form == Form::Refusal {
            let status = serde_json::from_slice::<Json>(&self.buffer).unwrap_or_default();
            let code =
                status["code"].as_i64().and_then(|code| i32::try_from(code).ok()).map_or(Code::Unknown, Code::from_i32);
            return End { code, last: Some(text(json!({"error": status}).to_string().into())) };
        }
        match self.called.as_ref().map_or(Code::Ok, Called::code) {
            Code::Ok => End::well(),
            code if self.form == Form::Lines => End { code, last: None },
            code => End::of(&Status::new(code, "the call failed")),
        }
    }
}

/// A message of text; the transcoder writes nothing else.
fn text(bytes: Bytes) -> Message {
    match Utf8Bytes::try_from(bytes) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Text(Utf8Bytes::from_static("null")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    #[track_caller]
    fn check(status: u16, content_type: &str, pieces: &[&'static str], expected: &[&str], end: Code) {
        let frames: Vec<Result<_, Status>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let response = Response::builder().status(status).header("content-type", content_type).body(body).unwrap();
        let mut answer = Answer::new(response);
        let mut messages = Vec::new();
        let ended = loop {
            match answer.next().now_or_never().unwrap() {
                Ok(message) => messages.push(String::from_utf8(message.into_data().to_vec()).unwrap()),
                Err(ended) => break ended,
            }
        };
        messages.extend(ended.last.map(|last| last.into_text().unwrap().to_string()));
        assert_eq!((messages.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), ended.code), (expected, end));
    }

    #[test]
    fn lines_are_messages_however_they_are_cut() {
        let ok = r#"{"status":{"code":0}}"#;

        check(200, "application/x-ndjson", &["{}\n{\"a\"", ":1}\n"], &["{}", "{\"a\":1}", ok], Code::Ok);
        check(200, "application/x-ndjson", &[], &[ok], Code::Ok);
        check(200, "application/json", &["{\"a\"", ":1}"], &["{\"a\":1}", ok], Code::Ok);
        check(200, "image/png", &["a", "b"], &["a", "b", ok], Code::Ok);
    }

    #[test]
    fn a_refusal_is_the_last_message() {
        check(404, "application/json", &[r#"{"code":5}"#], &[r#"{"error":{"code":5}}"#], Code::NotFound);
    }
}
