//! Bodies that are too large, too slow, or larger than they look.

use crate::storm::{give_way, platform, survives};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections of an attacker who sends as slowly as it can.
const SLOW: usize = 300;
/// Connections of one who reads nothing.
const UNREAD: usize = 50;

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer)).await;
    let length = read.expect("the server answers").unwrap_or_default();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_before_it_is_read() {
    let platform = platform(&[]).await;
    let mut stream = connect(platform.url()).await;
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
                content-length: 10000000000\r\n\r\n";

    stream.write_all(head.as_bytes()).await.unwrap();

    // Not a byte of it was sent.
    let answer = answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_come_byte_by_byte_are_given_up() {
    let answers = survives(&[("TRANSCODE__BODY_TIMEOUT_MS", 1_000)], |url| {
        Box::pin(async move {
            let mut attacks = JoinSet::new();
            for _ in 0..SLOW {
                let url = url.clone();
                attacks.spawn(async move {
                    let mut stream = connect(&url).await;
                    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                                content-length: 1000\r\n\r\n{";
                    stream.write_all(head.as_bytes()).await.unwrap();
                    answer(&mut stream).await
                });
            }
            attacks.join_all().await
        })
    })
    .await;

    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 408")), "{:?}", answers.first());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_bounded() {
    // The document is asked for on each of many connections, again and again, and not read once.
    let is_held = survives(&[], |url| {
        Box::pin(async move {
            let mut attacks = JoinSet::new();
            for _ in 0..UNREAD {
                let url = url.clone();
                attacks.spawn(async move {
                    let mut stream = connect(&url).await;
                    let asked = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
                    let asking = async {
                        loop {
                            give_way();
                            stream.write_all(&asked).await.unwrap();
                        }
                    };
                    tokio::time::timeout(Duration::from_secs(2), asking).await.is_err()
                });
            }
            attacks.join_all().await
        })
    })
    .await;

    // It takes no more requests than it has answered.
    assert_eq!(is_held, vec![true; UNREAD]);
}
