//! Accepts connections, serves each in a task of its own, and lets them finish when the gateway stops.

use crate::Config;
use crate::first_bytes::FirstBytes;
use crate::front::Front;
use crate::metrics::OpenConnection;
use guard::Peer;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use lifecycle::Drain;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tonic::body::Body;
use tracing::{debug, error, warn};

/// How long to wait when the system refuses a connection, as it does when it is out of file descriptors; some are free again soon.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The least that hyper takes as the size of its buffer.
const BUFFER_BYTES_MIN: usize = 8192;

/// Serves the listener until the drain is requested; then the connections, for as long as they are given.
pub(crate) async fn serve(listener: TcpListener, front: Arc<Front>, config: Config, drain: Drain) {
    let permits = Arc::new(Semaphore::new(config.connections_max));
    let server = Arc::new(builder(&config));
    let mut connections = JoinSet::new();
    loop {
        // Cancel safe: a connection is taken together with its permit, or stays in the queue.
        let (stream, peer, permit) = tokio::select! {
            () = drain.requested() => break,
            Some(ended) = connections.join_next() => {
                note_panic(ended);
                continue;
            }
            accepted = accept(&listener, &permits) => accepted,
        };
        let held = Held { _permit: permit, _open: front.metrics.connection() };
        let stream = FirstBytes::new(stream, config.header_read_timeout());
        connections.spawn(connection(Arc::clone(&server), (stream, peer), Arc::clone(&front), drain.clone(), held));
    }
    drop(listener);
    let finished = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if tokio::time::timeout(config.drain_timeout(), finished).await.is_err() {
        warn!(connections = connections.len(), "connections cut off, since their calls did not end in time");
        connections.shutdown().await;
    }
}

/// What a connection occupies as long as it is open.
struct Held {
    _permit: OwnedSemaphorePermit,
    _open: OpenConnection,
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, Peer, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are written whole; waiting for more would delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(error = %error, "connection delays its answers");
                }
                return (stream, Peer { address: address.ip(), certificate: None }, permit);
            }
            Err(error) => {
                warn!(error = %error, "connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn builder(config: &Config) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let header_bytes_max = usize::try_from(config.header_bytes_max).unwrap_or(usize::MAX).max(BUFFER_BYTES_MIN);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_read_timeout())
        .max_buf_size(header_bytes_max)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_max)
        .max_header_list_size(config.header_bytes_max)
        .keep_alive_interval(config.keepalive_interval())
        .keep_alive_timeout(config.keepalive_interval())
        .adaptive_window(true);
    builder
}

async fn connection(
    server: Arc<Builder<TokioExecutor>>,
    (stream, peer): (FirstBytes<TcpStream>, Peer),
    front: Arc<Front>,
    drain: Drain,
    held: Held,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let front = Arc::clone(&front);
        async move { front.answer(request.map(Body::new)).await }
    });
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = drain.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(error, "connection ended with an error");
    }
    drop(held);
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(error = %error, "connection panicked");
    }
}
