//! The line to an endpoint: one HTTP/2 connection that comes back by itself, or a server in this process.

use super::Fault;
use crate::Guarded;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::body::Body;
use tower::Service;

/// How long a peer may take to answer a ping before its connection counts as lost. With the interval before it, a peer that is gone without
/// a word is noticed in ten seconds.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// What may be on its way to us on one connection, and on one stream of it, before we must have read it.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

pub(crate) type Sender = SendRequest<Body>;

/// Where calls go.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    /// Over a connection, while there is one.
    Http2(watch::Receiver<Option<Sender>>, Authority),
    /// To a server in this process, while it is plugged in.
    InProcess(watch::Receiver<Option<Guarded>>),
}

/// Why a call has not come back.
pub(crate) enum Failed {
    /// It was not sent, and is here again.
    Returned(Box<Request<Body>>, Arc<dyn std::error::Error + Send + Sync>),
    /// The server has refused it without looking at it.
    Refused(Arc<dyn std::error::Error + Send + Sync>),
    /// The line broke; the call may have taken effect.
    Broken(Arc<dyn std::error::Error + Send + Sync>),
}

/// Nobody is at the other end.
#[derive(Debug, thiserror::Error)]
#[error("nobody is at the other end of the line")]
struct Down;

impl Line {
    pub(crate) fn is_up(&self) -> bool {
        match self {
            Line::Http2(sender, _) => sender.borrow().as_ref().is_some_and(|sender| !sender.is_closed()),
            Line::InProcess(server) => server.borrow().is_some(),
        }
    }

    pub(crate) fn is_in_process(&self) -> bool {
        matches!(self, Line::InProcess(_))
    }

    /// Why a call cannot even be made while the line is down.
    pub(crate) fn absence(&self) -> Fault {
        if self.is_in_process() { Fault::NotRunning } else { Fault::NoEndpoint }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Failed> {
        match self {
            Line::InProcess(server) => {
                let server = server.borrow().clone();
                match server {
                    Some(mut server) => {
                        let Ok(answer) = server.call(request).await;
                        Ok(answer)
                    }
                    None => Err(Failed::Returned(Box::new(request), Arc::new(Down))),
                }
            }
            Line::Http2(sender, authority) => {
                let sender = sender.borrow().clone();
                match sender {
                    Some(sender) => send(sender, to(authority, request)).await,
                    None => Err(Failed::Returned(Box::new(request), Arc::new(Down))),
                }
            }
        }
    }
}

async fn send(mut sender: Sender, request: Request<Body>) -> Result<Response<Body>, Failed> {
    match sender.try_send_request(request).await {
        Ok(response) => Ok(response.map(Body::new)),
        Err(mut unsent) => match unsent.take_message() {
            Some(request) => Err(Failed::Returned(Box::new(request), Arc::new(unsent.into_error()))),
            None => Err(failed(unsent.into_error())),
        },
    }
}

/// A stream that was refused, or came after the last one that a server said it would look at, was not begun (RFC 9113 8.7).
fn failed(error: hyper::Error) -> Failed {
    let reason = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<h2::Error>());
    let is_refused = reason.is_some_and(|reason| {
        reason.is_remote() && reason.is_reset() && reason.reason() == Some(h2::Reason::REFUSED_STREAM)
    });
    if is_refused { Failed::Refused(Arc::new(error)) } else { Failed::Broken(Arc::new(error)) }
}

/// Addresses a request to the endpoint.
fn to(authority: &Authority, mut request: Request<Body>) -> Request<Body> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = parts.path_and_query.or_else(|| Some(PathAndQuery::from_static("/")));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// Opens a connection. The future beside the sender moves its bytes, and ends with it.
pub(crate) async fn dial(
    address: SocketAddr,
    within: Duration,
    keepalive: Duration,
) -> Result<(Sender, impl Future<Output = Result<(), hyper::Error>>), Arc<dyn std::error::Error + Send + Sync>> {
    let dialled = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(Some(keepalive))
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES);
        builder.handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)
    };
    match timeout(within, dialled).await {
        Ok(Ok(dialled)) => Ok(dialled),
        Ok(Err(error)) => Err(Arc::new(error)),
        Err(elapsed) => Err(Arc::new(elapsed)),
    }
}
