//! Waits for a server to answer.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How long a server may take to be ready: a second on an idle machine; the rest is for a busy one, and for recovery after a kill.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Asks until the answer is yes.
///
/// # Panics
/// When it is not within [`READY_WITHIN`].
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut is_ready: F) {
    let deadline = Instant::now() + READY_WITHIN;
    while !is_ready().await {
        assert!(Instant::now() < deadline, "{what} is not ready within {READY_WITHIN:?}");
        sleep(PAUSE).await;
    }
}

/// The body of a page, if the answer is 200.
pub(crate) async fn page(address: SocketAddr, path: &str) -> Option<String> {
    let (status, body) = ask(address, "GET", path, None, "").await?;
    (status == 200).then_some(body)
}

/// The status and the body of an answer; `None` if there is none in time.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Option<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let token = token.map(|token| format!("X-Consul-Token: {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n{token}Content-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
    };
    timeout(ANSWER_WITHIN, exchange).await.ok()?
}

/// Established connections that end at a port of this machine.
///
/// # Panics
/// When the operating system does not tell.
pub(crate) fn connections_to(port: u16) -> usize {
    let text = std::fs::read_to_string("/proc/net/tcp").expect("the operating system tells its connections");
    let (port, established) = (format!(":{port:04X}"), "01");
    // The local address is the second word of a line, the state the fourth.
    let is_one = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1).is_some_and(|local| local.ends_with(&port)) && words.get(3) == Some(&established)
    };
    text.lines().filter(is_one).count()
}
