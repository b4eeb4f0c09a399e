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
    let get = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split_whitespace().nth(1).filter(|code| *code == "200").map(|_| body.to_owned())
    };
    timeout(ANSWER_WITHIN, get).await.ok()?
}
