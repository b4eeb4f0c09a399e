//! More connections than anybody needs.

use crate::storm::{give_way, platform, resident_bytes, survives};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections that say something once and then nothing.
const IDLE: usize = 10_000;
/// Memory of one of them at most. 32 KiB: with it 10,000 are 320 MB.
const IDLE_BYTES_MAX: u64 = 32 << 10;

async fn open(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Whether the server answers on this connection; the connection goes on.
async fn is_served(stream: &mut TcpStream) -> bool {
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    asked.is_ok() && matches!(read, Ok(Ok(length)) if answer[..length].starts_with(b"HTTP/1.1 200"))
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections() {
    let platform = platform(&[("CONNECTIONS_PER_ADDRESS_MAX", 20)]).await;
    let (mut kept, mut served) = (Vec::new(), 0);

    for _ in 0..30 {
        let mut stream = open(platform.url()).await;
        served += usize::from(is_served(&mut stream).await);
        kept.push(stream);
    }

    // Whoever started the platform has asked it whether it is ready, and may keep a connection for a moment.
    assert!((18..=20).contains(&served), "{served} of 30 were served");
    drop(kept);
    let is_free =
        async || if is_served(&mut open(platform.url()).await).await { Ok(()) } else { Err("it is full".to_owned()) };
    testkit::eventually(Duration::from_secs(10), is_free).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go_leave_nothing() {
    survives(&[], |url| {
        Box::pin(async move {
            for _ in 0..5_000 {
                give_way();
                drop(open(&url).await);
            }
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_have_bounded_memory() {
    let settings =
        [("CONNECTIONS_MAX", 20_000), ("CONNECTIONS_PER_ADDRESS_MAX", 20_000), ("HEADER_READ_TIMEOUT_MS", 120_000)];
    let platform = platform(&settings).await;
    let before = resident_bytes(&platform);
    let mut idle = Vec::with_capacity(IDLE);

    for _ in 0..IDLE {
        let mut stream = open(platform.url()).await;
        assert!(is_served(&mut stream).await, "connection {} is not served", idle.len());
        idle.push(stream);
    }

    let each = resident_bytes(&platform).saturating_sub(before) / u64::try_from(IDLE).unwrap();
    println!("{each} bytes for each idle connection");
    assert!(each < IDLE_BYTES_MAX, "{each} bytes for each idle connection");
    assert_eq!(platform.http().get("/healthz").send().await.status, 200);
}
