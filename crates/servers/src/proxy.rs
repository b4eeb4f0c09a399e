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
    state: watch::Sender<State>,
    _accepting: JoinSet<()>,
}

/// How the line is.
#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// How often it was cut: a connection ends with the next one, also if the line is whole again before it has looked.
    cuts: u64,
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
        let (state, seen) = watch::channel(State { mode: Mode::Pass, cuts: 0 });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, seen));
        Proxy { address, state, _accepting: accepting }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays what passes, in each direction.
    pub fn delay(&self, by: Duration) {
        self.turn(Mode::Delay(by));
    }

    /// Resets all connections, and new ones as they come.
    pub fn cut(&self) {
        self.state.send_modify(|state| *state = State { mode: Mode::Cut, cuts: state.cuts + 1 });
    }

    /// Holds up everything in both directions; connections stand.
    pub fn black_hole(&self) {
        self.turn(Mode::BlackHole);
    }

    /// Holds up what the server says; what the client says passes.
    pub fn black_hole_answers(&self) {
        self.turn(Mode::BlackHoleAnswers);
    }

    /// Lets everything pass again, what was held up first.
    pub fn heal(&self) {
        self.turn(Mode::Pass);
    }

    fn turn(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Receiver<State>) {
    let mut lines = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                lines.spawn(connect(client, target, state.clone()));
            }
            Some(_) = lines.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, target: SocketAddr, state: watch::Receiver<State>) {
    let mut cut = state.clone();
    let State { mode, cuts } = *cut.borrow();
    if mode == Mode::Cut {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect(target).await else { return reset(&client) };
    // Small messages must not wait for each other.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let ((client_reads, client_writes), (server_reads, server_writes)) = (client.into_split(), server.into_split());
    let there = pump(client_reads, server_writes, state.clone(), Direction::ToServer);
    let back = pump(server_reads, client_writes, state, Direction::ToClient);
    tokio::select! {
        // What was held up is lost with its line.
        biased;
        // Dropping both ends with bytes unread resets them.
        _ = cut.wait_for(|state| state.cuts != cuts) => {}
        () = async { tokio::join!(there, back); } => {}
    }
}

fn reset(client: &TcpStream) {
    // A connection that cannot be reset is closed, which a client notices as well.
    drop(client.set_zero_linger());
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    direction: Direction,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let passing = state.wait_for(|state| passes(state.mode, direction)).await;
        let Ok(State { mode, .. }) = passing.map(|state| *state) else { return };
        if let Mode::Delay(by) = mode {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_cut_line_held_up_is_lost_although_it_is_healed_at_once() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap()).await;
        let (client, accepted) = tokio::join!(TcpStream::connect(proxy.address()), server.accept());
        let (mut client, (mut accepted, _)) = (client.unwrap(), accepted.unwrap());

        proxy.black_hole();
        client.write_all(b"held up").await.unwrap();
        proxy.cut();
        proxy.heal();

        let passed = accepted.read(&mut [0; 16]).await;
        assert!(matches!(passed, Ok(0) | Err(_)), "{passed:?}");
    }
}
