//! One WebSocket, from its opening to its close.

use super::answer::{Answer, End};
use crate::edge::access_log::Witness;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as SocketError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes as Payload, Message};
use tonic::body::Body;
use tonic::{Code, Status};
use transcode::Takes;

/// Messages that wait for the service at most: the one that it reads next.
const WAITING_MAX: usize = 1;
/// Bytes of a socket's read buffer, which it has as long as it is open.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Pings that are not answered yet at most. Nobody needs two.
const PINGS_MAX: u32 = 16;
/// Time for a client to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The first code that an application may use (RFC 6455 7.4.2); a gRPC code is added to it.
const APPLICATION: u16 = 4_000;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What bounds a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(super) message_bytes_max: usize,
    pub(super) ping_interval: Duration,
    pub(super) write_timeout: Duration,
}

/// The call that is made over a socket.
pub(super) struct Call {
    pub(super) head: Request<()>,
    pub(super) takes: Takes,
    pub(super) limits: Limits,
    pub(super) witness: Option<Witness>,
}

/// How a session ends.
enum Over {
    /// The client has gone, or wants to.
    Gone,
    /// The call has ended.
    Ended(End),
    /// The client is told what it did wrong, with this code of the protocol.
    Wrong(CloseCode, Status),
}

/// Pings that the writer must answer; it flushes what the library has queued.
#[derive(Default)]
struct Pings {
    unanswered: AtomicU32,
    came: Notify,
}

impl Call {
    /// Speaks over the socket until it is closed.
    pub(super) async fn run<F>(self, upgraded: Upgraded, answer: impl FnOnce(Request<Body>) -> F)
    where
        F: Future<Output = Response<Body>>,
    {
        let Call { head, takes, limits, witness } = self;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limits.message_bytes_max))
            .max_frame_size(Some(limits.message_bytes_max));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (mut sink, mut stream) = socket.split();
        let (sender, body) = body(takes);
        let pings = Pings::default();
        let over = {
            let reading =
                Reader { stream: &mut stream, pings: &pings, limits, witness: witness.as_ref() }.run(sender, takes);
            let writing = async {
                let answer = answer(head.map(|()| body));
                Writer { sink: &mut sink, pings: &pings, limits, witness: witness.as_ref() }.run(answer).await
            };
            // Dropping what is not over drops the call.
            tokio::select! {
                over = reading => over,
                over = writing => over,
            }
        };
        let closing = close(&mut sink, over, witness.as_ref());
        if timeout(limits.write_timeout, closing).await.is_ok() {
            // What the client still sends is not looked at, but for its own close.
            let rest = async { while let Some(Ok(_)) = stream.next().await {} };
            let _is_late = timeout(CLOSE_TIMEOUT, rest).await.is_err();
        }
    }
}

/// The body of the call, and where its messages go.
fn body(takes: Takes) -> (Option<mpsc::Sender<Bytes>>, Body) {
    if takes == Takes::Nothing {
        return (None, Body::empty());
    }
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let messages = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async {
        let message = receiver.recv().await?;
        Some((Ok::<_, Status>(Frame::data(message)), receiver))
    });
    (Some(sender), Body::new(StreamBody::new(messages)))
}

/// Reads what the client says.
struct Reader<'s> {
    stream: &'s mut SplitStream<Socket>,
    pings: &'s Pings,
    limits: Limits,
    witness: Option<&'s Witness>,
}

impl Reader<'_> {
    async fn run(self, mut sender: Option<mpsc::Sender<Bytes>>, takes: Takes) -> Over {
        loop {
            // A client that says nothing answers pings at least.
            let Ok(message) = timeout(self.limits.ping_interval * 2, self.stream.next()).await else {
                return Over::Gone;
            };
            let message = match message {
                None | Some(Ok(Message::Close(_))) => return Over::Gone,
                Some(Err(error)) => return wrong(&error, self.limits.message_bytes_max),
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Ping(_))) => {
                    if self.pings.unanswered.fetch_add(1, Ordering::Relaxed) >= PINGS_MAX {
                        let status = Status::resource_exhausted("there are too many pings");
                        return Over::Wrong(CloseCode::Policy, status);
                    }
                    self.pings.came.notify_one();
                    continue;
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => continue,
            };
            if let Some(witness) = self.witness {
                witness.carried(message.len(), 0);
            }
            if message.is_empty() {
                sender = None;
                continue;
            }
            let Some(open) = &sender else {
                let status = Status::invalid_argument("the call takes no further message");
                return Over::Wrong(CloseCode::Library(application(status.code())), status);
            };
            // A call that is over does not read; the writer knows how it ended.
            let _is_over = open.send(message).await.is_err();
            if takes == Takes::One {
                sender = None;
            }
        }
    }
}

/// Writes what the call answers.
struct Writer<'s> {
    sink: &'s mut SplitSink<Socket, Message>,
    pings: &'s Pings,
    limits: Limits,
    witness: Option<&'s Witness>,
}

impl Writer<'_> {
    async fn run(mut self, answer: impl Future<Output = Response<Body>>) -> Over {
        let mut ticks = interval_at(Instant::now() + self.limits.ping_interval, self.limits.ping_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answer = std::pin::pin!(answer);
        let mut answering: Option<Answer> = None;
        loop {
            // What is there is written before what was written is flushed, so that small messages share a packet.
            let ready = answering.as_mut().and_then(|answering| answering.next().now_or_never());
            let next = match ready {
                Some(next) => next,
                None => {
                    if self.flush().await.is_none() {
                        return Over::Gone;
                    }
                    // Cancel safe: nothing is taken but what is used.
                    tokio::select! {
                        response = &mut answer, if answering.is_none() => {
                            answering = Some(Answer::new(response));
                            continue;
                        }
                        next = next(&mut answering) => next,
                        () = self.pings.came.notified() => continue,
                        _ = ticks.tick() => Ok(Message::Ping(Payload::new())),
                    }
                }
            };
            let message = match next {
                Ok(message) => message,
                Err(end) => return Over::Ended(end),
            };
            if let Some(witness) = self.witness {
                witness.carried(0, message.len());
            }
            if !matches!(timeout(self.limits.write_timeout, self.sink.feed(message)).await, Ok(Ok(()))) {
                return Over::Gone;
            }
        }
    }

    async fn flush(&mut self) -> Option<()> {
        let asked = self.pings.unanswered.load(Ordering::Relaxed);
        timeout(self.limits.write_timeout, self.sink.flush()).await.ok()?.ok()?;
        self.pings.unanswered.fetch_sub(asked, Ordering::Relaxed);
        Some(())
    }
}

/// The next message of an answer that has begun.
async fn next(answering: &mut Option<Answer>) -> Result<Message, End> {
    match answering {
        Some(answer) => answer.next().await,
        None => std::future::pending().await,
    }
}

async fn close(
    sink: &mut SplitSink<Socket, Message>,
    over: Over,
    witness: Option<&Witness>,
) -> Result<(), SocketError> {
    let (code, end) = match over {
        // The library has queued the answer to a close.
        Over::Gone => return sink.flush().await,
        Over::Ended(end) => (close_code(end.code), end),
        Over::Wrong(code, status) => (code, End::of(&status)),
    };
    let reason = end.code.description();
    if let Some(last) = end.last {
        witness.into_iter().for_each(|witness| witness.carried(0, last.len()));
        sink.feed(last).await?;
    }
    sink.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
}

/// The code that a client sees: 1000 when all went well, 1011 for a fault of the platform, and 4000 and the code of gRPC for the rest.
fn close_code(code: Code) -> CloseCode {
    match code {
        Code::Ok => CloseCode::Normal,
        Code::Unknown | Code::Internal | Code::DataLoss => CloseCode::Error,
        Code::Cancelled
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unavailable
        | Code::Unauthenticated => CloseCode::Library(application(code)),
    }
}

fn application(code: Code) -> u16 {
    APPLICATION + u16::try_from(i32::from(code)).unwrap_or_default()
}

fn wrong(error: &SocketError, message_bytes_max: usize) -> Over {
    match error {
        SocketError::Capacity(CapacityError::MessageTooLong { .. } | CapacityError::TooManyHeaders) => {
            let complaint = format!("the message has more than {message_bytes_max} bytes");
            Over::Wrong(CloseCode::Size, Status::out_of_range(complaint))
        }
        SocketError::Utf8(_) => Over::Wrong(CloseCode::Invalid, Status::invalid_argument("a text is not UTF-8")),
        SocketError::Protocol(_) => {
            Over::Wrong(CloseCode::Protocol, Status::invalid_argument("that is not the WebSocket protocol"))
        }
        // The connection is lost.
        _ => Over::Gone,
    }
}
