//! Accepts connections, serves each in a task of its own, and lets them finish when the gateway stops.

use crate::edge::{Edge, Joined, Line, Place, Places, Session, Stall, Tls};
use crate::first_bytes::FirstBytes;
use crate::metrics::OpenConnection;
use crate::{Config, apart};
use guard::Peer;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use lifecycle::Drain;
use rpc::{Calls, Seat, Workers};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tracing::{debug, error, warn};

/// How long to wait when the system refuses a connection, as it does when it is out of file descriptors; some are free again soon.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The largest buffer of an HTTP/1 connection: four times the largest head, so that bodies are read in large pieces.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Bytes of answers that wait in the system for room in the window of their client, at most. 256 KiB: a turn's writes. Linux lets them grow to
/// 4 MiB, which every client has that reads nothing.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 256 << 10;

/// What hyper takes when it is told nothing, and has room for on the stack.
const HEADERS_MAX_OF_HYPER: usize = 100;
/// Sessions that begin at once at most; they are taken as fast as connections are.
const SESSIONS_BEGINNING_MAX: usize = 256;

/// Where connections come in.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
    /// On which each connection is served, if not on the threads of the process.
    pub(crate) workers: Option<Workers>,
}

/// What all connections share.
struct Shared {
    edge: Arc<Edge>,
    tls: Option<Tls>,
    http: Builder<TokioExecutor>,
    header_read_timeout: Duration,
    write_timeout: Duration,
    drain: Drain,
    sessions: mpsc::Sender<Session>,
}

/// What a connection occupies as long as it is open.
struct Held {
    _permit: OwnedSemaphorePermit,
    place: Arc<Place>,
    _open: OpenConnection,
    _seat: Option<Seat>,
}

/// How a connection has ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Its client broke the rules.
    ByPenalty,
    Otherwise,
}

/// Opens a port; its connections have the options that it has.
pub(crate) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    #[cfg(target_os = "linux")]
    SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
    Ok(listener)
}

/// Serves the port until the drain is requested; then the connections, for as long as they are given.
pub(crate) async fn serve(port: Port, edge: Edge, config: Config, drain: Drain) {
    let Port { listener, tls, workers } = port;
    let permits = Arc::new(Semaphore::new(config.connections_max));
    let places = Places::new(config.connections_per_address_max, config.penalty());
    let (header_read_timeout, write_timeout) = (config.header_read_timeout(), config.write_timeout());
    let (sessions, mut beginning) = mpsc::channel(SESSIONS_BEGINNING_MAX);
    let (edge, http) = (Arc::new(edge), builder(&config));
    let shared =
        Arc::new(Shared { edge, tls, http, header_read_timeout, write_timeout, drain: drain.clone(), sessions });
    let mut connections = JoinSet::new();
    loop {
        // Cancel safe: a connection is taken together with its permit, or stays in the queue.
        let (stream, address, permit) = tokio::select! {
            () = drain.requested() => break,
            Some(ended) = connections.join_next() => {
                note_panic(ended);
                continue;
            }
            Some((session, held)) = beginning.recv() => {
                connections.spawn(async move {
                    session.await;
                    drop(held);
                });
                continue;
            }
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some(place) = places.take(address.ip()) else {
            debug!(peer = %address, "connection refused, since its address has too many");
            continue;
        };
        let (worker, seat) = workers.as_ref().map(Workers::seat).unzip();
        let open = shared.edge.front.metrics.connection();
        let held = Arc::new(Held { _permit: permit, place: Arc::new(place), _open: open, _seat: seat });
        let connection = connection(Arc::clone(&shared), stream, address, held);
        match worker {
            Some(worker) => connections.spawn_on(connection, worker),
            None => connections.spawn(connection),
        };
        // Those that come by the thousand come after the calls of those that are there, on this thread and on others: a thread that is busy with
        // them is not interrupted within its slice of 3 ms, whoever waits for its processor.
        thread::yield_now();
        yield_now().await;
    }
    drop(listener);
    // Sockets that were about to open are closed, and none opens any more.
    drop(beginning);
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

/// Takes a connection, which belongs to no runtime yet.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (std::net::TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        let accepted = async {
            let (stream, address) = listener.accept().await?;
            // Answers are written whole; waiting for more would delay them.
            if let Err(error) = stream.set_nodelay(true) {
                debug!(error = %error, "connection delays its answers");
            }
            Ok::<_, std::io::Error>((stream.into_std()?, address))
        };
        match accepted.await {
            Ok((stream, address)) => return (stream, address, permit),
            Err(error) => {
                warn!(error = %error, "connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn builder(config: &Config) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_read_timeout())
        .max_buf_size(BUFFER_BYTES_MAX)
        .half_close(false);
    if config.headers_max != HEADERS_MAX_OF_HYPER {
        builder.http1().max_headers(config.headers_max);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_max)
        .enable_connect_protocol()
        .max_header_list_size(config.header_bytes_max)
        .keep_alive_interval(config.keepalive_interval())
        .keep_alive_timeout(config.keepalive_interval())
        .adaptive_window(true);
    builder
}

async fn connection(shared: Arc<Shared>, stream: std::net::TcpStream, address: SocketAddr, held: Arc<Held>) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return warn!(peer = %address, error = %error, "connection could not be served"),
    };
    if let Some(until) = held.place.waits_until() {
        debug!(peer = %address, "connection waits, since others of its address broke the rules");
        Box::pin(wait(&shared.drain, until)).await;
    }
    let ended = match &shared.tls {
        None => speak(&shared, stream, Peer { address: address.ip(), certificate: None }, &held).await,
        // In a box, since it is twice as large.
        Some(tls) => Box::pin(speak_tls(&shared, tls, stream, address, &held)).await,
    };
    if ended == Ended::ByPenalty {
        shared.edge.front.metrics.penalised();
        let place = Arc::clone(&held.place);
        drop(held);
        Box::pin(wait(&shared.drain, place.penalise())).await;
    }
}

/// Waits, unless the gateway stops.
async fn wait(drain: &Drain, until: Instant) {
    tokio::select! {
        () = sleep_until(until) => {}
        () = drain.requested() => {}
    }
}

async fn speak_tls(shared: &Arc<Shared>, tls: &Tls, stream: TcpStream, address: SocketAddr, held: &Arc<Held>) -> Ended {
    match tls.accept(stream).await {
        Ok((stream, certificate)) => speak(shared, stream, Peer { address: address.ip(), certificate }, held).await,
        Err(error) => {
            debug!(peer = %address, error = %error, "connection ended in its handshake");
            Ended::Otherwise
        }
    }
}

/// Serves a connection's requests.
async fn speak<S>(shared: &Arc<Shared>, stream: S, peer: Peer, held: &Arc<Held>) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = FirstBytes::new(Stall::new(Joined(stream), shared.write_timeout), shared.header_read_timeout);
    let stream = TokioIo::new(stream);
    let line = Arc::new(Line { peer, held: Arc::<Held>::clone(held), sessions: shared.sessions.clone() });
    let calls = Calls::default();
    let service = service_fn(|request: Request<Incoming>| {
        let (edge, line, waiting) = (Arc::clone(&shared.edge), Arc::clone(&line), calls.begin());
        let request = apart::from_its_connection(request);
        async move {
            let answer = edge.answer(request.map(Body::new), &line).await;
            drop(waiting);
            answer
        }
    });
    let mut connection = pin!(shared.http.serve_connection_with_upgrades(stream, service));
    let served = pin!(async {
        tokio::select! {
            served = connection.as_mut() => served,
            () = shared.drain.watch() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    });
    match calls.go_before(served).await {
        Ok(()) => Ended::Otherwise,
        Err(error) => {
            debug!(peer = %line.peer.address, error, "connection ended with an error");
            if is_penalty(&*error) { Ended::ByPenalty } else { Ended::Otherwise }
        }
    }
}

/// Whether a connection was ended because its client did what HTTP/2 does not allow, or more of it than anybody needs.
fn is_penalty(error: &(dyn Error + 'static)) -> bool {
    let of_http2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    of_http2.is_some_and(|error| error.is_library() && error.is_go_away())
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(error = %error, "connection panicked");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_bounds_what_its_client_does_not_read() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();

        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());

        assert_eq!(SockRef::from(&accepted.unwrap().0).tcp_notsent_lowat().unwrap(), UNSENT_BYTES_MAX);
    }
}
