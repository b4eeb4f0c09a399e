//! The layer: what is judged when, and that each call has one outcome.

use crate::world::{World, config};
use breaker::{Begins, Body, BreakerLayer, Classify, Rejected, State, grpc};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::{Future, Ready, ready};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use tower::{Layer, Service};

type Piece = Result<Frame<&'static [u8]>, io::Error>;

/// An answer's body, piece by piece; after the last it ends, or hangs.
#[derive(Debug, Default)]
struct Script {
    pieces: VecDeque<Piece>,
    hangs: bool,
    knows_its_end: bool,
}

impl http_body::Body for Script {
    type Data = &'static [u8];
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        match self.pieces.pop_front() {
            None if self.hangs => Poll::Pending,
            piece => Poll::Ready(piece),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn script(pieces: impl IntoIterator<Item = Piece>) -> Script {
    Script { pieces: pieces.into_iter().collect(), ..Script::default() }
}

fn message() -> Piece {
    Ok(Frame::data(b"message"))
}

fn reset() -> Piece {
    Err(io::ErrorKind::ConnectionReset.into())
}

fn status(code: i32) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(code))])
}

fn trailers(code: i32) -> Piece {
    Ok(Frame::trailers(status(code)))
}

/// A peer that gives one answer, and counts how often it is asked.
#[derive(Debug, Clone, Default)]
struct Peer {
    asked: Arc<AtomicUsize>,
}

impl Peer {
    fn call<C: Classify>(&self, layer: &BreakerLayer<C>, answer: Result<Response<Script>, io::Error>) -> Answer<C> {
        let asked = Arc::clone(&self.asked);
        let answer = Arc::new(std::sync::Mutex::new(Some(answer)));
        let inner = tower::service_fn(move |_: Request<()>| -> Ready<Result<Response<Script>, io::Error>> {
            asked.fetch_add(1, Ordering::Relaxed);
            ready(answer.lock().unwrap().take().unwrap())
        });
        now(layer.layer(inner).call(Request::new(()))).unwrap()
    }
}

type Answer<C> = Result<Response<Body<Script, C>>, Box<dyn std::error::Error + Send + Sync>>;

/// What a future is ready with.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Reads a body until it ends, breaks or hangs.
fn read<C: Classify>(body: &mut Body<Script, C>) {
    let mut body = Pin::new(body);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut context) {}
}

/// Calls, failures and slow calls.
fn counts(world: &World) -> (u64, u64, u64) {
    let snapshot = world.breaker.snapshot();
    (snapshot.calls, snapshot.failures, snapshot.slow)
}

fn call(world: &World, body: Script) -> Body<Script> {
    let layer = BreakerLayer::grpc(world.breaker.clone());
    Peer::default().call(&layer, Ok(Response::new(body))).unwrap().into_body()
}

/// Envoy has looked at the head alone since 2019 (#8228), and linkerd's load bias does.
#[test]
fn a_status_in_the_trailers_counts_at_the_end_of_the_stream() {
    let world = World::new(&config());

    let mut body = call(&world, script([message(), trailers(14)]));
    assert_eq!(counts(&world), (0, 0, 0));
    read(&mut body);

    assert_eq!(counts(&world), (1, 1, 0));
    drop(body);
    assert_eq!(counts(&world), (1, 1, 0), "each call has one outcome");
}

/// armeria#4495: taken for a stream without a status.
#[test]
fn a_status_in_the_head_counts_at_once() {
    for (code, failures) in [(14, 1), (0, 0), (5, 0)] {
        let world = World::new(&config());
        let mut answer = Response::new(script([]));
        *answer.headers_mut() = status(code);

        let answer = Peer::default().call(&BreakerLayer::grpc(world.breaker.clone()), Ok(answer));

        assert_eq!(counts(&world), (1, failures, 0));
        drop(answer);
        assert_eq!(counts(&world), (1, failures, 0));
    }
}

#[test]
fn a_stream_that_the_peer_resets_after_some_messages_is_a_failure() {
    let world = World::new(&config());

    read(&mut call(&world, script([message(), message(), reset()])));

    assert_eq!(counts(&world), (1, 1, 0));
}

#[test]
fn a_stream_that_ends_without_a_status_is_a_failure() {
    let world = World::new(&config());

    read(&mut call(&world, script([message()])));

    assert_eq!(counts(&world), (1, 1, 0));
}

#[test]
fn a_caller_who_drops_a_stream_says_nothing_about_the_peer() {
    let world = World::new(&config());

    let mut body = call(&world, Script { hangs: true, ..script([message()]) });
    read(&mut body);
    world.advance_ms(86_400_000);
    drop(body);

    assert_eq!(counts(&world), (0, 0, 0));
}

#[test]
fn a_caller_who_gives_up_before_the_first_message_has_seen_that_it_is_slow() {
    let world = World::new(&config());

    let mut body = call(&world, Script { hangs: true, ..script([]) });
    read(&mut body);
    world.advance_ms(1_000);
    drop(body);

    assert_eq!(counts(&world), (1, 0, 1));
}

#[test]
fn a_call_that_is_dropped_before_its_head_has_an_outcome_too() {
    let world = World::new(&config());
    let hung = tower::service_fn(|_: Request<()>| std::future::pending::<Result<Response<Script>, io::Error>>());
    let mut service = BreakerLayer::grpc(world.breaker.clone()).layer(hung);

    let call = service.call(Request::new(()));
    world.advance_ms(1_000);
    drop(call);

    assert_eq!(counts(&world), (1, 0, 1));
}

#[test]
fn the_first_message_ends_a_probe_and_the_head_alone_does_not() {
    let world = World::new(&config());
    world.open_and_wait();

    let mut body = call(&world, Script { hangs: true, ..script([message()]) });
    assert_eq!(world.breaker.state(), State::HalfOpen);
    read(&mut body);

    assert_eq!(world.breaker.state(), State::Closed);
}

#[test]
fn the_head_ends_a_probe_where_streams_may_be_silent() {
    let world = World::new(&config());
    world.open_and_wait();
    let layer = BreakerLayer::grpc(world.breaker.clone()).begins(Begins::WithHead);

    let answer = Peer::default().call(&layer, Ok(Response::new(Script { hangs: true, ..script([]) })));

    assert_eq!(world.breaker.state(), State::Closed);
    drop(answer);
}

#[test]
fn a_transport_that_breaks_is_a_failure_and_its_error_is_passed_on() {
    let world = World::new(&config());

    let answer =
        Peer::default().call(&BreakerLayer::grpc(world.breaker.clone()), Err(io::ErrorKind::BrokenPipe.into()));

    assert!(answer.unwrap_err().is::<io::Error>());
    assert_eq!(counts(&world), (1, 1, 0));
}

#[test]
fn an_open_breaker_answers_unavailable_without_calling() {
    let world = World::new(&config());
    world.calls(5, breaker::Outcome::Failure);
    let peer = Peer::default();

    let answer = peer.call(&BreakerLayer::grpc(world.breaker.clone()), Ok(Response::new(script([])))).unwrap();

    assert_eq!(peer.asked.load(Ordering::Relaxed), 0);
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(answer.headers()[grpc::PUSHBACK], "1000");
    assert!(answer.extensions().get::<Rejected>().is_some());
    assert!(answer.into_body().is_end_stream());
}

#[test]
fn an_open_breaker_answers_503_in_plain_http() {
    let world = World::new(&config());
    world.calls(5, breaker::Outcome::Failure);
    world.advance_ms(1);

    let layer = BreakerLayer::http(world.breaker.clone());
    let answer = Peer::default().call(&layer, Ok(Response::new(script([])))).unwrap();

    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(1))
    );
}

/// What was shed on this side is not the peer's failure.
#[test]
fn a_refusal_by_a_breaker_further_in_is_not_counted() {
    let inner = World::new(&config());
    inner.calls(5, breaker::Outcome::Failure);
    let outer = World::new(&config());
    let peer = tower::service_fn(|_: Request<()>| ready(Ok::<_, io::Error>(Response::new(script([])))));
    let inner = BreakerLayer::grpc(inner.breaker.clone()).layer(peer);
    let mut service = BreakerLayer::grpc(outer.breaker.clone()).layer(inner);

    let answer = now(service.call(Request::new(())));

    assert_eq!(answer.unwrap().unwrap().headers()["grpc-status"], "14");
    assert_eq!(counts(&outer), (0, 0, 0));
}

#[test]
fn a_plain_answer_counts_when_its_body_has_come_to_its_end() {
    let world = World::new(&config());
    let layer = BreakerLayer::http(world.breaker.clone());
    let call = |body| Peer::default().call(&layer, Ok(Response::new(body))).unwrap().into_body();

    read(&mut call(script([message(), message()])));
    assert_eq!(counts(&world), (1, 0, 0));
    read(&mut call(script([message(), reset()])));
    assert_eq!(counts(&world), (2, 1, 0));
}

/// hyper's readers stop at a body that says that it has ended.
#[test]
fn a_body_that_knows_its_end_is_not_read_beyond_it() {
    let world = World::new(&config());
    let layer = BreakerLayer::http(world.breaker.clone());
    let call = |body| Peer::default().call(&layer, Ok(Response::new(body))).unwrap().into_body();

    drop(call(Script { knows_its_end: true, ..script([]) }));
    assert_eq!(counts(&world), (1, 0, 0));
    let mut body = call(Script { knows_its_end: true, ..script([message()]) });
    let frame = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(frame.is_ready());
    assert_eq!(counts(&world), (2, 0, 0));
}
