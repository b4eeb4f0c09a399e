//! Writes the answers of a server stream: as server-sent events, as lines of JSON, as an array, or raw.
//!
//! Events: HTML, "Server-sent events"; the last one, `event: status`, tells how the stream ended, which the format itself cannot.

use crate::answer;
use crate::called::Called;
use crate::headers::StreamForm;
use crate::rule::Route;
use crate::status::{Names, Statuses};
use crate::upload::Refusals;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Status, Streaming};

/// How long an idle event stream is silent at most. 15 s: half of the 30 s after which common proxies cut a connection.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// What a client waits before it resumes, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// A server stream on its way to a client.
pub(crate) struct Feed {
    pub(crate) messages: Streaming<Bytes>,
    /// The first message, when it has come before the answer began.
    pub(crate) first: Option<Bytes>,
    pub(crate) route: Arc<Route>,
    pub(crate) form: StreamForm,
    pub(crate) statuses: Arc<Statuses>,
    pub(crate) called: Called,
    /// Tells when a message that the client streams is refused.
    pub(crate) refusals: Refusals,
    /// Whether a message is written already.
    pub(crate) is_begun: bool,
}

/// What a feed does next.
enum Next {
    Message(Bytes),
    Idle,
    End(Status),
}

impl Feed {
    /// The answer whose body is this feed.
    pub(crate) fn into_response(self) -> Result<Response<Body>, Status> {
        let content_type = if self.route.is_raw {
            self.raw_content_type()?
        } else {
            HeaderValue::from_static(match self.form {
                StreamForm::Events => "text/event-stream",
                StreamForm::Lines => "application/x-ndjson",
                StreamForm::Array => "application/json",
            })
        };
        let opening = match self.form {
            StreamForm::Events if !self.route.is_raw => Some(RETRY),
            StreamForm::Events | StreamForm::Lines | StreamForm::Array => None,
        };
        let opening = stream::iter(opening.map(|opening| Ok(Frame::data(Bytes::from_static(opening)))));
        let feed = stream::unfold(Some(self), |feed| async {
            let (frame, feed) = feed?.step().await?;
            Some((frame.map(Frame::data), feed))
        });
        let mut response = Response::new(Body::new(StreamBody::new(opening.chain(feed))));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    fn raw_content_type(&self) -> Result<HeaderValue, Status> {
        let raw = self.first.as_ref().map(|first| answer::raw(&self.route, first)).transpose()?;
        let content_type = raw.flatten().and_then(|raw| HeaderValue::from_str(&raw.content_type).ok());
        Ok(content_type.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream")))
    }

    /// One piece of the body, and the feed when it goes on.
    async fn step(mut self) -> Option<(Result<Bytes, Status>, Option<Self>)> {
        let written = match self.next().await {
            Next::Message(bytes) => self.write(&bytes),
            Next::Idle => Ok(Bytes::from_static(b": keepalive\n\n")),
            Next::End(status) => Err(status),
        };
        match written {
            Ok(piece) => {
                self.is_begun = true;
                Some((Ok(piece), Some(self)))
            }
            Err(status) => self.end(status).map(|piece| (piece, None)),
        }
    }

    async fn next(&mut self) -> Next {
        if let Some(first) = self.first.take() {
            return Next::Message(first);
        }
        // Cancel safe: a message is taken only when it is there.
        let message = self.refusals.unless(self.messages.message());
        let message = match self.form {
            StreamForm::Lines | StreamForm::Array => message.await,
            StreamForm::Events => match timeout(KEEPALIVE, message).await {
                Ok(message) => message,
                Err(_elapsed) => return Next::Idle,
            },
        };
        match message {
            Ok(Some(message)) => Next::Message(message),
            Ok(None) => Next::End(Status::ok("")),
            Err(refused) => Next::End(refused.status),
        }
    }

    fn write(&self, bytes: &Bytes) -> Result<Bytes, Status> {
        if let Some(raw) = answer::raw(&self.route, bytes)? {
            return Ok(raw.data);
        }
        let mut text = Vec::new();
        if self.form == StreamForm::Events {
            let field = self.route.rpc.resumable.as_ref().map(|resumable| resumable.event_id.name());
            let id = field.and_then(|field| self.route.rpc.writes.text(std::iter::once(field), bytes));
            if let Some(id) = id.filter(|id| !id.contains(['\n', '\r', '\0'])) {
                text.extend(format!("id: {id}\n").bytes());
            }
            text.extend(b"data: ");
        }
        if self.form == StreamForm::Array {
            text.extend(self.separator());
        }
        text.extend(answer::body(&self.route, bytes)?);
        text.extend(match self.form {
            StreamForm::Events => b"\n\n".as_slice(),
            StreamForm::Lines => b"\n".as_slice(),
            StreamForm::Array => b"".as_slice(),
        });
        Ok(text.into())
    }

    /// What precedes an element of an array.
    fn separator(&self) -> &'static [u8] {
        if self.is_begun { b",\n" } else { b"[" }
    }

    /// The last piece. A raw body is cut off by an error, since it has no place for it.
    fn end(self, status: Status) -> Option<Result<Bytes, Status>> {
        self.called.ended(status.code());
        let is_ok = status.code() == tonic::Code::Ok;
        if self.route.is_raw {
            return (!is_ok).then_some(Err(status));
        }
        let json = self.statuses.json(&status, Names::Proto { body: None });
        match self.form {
            StreamForm::Events => Some(Ok(format!("event: status\ndata: {json}\n\n").into())),
            StreamForm::Lines => (!is_ok).then(|| Ok(format!("{}\n", json!({"error": json})).into())),
            StreamForm::Array if is_ok => {
                Some(Ok(Bytes::from_static(if self.is_begun { b"]".as_slice() } else { b"[]" })))
            }
            StreamForm::Array => {
                let error = json!({"error": json}).to_string();
                Some(Ok([self.separator(), error.as_bytes(), b"]"].concat().into()))
            }
        }
    }
}
