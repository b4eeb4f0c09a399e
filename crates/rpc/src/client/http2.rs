//! One HTTP/2 connection to an endpoint, on which callers write and read in their own tasks.
//!
//! hyper's client hands each request to the task of the connection and its answer back through a task of its own, which is two queues and three
//! wake-ups for a call. `h2` itself needs none: a caller puts its frames into the connection, and is woken by the frames of its answer.

use super::line::Failed;
use crate::calls::Calls;
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame};
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use std::error::Error;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Code;
use tonic::body::Body;

/// How long a peer may take to answer a ping before its connection counts as lost. With the interval before it, a peer that is gone without
/// a word is noticed in ten seconds.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// What may be on its way to us on one connection, and on one stream of it, before we must have read it.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of an answer's headers, and of its trailers, at most: as much as hyper's client takes.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// What of a body goes to the connection without waiting for the peer's window. 64 KiB: what is kept of a call for another attempt, so it
/// is in memory anyway.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;
/// What HTTP/1 says of a connection, and HTTP/2 does not take (RFC 9113 8.2.2).
const OF_CONNECTIONS: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What is another value for each call. In the table that HPACK keeps of the headers that were sent, it would push out those that come again.
const OF_ONE_CALL: [HeaderName; 3] =
    [crate::timeout::HEADER, HeaderName::from_static("traceparent"), HeaderName::from_static("x-request-id")];

/// A connection. Clones are the same one; it ends when the last of them and all calls have.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    requests: SendRequest<Bytes>,
    calls: Calls,
    end: End,
}

/// Whether a connection takes no more calls. Looking is a load: callers on all threads do it for each call.
#[derive(Debug, Clone, Default)]
pub(crate) struct End(Arc<Ending>);

#[derive(Debug, Default)]
struct Ending {
    has_come: AtomicBool,
    told: CancellationToken,
}

/// Has the end come when it is dropped.
struct AtDrop(End);

impl End {
    pub(crate) fn has_come(&self) -> bool {
        self.0.has_come.load(Ordering::Acquire)
    }

    fn comes(&self) {
        self.0.has_come.store(true, Ordering::Release);
        self.0.told.cancel();
    }

    /// Waits for it.
    pub(crate) async fn reached(self) {
        self.0.told.cancelled().await;
    }
}

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.comes();
    }
}

/// How a connection to an endpoint is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialling {
    pub(crate) address: SocketAddr,
    pub(crate) within: Duration,
    pub(crate) keepalive: Duration,
}

impl Dialling {
    /// Opens a connection. The future beside the sender ends when it takes no more calls.
    pub(crate) async fn dial(self) -> Result<(Sender, impl Future<Output = ()>), Arc<dyn Error + Send + Sync>> {
        let dialled = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let mut builder = Builder::new();
            builder
                .enable_push(false)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .initial_window_size(STREAM_WINDOW_BYTES)
                .max_header_list_size(HEADER_BYTES_MAX);
            builder.handshake::<_, Bytes>(stream).await.map_err(std::io::Error::other)
        };
        let (requests, mut connection) = match timeout(self.within, dialled).await {
            Ok(Ok(dialled)) => dialled,
            Ok(Err(error)) => return Err(Arc::new(error)),
            Err(elapsed) => return Err(Arc::new(elapsed)),
        };
        let end = End::default();
        let (pings, over) = (connection.ping_pong(), AtDrop(end.clone()));
        let calls = Calls::default();
        let sender = Sender { requests, calls: calls.clone(), end: end.clone() };
        // Ends with the connection, which ends with its last call.
        TokioExecutor::new().execute(async move {
            let running = pin!(async {
                tokio::select! {
                    biased;
                    // How it ended is told to each of its calls.
                    _ended = &mut connection => {}
                    () = silence(pings, self.keepalive) => {}
                }
            });
            calls.go_before(running).await;
            drop(over);
        });
        Ok((sender, end.reached()))
    }
}

/// Ends when the peer does not answer any more.
async fn silence(pings: Option<PingPong>, keepalive: Duration) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(keepalive).await;
        if !matches!(timeout(KEEPALIVE_TIMEOUT, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}

impl Sender {
    /// Whether it takes no more calls.
    pub(crate) fn is_closed(&self) -> bool {
        self.end.has_come()
    }

    /// When it takes no more calls.
    pub(crate) fn end(&self) -> End {
        self.end.clone()
    }

    /// Makes a call. Dropping the future, or the body of the answer, cancels it.
    pub(crate) async fn send(mut self, request: Box<Request<Body>>) -> Result<Response<Body>, Failed> {
        if let Err(error) = poll_fn(|context| self.requests.poll_ready(context)).await {
            self.end.comes();
            return Err(Failed::Returned(request, Arc::new(error)));
        }
        let _waiting = self.calls.begin();
        let (mut head, mut body) = request.into_parts();
        if head.version < Version::HTTP_2 {
            strip(&mut head.headers);
            head.version = Version::HTTP_2;
        }
        for name in OF_ONE_CALL {
            // This is how HPACK is told not to remember a value (RFC 7541 7.1.3).
            head.headers.get_mut(name).into_iter().for_each(|value| value.set_sensitive(true));
        }
        let is_empty = body.is_end_stream();
        let sent = self.requests.send_request(Request::from_parts(head, ()), is_empty);
        // The connection has just ended, or the head is none that HTTP/2 could carry: nothing of it was sent.
        let (answer, mut stream) = sent.map_err(|error| Failed::Refused(Arc::new(error)))?;
        let is_sent = is_empty || send_at_once(&mut body, &mut stream);
        let sending = if is_sent { None } else { Some(send_on(body, stream)) };
        match answer.await {
            Ok(response) => {
                Ok(response.map(|stream| Body::new(Received { stream, is_at_trailers: false, _sending: sending })))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// A stream that was refused was not begun (RFC 9113 8.7).
fn failed(error: h2::Error) -> Failed {
    let is_refused = error.is_remote() && error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    if is_refused { Failed::Refused(Arc::new(error)) } else { Failed::Broken(Arc::new(error)) }
}

/// Removes what is about an HTTP/1 connection, and what that says is about it (RFC 9110 7.6.1).
fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> = named.flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()).collect();
    for name in named {
        headers.remove(name);
    }
    for name in OF_CONNECTIONS {
        headers.remove(name);
    }
    if headers.get(header::TE).is_some_and(|value| value != "trailers") {
        headers.remove(header::TE);
    }
}

/// Sends what is there of a body, within a bound; whether that was all.
fn send_at_once(body: &mut Body, stream: &mut SendStream<Bytes>) -> bool {
    let (mut context, mut sent) = (Context::from_waker(Waker::noop()), 0);
    while sent < AT_ONCE_BYTES_MAX {
        let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut context) else { return false };
        sent += frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        if put(frame, body.is_end_stream(), stream) {
            return true;
        }
    }
    false
}

/// Sends the rest of a body in a task of its own, since it must go on whether or not the answer is read; until the guard is dropped.
fn send_on(mut body: Body, mut stream: SendStream<Bytes>) -> DropGuard {
    let cancelled = CancellationToken::new();
    let guard = cancelled.clone().drop_guard();
    TokioExecutor::new().execute(async move {
        let is_cancelled = tokio::select! {
            () = send_rest(&mut body, &mut stream) => false,
            () = cancelled.cancelled() => true,
        };
        if is_cancelled {
            stream.send_reset(Reason::CANCEL);
        }
    });
    guard
}

/// Sends a body to its end, or until the peer does not want it any more.
async fn send_rest(body: &mut Body, stream: &mut SendStream<Bytes>) {
    loop {
        let next = poll_fn(|context| match stream.poll_reset(context) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut *body).poll_frame(context).map(Some),
        });
        let Some(frame) = next.await else { return };
        let has_data =
            frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).is_some_and(|data| !data.is_empty());
        if has_data && !has_room(stream).await {
            return;
        }
        if put(frame, body.is_end_stream(), stream) {
            return;
        }
    }
}

/// Waits until the peer takes something. A claim on more than a byte, before there is room, would take room from other streams
/// that may need it first.
async fn has_room(stream: &mut SendStream<Bytes>) -> bool {
    stream.reserve_capacity(1);
    loop {
        if stream.capacity() > 0 {
            return true;
        }
        let room = poll_fn(|context| match stream.poll_reset(context) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => stream.poll_capacity(context),
        });
        if !matches!(room.await, Some(Ok(_))) {
            return false;
        }
    }
}

/// Hands a frame to the connection; whether it was the last. What fails here fails the answer too, which says so.
fn put(frame: Option<Result<Frame<Bytes>, tonic::Status>>, is_last: bool, stream: &mut SendStream<Bytes>) -> bool {
    let frame = match frame {
        None => {
            let _is_gone = stream.send_data(Bytes::new(), true).is_err();
            return true;
        }
        Some(Err(status)) => {
            stream.send_reset(if status.code() == Code::Cancelled { Reason::CANCEL } else { Reason::INTERNAL_ERROR });
            return true;
        }
        Some(Ok(frame)) => frame,
    };
    match frame.into_data() {
        Ok(data) => stream.send_data(data, is_last).is_err() || is_last,
        Err(frame) => match frame.into_trailers() {
            Ok(trailers) => {
                let _is_gone = stream.send_trailers(trailers).is_err();
                true
            }
            Err(_unknown) => false,
        },
    }
}

/// The body of an answer.
struct Received {
    stream: RecvStream,
    is_at_trailers: bool,
    /// Ends the sending of the request with the answer.
    _sending: Option<DropGuard>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.is_at_trailers {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(data)) => {
                    // Fails only when the stream has ended, and then there is nothing left to be let in.
                    let _is_over = self.stream.flow_control().release_capacity(data.len()).is_err();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(unless_enough(error)),
                None => self.is_at_trailers = true,
            }
        }
        match ready!(self.stream.poll_trailers(context)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => Poll::Ready(unless_enough(error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

/// A peer that resets without an error has said all that it wants to (RFC 9113 8.1).
fn unless_enough(error: h2::Error) -> Option<Result<Frame<Bytes>, h2::Error>> {
    (error.reason() != Some(Reason::NO_ERROR)).then_some(Err(error))
}
