//! A TCP proxy between a client and a server, which delays, cuts and swallows.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Bytes moved at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A line that can be broken. It ends with its owner.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    _accepting: JoinSet<()>,
}

/// What happens to what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Delay(Duration),
    /// Connections are reset, and new ones too.
    Cut,
    /// Connections stand, and nothing passes in either direction.
    BlackHole,
    /// What the client says passes; what the server says does not.
    BlackHoleAnswers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Proxy {
    /// Starts a line to `target`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound port has an address");
        let (mode, seen) = watch::channel(Mode::Pass);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, seen));
        Proxy { address, mode, _accepting: accepting }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays what passes, in each direction.
    pub fn delay(&self, by: Duration) {
        self.mode.send_replace(Mode::Delay(by));
    }

    /// Resets all connections, and new ones as they come.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Holds up everything in both directions; connections stand.
    pub fn black_hole(&self) {
        self.mode.send_replace(Mode::BlackHole);
    }

    /// Holds up what the server says; what the client says passes.
    pub fn black_hole_answers(&self) {
        self.mode.send_replace(Mode::BlackHoleAnswers);
    }

    /// Lets everything pass again, what was held up first.
    pub fn heal(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                lines.spawn(connect(client, target, mode.clone()));
            }
            Some(_) = lines.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, target: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut cut = mode.clone();
    if *cut.borrow() == Mode::Cut {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect(target).await else { return reset(&client) };
    // Small messages must not wait for each other.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let ((client_reads, client_writes), (server_reads, server_writes)) = (client.into_split(), server.into_split());
    let there = pump(client_reads, server_writes, mode.clone(), Direction::ToServer);
    let back = pump(server_reads, client_writes, mode, Direction::ToClient);
    tokio::select! {
        () = async { tokio::join!(there, back); } => {}
        // Dropping both ends with bytes unread resets them.
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

fn reset(client: &TcpStream) {
    // A connection that cannot be reset is closed, which a client notices as well.
    drop(client.set_zero_linger());
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    direction: Direction,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let Ok(found) = mode.wait_for(|mode| passes(*mode, direction)).await.map(|mode| *mode) else { return };
        if let Mode::Delay(by) = found {
            sleep(by).await;
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
    // The other side may have gone already.
    drop(to.shutdown().await);
}

fn passes(mode: Mode, direction: Direction) -> bool {
    match mode {
        Mode::Pass | Mode::Delay(_) => true,
        Mode::BlackHoleAnswers => direction == Direction::ToServer,
        Mode::Cut | Mode::BlackHole => false,
    }
}
