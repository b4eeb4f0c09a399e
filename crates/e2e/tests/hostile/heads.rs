//! Heads that are too large, and heads that never come.

use crate::storm::{platform, survives};
use std::time::Duration;
use testkit::raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Connections of an attacker who sends as slowly as it can.
const SLOW: usize = 500;

fn status(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let platform = platform(&[]).await;
    let many: String = (0..101).map(|number| format!("x-{number}: x\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(64 << 10));
    let bytes = "x-some: ".to_owned() + &"x".repeat(17 << 10) + "\r\n";

    for headers in [many, long, bytes] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let answer = raw(platform.url(), request.as_bytes()).await;
        // A server may hang up while the client still writes, and with the connection goes the answer.
        assert!(answer.is_empty() || status(&answer) == "431", "{}", String::from_utf8_lossy(&answer));
    }
    let line = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70 << 10));
    let answer = raw(platform.url(), line.as_bytes()).await;
    assert!(answer.is_empty() || ["414", "431"].contains(&status(&answer).as_str()), "{answer:?}");
    assert_eq!(platform.http().get("/healthz").send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_send_their_heads_byte_by_byte_are_let_go() {
    // Slowloris.
    let kept = survives(&[("HEADER_READ_TIMEOUT_MS", 1_000)], |url| {
        Box::pin(async move {
            let mut attacks = JoinSet::new();
            for _ in 0..SLOW {
                attacks.spawn(trickle(url.clone(), "GET /healthz HTTP/1.1\r\nhost: x\r\nx: ".to_owned()));
            }
            attacks.join_all().await
        })
    })
    .await;

    assert!(kept.iter().all(|kept| *kept < Duration::from_secs(10)), "{:?}", kept.iter().max());
}

/// Sends a beginning and then a byte ten times a second, until the server hangs up; how long that took.
async fn trickle(url: String, beginning: String) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    if stream.write_all(beginning.as_bytes()).await.is_err() {
        return begun.elapsed();
    }
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => return begun.elapsed(),
                Ok(_) => {}
            },
            () = sleep_until(Instant::now() + Duration::from_millis(100)) => {
                if begun.elapsed() > Duration::from_secs(15) || stream.write_all(b"x").await.is_err() {
                    return begun.elapsed();
                }
            }
        }
    }
}
