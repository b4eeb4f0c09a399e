//! One endpoint: its breaker, its load, its line, and what becomes of an attempt there.

use super::deadline::Until;
use super::fault::code_of;
use super::interview::Offer;
use super::line::{Failed, Line};
use super::load::Load;
use super::told::Told;
use super::{Fault, Methods, PoolConfig};
use crate::timeout;
use breaker::{Breaker, Outcome, OwnedPermit};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::{Code, Status};

/// Less than this is no fair chance to answer, whatever the endpoint usually takes.
pub(super) const CHANCE_MIN: Duration = Duration::from_millis(50);
/// An endpoint has had its chance when it took this many times what it usually takes.
const CHANCE: u32 = 2;

/// Which endpoint an answer came from that is nothing but a status; stands in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Arc<str>);

/// One endpoint, which stays the same while discovery changes its mind about it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: Arc<str>,
    pub(crate) line: Line,
    pub(crate) breaker: Breaker,
    pub(crate) load: Load,
    pub(crate) told: Told,
    /// Wakes whoever probes it.
    pub(crate) suspected: Notify,
    /// What it said over its connection; what it was is left while there is none.
    offer: AtomicU64,
    slow_after: Duration,
    ejection: Ejection,
}

/// A place among those that may be left out at once. It is taken back when the endpoint is well again, or is dropped.
#[derive(Debug)]
struct Ejection {
    is_taken: AtomicBool,
    taken: Arc<AtomicUsize>,
}

/// What an attempt is made under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long its answer may take to begin.
    pub(crate) timeout: Option<Duration>,
    /// Whether the answer may be held back on purpose.
    pub(crate) is_held: bool,
}

impl Terms {
    pub(crate) fn of(request: &Request<Body>, methods: &Methods, config: &PoolConfig) -> Self {
        let default = Duration::from_millis(config.attempt_timeout_ms);
        let (timeout, is_held) = methods.terms(request.uri().path(), request.headers(), default);
        Terms { timeout, is_held }
    }
}

impl Endpoint {
    pub(crate) fn new(
        name: Arc<str>,
        line: Line,
        breaker: Breaker,
        slow_after: Duration,
        ejected: Arc<AtomicUsize>,
    ) -> Self {
        Endpoint {
            name,
            line,
            breaker,
            load: Load::new(Instant::now()),
            told: Told::default(),
            suspected: Notify::new(),
            offer: AtomicU64::new(0),
            slow_after,
            ejection: Ejection { is_taken: AtomicBool::new(false), taken: ejected },
        }
    }

    /// Whether it is left out while its breaker is open: only so many of the endpoints may be, `max` of them.
    pub(crate) fn is_ejected(&self, max: usize) -> bool {
        self.ejection.take(max)
    }

    /// Its breaker is closed.
    pub(crate) fn is_well(&self) {
        self.ejection.give_back();
    }

    pub(crate) fn offer(&self) -> Offer {
        Offer(self.offer.load(Ordering::Acquire))
    }

    /// Takes down what it has said.
    pub(crate) fn offers(&self, offer: Offer) {
        self.offer.store(offer.0, Ordering::Release);
    }

    /// Makes an attempt. What was not sent comes back, so that it can be sent elsewhere.
    pub(crate) async fn attempt(
        self: Arc<Self>,
        mut request: Box<Request<Body>>,
        permit: Option<OwnedPermit>,
        terms: Terms,
    ) -> Result<Response<Body>, (Fault, Option<Box<Request<Body>>>)> {
        tell_timeout(&mut request);
        let mut call = UnderWay::begin(self.clone(), permit, terms.is_held);
        let sent = self.line.send(request);
        let answer = match terms.timeout {
            None => sent.await,
            Some(after) => match tokio::time::timeout(after, sent).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    call.timed_out();
                    return Err((Fault::Late { peer: self.name.clone(), after }, None));
                }
            },
        };
        let peer = self.name.clone();
        match answer {
            Ok(mut response) => {
                // Only an answer that may be asked for again elsewhere has to say where it came from.
                if code_of(response.headers()).is_some() {
                    response.extensions_mut().insert(Peer(peer));
                }
                Ok(call.follow(response))
            }
            Err(Failed::Returned(request, source)) => {
                call.end(Outcome::Ignored, None);
                Err((Fault::NotSent { peer, source }, Some(request)))
            }
            Err(Failed::Refused(source)) => {
                call.end(Outcome::Ignored, None);
                Err((Fault::NotSent { peer, source }, None))
            }
            Err(Failed::Broken(source)) => {
                call.end(Outcome::Failure, None);
                Err((Fault::Broken { peer, source }, None))
            }
        }
    }
}

impl Ejection {
    fn take(&self, max: usize) -> bool {
        if self.is_taken.load(Ordering::Acquire) {
            return true;
        }
        let room = |taken: usize| (taken < max).then_some(taken + 1);
        if self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_err() {
            return false;
        }
        if self.is_taken.swap(true, Ordering::AcqRel) {
            // Somebody else has taken it meanwhile.
            self.taken.fetch_sub(1, Ordering::AcqRel);
        }
        true
    }

    fn give_back(&self) {
        if self.is_taken.load(Ordering::Relaxed) && self.is_taken.swap(false, Ordering::AcqRel) {
            self.taken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Ejection {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The server is told what is left of the call's time.
fn tell_timeout(request: &mut Request<Body>) {
    if let Some(Until(deadline)) = request.extensions().get().copied() {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        request.headers_mut().insert(timeout::HEADER, timeout::encode(left.max(Duration::from_nanos(1))));
    }
}

/// An attempt that is not over. Whatever ends it, its outcome is told exactly once.
struct UnderWay {
    endpoint: Arc<Endpoint>,
    permit: Option<OwnedPermit>,
    begun: Instant,
    is_held: bool,
    is_answered: bool,
    is_over: bool,
}

impl UnderWay {
    fn begin(endpoint: Arc<Endpoint>, permit: Option<OwnedPermit>, is_held: bool) -> Self {
        endpoint.load.begin();
        UnderWay { endpoint, permit, begun: Instant::now(), is_held, is_answered: false, is_over: false }
    }

    /// Follows an answer to its end, which may be in its headers already.
    fn follow(mut self, response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        if let Some(code) = code_of(headers) {
            self.end_with(code, headers);
            return response;
        }
        if response.status() != StatusCode::OK {
            self.end(of_http(response.status()), pushback(headers));
            return response;
        }
        response.map(|body| Body::new(Followed { body, call: Some(self) }))
    }

    /// The first message is here: how long it took is known, and a probe has its verdict, so that a stream may go on for a day.
    fn answered(&mut self) {
        if self.is_answered {
            return;
        }
        self.is_answered = true;
        let now = Instant::now();
        if !self.is_held {
            self.endpoint.load.answered(now - self.begun, now);
        }
        if let Some(permit) = &mut self.permit {
            permit.answered();
        }
    }

    fn end_with(&mut self, code: Code, headers: &HeaderMap) {
        // What went well asks for no pause.
        let pushback = if code == Code::Ok { None } else { pushback(headers) };
        let outcome = match code {
            Code::DeadlineExceeded if !self.had_its_chance() => Outcome::Ignored,
            code => breaker::grpc::outcome(code as i32, pushback.is_some()),
        };
        self.end(outcome, pushback);
    }

    fn timed_out(&mut self) {
        self.end(if self.had_its_chance() { Outcome::Failure } else { Outcome::Ignored }, None);
    }

    fn had_its_chance(&self) -> bool {
        let usual = self.endpoint.load.estimate(self.begun);
        self.begun.elapsed() >= CHANCE_MIN.max(usual * CHANCE)
    }

    fn end(&mut self, outcome: Outcome, pushback: Option<Duration>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let (now, load) = (Instant::now(), &self.endpoint.load);
        let took = now - self.begun;
        match outcome {
            Outcome::Failure | Outcome::Pushback => load.failed(took, pushback, now),
            Outcome::Success | Outcome::Slow if !self.is_answered && !self.is_held => load.answered(took, now),
            Outcome::Success | Outcome::Slow | Outcome::Ignored => {}
        }
        let is_slow_by_intent = self.is_held && outcome == Outcome::Success && took >= self.endpoint.slow_after;
        if let Some(permit) = self.permit.take() {
            permit.record(if is_slow_by_intent { Outcome::Ignored } else { outcome });
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Given up by the caller. What it waited is the least that the answer would have taken; the permit decides whether that was slow.
        if !self.is_over && !self.is_held && !self.is_answered {
            let now = Instant::now();
            let waited = now - self.begun;
            if waited > self.endpoint.load.estimate(now) {
                self.endpoint.load.answered(waited, now);
            }
        }
        if !self.is_over && self.is_held {
            self.end(Outcome::Ignored, None);
        }
        self.endpoint.load.end();
    }
}

/// The body of an answer, of which the trailers say how the call ended.
struct Followed {
    body: Body,
    /// `None` once it is over.
    call: Option<UnderWay>,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(call) = &mut self.call else { return Poll::Ready(frame) };
        match &frame {
            Some(Ok(frame)) if frame.is_data() => call.answered(),
            Some(Ok(frame)) => {
                let none = HeaderMap::new();
                let trailers = frame.trailers_ref().unwrap_or(&none);
                call.end_with(code_of(trailers).unwrap_or(Code::Unknown), trailers);
            }
            // The line broke, or the server gave the stream up.
            Some(Err(_)) => call.end(Outcome::Failure, None),
            // An answer without a status: not by gRPC, such as a proxy's page.
            None => call.end(Outcome::Failure, None),
        }
        if call.is_over {
            self.call = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_none() && self.body.is_end_stream()
    }
}

/// When a server wants to be called again, in gRPC's words or in HTTP's.
fn pushback(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: HeaderName| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let in_ms = number(breaker::grpc::PUSHBACK).map(Duration::from_millis);
    in_ms.or_else(|| number(header::RETRY_AFTER).map(Duration::from_secs))
}

/// What an answer means that is not gRPC's, but that of a proxy before the server.
fn of_http(status: StatusCode) -> Outcome {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Outcome::Pushback,
        status if status.is_server_error() => Outcome::Failure,
        _ => Outcome::Success,
    }
}
