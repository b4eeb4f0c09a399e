//! Bytes that are no HTTP, or almost: the port answers or hangs up, and serves everybody else.

use crate::table::Table;
use futures_util::future::join_all;
use testkit::raw;

/// Beginnings of conversations that no client should begin.
fn openings() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let order = "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    vec![
        ("nothing", Vec::new()),
        ("a newline", text("\r\n")),
        ("a greeting", text("HELO comanda\r\n\r\n")),
        ("zeros", vec![0; 64 << 10]),
        ("ones", vec![0xff; 4096]),
        ("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20)),
        ("a version that is none", text("GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n")),
        ("no version", text("GET /healthz\r\n\r\n")),
        ("half a head", text("GET /healthz HTTP/1.1\r\nhost: x\r\n")),
        ("a header without a colon", text("GET /healthz HTTP/1.1\r\nhost x\r\n\r\n")),
        ("a header with a zero", text("GET /healthz HTTP/1.1\r\nhost: \0\r\n\r\n")),
        ("a path with a blank", text("GET /heal thz HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("a path that is no path", text("GET \\\\x HTTP/1.1\r\nhost: x\r\n\r\n")),
        ("a long head", format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(100 << 10)).into_bytes()),
        ("many headers", format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(500)).into_bytes()),
        ("a negative length", format!("{order}content-length: -1\r\n\r\n{{}}").into_bytes()),
        ("two lengths", format!("{order}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}").into_bytes()),
        (
            "a length and chunks",
            format!("{order}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").into_bytes(),
        ),
        ("a chunk of no size", format!("{order}transfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n").into_bytes()),
        ("a chunk without an end", format!("{order}transfer-encoding: chunked\r\n\r\nffffff\r\n{{}}").into_bytes()),
        ("less body than was said", format!("{order}content-length: 100\r\n\r\n{{}}").into_bytes()),
        ("a coding that is unknown", format!("{order}transfer-encoding: brotli\r\n\r\n{{}}").into_bytes()),
        ("HTTP/2 and then nothing", preface.clone()),
        ("HTTP/2 and then garbage", [preface.clone(), vec![0xff; 1000]].concat()),
        ("HTTP/2 and a frame that is too long", [preface.clone(), vec![0x7f, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat()),
        (
            "HTTP/2 and headers that are none",
            [preface, b"\0\0\x04\x01\x05\0\0\0\x01\xff\xff\xff\xff".to_vec()].concat(),
        ),
    ]
}

#[tokio::test]
async fn garbage_on_the_port_harms_nobody() {
    let table = Table::open().await;
    let url = table.comanda.url();

    let answers = join_all(openings().into_iter().map(async |(what, bytes)| (what, raw(url, &bytes).await))).await;

    for (what, answer) in &answers {
        let answer = String::from_utf8_lossy(answer);
        assert!(!answer.starts_with("HTTP/1.1 5") && !answer.starts_with("HTTP/1.0 5"), "{what}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{what} was taken for a request: {answer}");
    }
    table.finish().await;
}

#[tokio::test]
async fn garbage_on_the_operators_port_harms_nobody() {
    let table = Table::open().await;
    let url = table.comanda.admin_url();

    let answers = join_all(openings().into_iter().map(async |(what, bytes)| (what, raw(url, &bytes).await))).await;

    for (what, answer) in &answers {
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{what}: {}", String::from_utf8_lossy(answer));
    }
    assert_eq!(table.comanda.admin_http().get("/healthz").send().await.status, 200);
    table.finish().await;
}
