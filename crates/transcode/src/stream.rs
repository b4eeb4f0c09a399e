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
use futures_util::{FutureExt, StreamExt, stream};
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
/// Bytes after which a piece is given though further messages are there. 16 KiB: a frame of HTTP/2, or a record of TLS.
const PIECE_MAX: usize = 16 << 10;
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
    async fn step(self) -> Option<(Result<Bytes, Status>, Option<Self>)> {
        if self.route.is_raw { self.raw_step().await } else { self.text_step().await }
    }

    async fn raw_step(mut self) -> Option<(Result<Bytes, Status>, Option<Self>)> {
        let raw = match self.message().await {
            Next::Message(message) => answer::raw(&self.route, &message),
            Next::End(status) => Err(status),
        };
        match raw {
            Ok(raw) => Some((Ok(raw.map_or_else(Bytes::new, |raw| raw.data)), Some(self))),
            Err(status) => self.raw_end(status).map(|end| (end, None)),
        }
    }

    /// The next messages, as many as are there already.
    async fn text_step(mut self) -> Option<(Result<Bytes, Status>, Option<Self>)> {
        let mut piece = Vec::new();
        let Some(mut next) = self.next().await else {
            return Some((Ok(Bytes::from_static(b": keepalive\n\n")), Some(self)));
        };
        loop {
            let written = match next {
                Next::Message(message) => self.write(&message, &mut piece),
                Next::End(status) => Err(status),
            };
            if let Err(status) = written {
                piece.extend(self.end(&status));
                return (!piece.is_empty()).then(|| (Ok(piece.into()), None));
            }
            let there = (piece.len() < PIECE_MAX).then(|| self.message().now_or_never()).flatten();
            let Some(more) = there else { return Some((Ok(piece.into()), Some(self))) };
            next = more;
        }
    }

    /// What comes next; `None` when an event stream is silent for so long.
    async fn next(&mut self) -> Option<Next> {
        match self.form {
            StreamForm::Lines | StreamForm::Array => Some(self.message().await),
            StreamForm::Events => timeout(KEEPALIVE, self.message()).await.ok(),
        }
    }

    /// Cancel safe: a message is taken only when it is there.
    async fn message(&mut self) -> Next {
        if let Some(first) = self.first.take() {
            return Next::Message(first);
        }
        match self.refusals.unless(self.messages.message()).await {
            Ok(Some(message)) => Next::Message(message),
            Ok(None) => Next::End(Status::ok("")),
            Err(refused) => Next::End(refused.status),
        }
    }

    /// Writes a message after what is there, all of it or nothing.
    fn write(&mut self, message: &Bytes, piece: &mut Vec<u8>) -> Result<(), Status> {
        let start = piece.len();
        match self.form {
            StreamForm::Events => self.put_event_head(message, piece),
            StreamForm::Array => piece.extend_from_slice(self.separator()),
            StreamForm::Lines => {}
        }
        answer::put_body(&self.route, message, piece).inspect_err(|_| piece.truncate(start))?;
        piece.extend_from_slice(match self.form {
            StreamForm::Events => b"\n\n",
            StreamForm::Lines => b"\n",
            StreamForm::Array => b"",
        });
        self.is_begun = true;
        Ok(())
    }

    fn put_event_head(&self, message: &Bytes, piece: &mut Vec<u8>) {
        let field = self.route.rpc.resumable.as_ref().map(|resumable| resumable.event_id.name());
        let id = field.and_then(|field| self.route.rpc.writes.text(std::iter::once(field), message));
        if let Some(id) = id.filter(|id| !id.contains(['\n', '\r', '\0'])) {
            piece.extend_from_slice(format!("id: {id}\n").as_bytes());
        }
        piece.extend_from_slice(b"data: ");
    }

    /// What precedes an element of an array.
    fn separator(&self) -> &'static [u8] {
        if self.is_begun { b",\n" } else { b"[" }
    }

    /// The end of a text.
    fn end(&self, status: &Status) -> Vec<u8> {
        self.called.ended(status.code());
        let is_ok = status.code() == tonic::Code::Ok;
        let json = self.statuses.json(status, Names::Proto { body: None });
        match self.form {
            StreamForm::Events => format!("event: status\ndata: {json}\n\n").into(),
            StreamForm::Lines if is_ok => Vec::new(),
            StreamForm::Lines => format!("{}\n", json!({"error": json})).into(),
            StreamForm::Array if is_ok => if self.is_begun { b"]".as_slice() } else { b"[]" }.into(),
            StreamForm::Array => {
                let error = json!({"error": json}).to_string();
                [self.separator(), error.as_bytes(), b"]"].concat()
            }
        }
    }

    /// The end of a raw body: it is cut off by an error, since it has no place for it.
    fn raw_end(&self, status: Status) -> Option<Result<Bytes, Status>> {
        self.called.ended(status.code());
        (status.code() != tonic::Code::Ok).then_some(Err(status))
    }
}
