//! Requests that two servers read differently: a second request must not hide in the first.

use crate::storm::platform;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request that would be answered with 404 if it were read as one.
const HIDDEN: &str = "GET /v1/hidden HTTP/1.1\r\nhost: x\r\n\r\n";

fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}")
}

/// How long the server waits for another request.
const WAIT_MS: (&str, u64) = ("HEADER_READ_TIMEOUT_MS", 1_000);

/// Sends a request, and reads until the server hangs up. Nobody says that no more will come, since a server might then not look at it.
async fn exchange(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    // What came before a reset counts.
    drop(read.expect("the server hangs up"));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_of_two_lengths_is_refused_or_is_the_last_of_its_connection() {
    let platform = platform(&[WAIT_MS]).await;
    let hidden = |end: &str| format!("{end}{HIDDEN}");
    let cases = [
        ("CL.TE", post("content-length: 6\r\ntransfer-encoding: chunked", &hidden("0\r\n\r\n"))),
        ("TE.CL", post("transfer-encoding: chunked\r\ncontent-length: 4", &hidden("0\r\n\r\n"))),
        ("two lengths", post("content-length: 2\r\ncontent-length: 40", &hidden("{}"))),
        ("a list of lengths", post("content-length: 2, 40", &hidden("{}"))),
        ("a signed length", post("content-length: +2", &hidden("{}"))),
        ("not chunked at last", post("transfer-encoding: chunked, identity", &hidden("0\r\n\r\n"))),
        ("identity", post("transfer-encoding: identity", &hidden("{}"))),
        ("chunked by another name", post("transfer-encoding: xchunked", &hidden("0\r\n\r\n"))),
        ("chunked twice", post("transfer-encoding: chunked\r\ntransfer-encoding: identity", &hidden("0\r\n\r\n"))),
        ("a folded line", post("transfer-encoding:\r\n chunked", &hidden("0\r\n\r\n"))),
        ("a folded value", post("x: a\r\n b\r\ncontent-length: 2", &hidden("{}"))),
        ("a blank before the colon", post("content-length : 2", &hidden("{}"))),
        ("a chunk without a size", post("transfer-encoding: chunked", &hidden("x\r\n{}\r\n0\r\n\r\n"))),
        (
            "a chunk of too large a size",
            post("transfer-encoding: chunked", &hidden("10000000000000002\r\n{}\r\n0\r\n\r\n")),
        ),
        (
            "chunked in HTTP/1.0",
            post("transfer-encoding: chunked", &hidden("0\r\n\r\n"))
                .replace("HTTP/1.1\r\nhost: x\r\ncontent", "HTTP/1.0\r\nhost: x\r\ncontent"),
        ),
    ];

    for (case, request) in cases {
        let answer = exchange(platform.url(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"), "{case}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{case}: the hidden request was answered: {answer}");
        assert!(!answer.contains("/v1/hidden"), "{case}: {answer}");
    }
    assert!(!platform.log().contains("panicked"));
}

#[tokio::test]
async fn a_usual_request_has_its_usual_successor() {
    // So that the test above can fail: what is hidden there is answered when it does not hide.
    let platform = platform(&[WAIT_MS]).await;

    for request in [post("content-length: 2", "{}"), post("transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n")] {
        let answer = exchange(platform.url(), &format!("{request}{HIDDEN}")).await;
        assert!(answer.matches("HTTP/1.1 4").count() == 2 && answer.contains("/v1/hidden"), "{answer}");
    }
}
