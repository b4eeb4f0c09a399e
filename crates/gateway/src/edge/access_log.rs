//! A line of JSON for each request: who asked for what, how it ended, how large it was and how long it took.
//!
//! No path but that of an own endpoint, no query string and no header is in it but the ids of the request, so that it holds no secret.

use super::Peer;
use super::ids::Ids;
use crate::Error;
use bytes::Bytes;
use guard::Caller;
use http::{Method, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use telemetry::lines::Lines;
use tonic::body::Body;
use tonic::{Code, Status};

/// Where the lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLogConfig {
    /// Nowhere. That is the default, since a line costs as much as a tenth of a small request.
    #[default]
    Off,
    /// To standard output, where log collectors read.
    Stdout,
    /// To this file; one that is moved away is made anew.
    File(PathBuf),
}

/// Writes the lines.
pub(crate) struct AccessLog(Arc<Lines>);

/// What there is to tell of one request; in its extensions, for whoever learns some of it. The line is written when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Witness(Arc<Record>);

struct Record {
    lines: Arc<Lines>,
    begun: Instant,
    peer: IpAddr,
    method: Method,
    ids: Arc<Ids>,
    protocol: OnceLock<&'static str>,
    rpc: OnceLock<String>,
    path: OnceLock<&'static str>,
    caller: Caller,
    status: AtomicU16,
    /// [`NO_CODE`] for what is no call.
    code: AtomicI32,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

/// No code of gRPC.
const NO_CODE: i32 = -1;

/// A line, in the order of its fields.
#[derive(Serialize)]
struct Line<'r> {
    time: String,
    peer: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'r str>,
    protocol: &'static str,
    method: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    bytes_in: u64,
    bytes_out: u64,
    ms: f64,
    request_id: &'r str,
    trace_id: &'r str,
}

impl AccessLog {
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn open(config: &AccessLogConfig) -> Result<Option<Self>, Error> {
        let lines = match config {
            AccessLogConfig::Off => return Ok(None),
            AccessLogConfig::Stdout => Lines::to_stdout(),
            AccessLogConfig::File(path) => Lines::to_file(path),
        };
        lines.map(|lines| Some(AccessLog(Arc::new(lines)))).map_err(Error::AccessLog)
    }

    /// Begins the line of a request, and counts what is read of it.
    pub(super) fn begin(&self, request: Request<Body>, peer: &Peer, ids: &Arc<Ids>) -> (Request<Body>, Witness) {
        let witness = Witness(Arc::new(Record {
            lines: Arc::clone(&self.0),
            begun: Instant::now(),
            peer: peer.address,
            method: request.method().clone(),
            ids: Arc::clone(ids),
            protocol: OnceLock::new(),
            rpc: OnceLock::new(),
            path: OnceLock::new(),
            caller: Caller::default(),
            status: AtomicU16::new(0),
            code: AtomicI32::new(NO_CODE),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }));
        let counter = witness.clone();
        let mut request = request.map(|body| Body::new(Counted { body, witness: counter, direction: Direction::In }));
        request.extensions_mut().insert(witness.0.caller.clone());
        request.extensions_mut().insert(witness.clone());
        (request, witness)
    }
}

impl Witness {
    /// The endpoint of the gateway's own that was asked for.
    pub(crate) fn at(&self, path: &'static str) {
        // The first word counts.
        let _is_known = self.0.path.set(path).is_err();
    }

    /// How the call of this protocol ended.
    pub(crate) fn called(&self, protocol: &'static str, rpc: &str, code: Code) {
        let _is_known = self.0.protocol.set(protocol).is_err() || self.0.rpc.set(rpc.to_owned()).is_err();
        self.0.code.store(code.into(), Ordering::Relaxed);
    }

    /// Counts what is sent of the answer.
    pub(super) fn answered(self, response: Response<Body>) -> Response<Body> {
        self.0.status.store(response.status().as_u16(), Ordering::Relaxed);
        response.map(|body| Body::new(Counted { body, witness: self, direction: Direction::Out }))
    }

    /// Counts what a WebSocket has carried.
    pub(super) fn carried(&self, bytes_in: usize, bytes_out: usize) {
        self.0.bytes_in.fetch_add(bytes_in as u64, Ordering::Relaxed);
        self.0.bytes_out.fetch_add(bytes_out as u64, Ordering::Relaxed);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let code = self.code.load(Ordering::Relaxed);
        let line = Line {
            time: format!("{:.3}", Timestamp::now()),
            peer: self.peer,
            identity: self.caller.identity().map(|identity| identity.subject.as_str()),
            protocol: self.protocol.get().copied().unwrap_or("http"),
            method: self.method.as_str(),
            rpc: self.rpc.get().map(String::as_str),
            path: self.path.get().copied(),
            status: self.status.load(Ordering::Relaxed),
            code: (code != NO_CODE).then_some(code),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            ms: (self.begun.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            request_id: self.ids.request(),
            trace_id: self.ids.trace(),
        };
        let mut text = serde_json::to_string(&line).expect("it has no map with other keys than strings");
        text.push('\n');
        self.lines.write(text);
    }
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    In,
    Out,
}

/// A body that is counted.
struct Counted {
    body: Body,
    witness: Witness,
    direction: Direction,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match self.direction {
                Direction::In => self.witness.carried(bytes, 0),
                Direction::Out => self.witness.carried(0, bytes),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
