//! Bytes on a connection, as nobody's client would send them.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the server may take to answer or hang up.
const HANG_UP_WITHIN: Duration = Duration::from_secs(15);

/// Sends `bytes` to the port of `url`, says that no more will come, and returns what was answered until the server hung up.
///
/// # Panics
/// When there is no connection, or the server does not hang up within 15 s.
pub async fn raw(url: &str, bytes: &[u8]) -> Vec<u8> {
    let address = url.strip_prefix("http://").unwrap_or(url);
    let mut stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
    let mut answer = Vec::new();
    let exchange = async {
        // A server that has seen enough may hang up before everything is sent.
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
        drop(stream.read_to_end(&mut answer).await);
    };
    tokio::time::timeout(HANG_UP_WITHIN, exchange).await.expect("the server answers or hangs up");
    answer
}
