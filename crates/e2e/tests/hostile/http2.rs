//! Floods of frames on HTTP/2 connections.

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, Http2, PING, PROTOCOL_ERROR, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, frame, head, header, text,
};
use crate::storm::{platform, survives};
use std::time::{Duration, Instant};

/// Streams that go out in one write.
const BATCH: usize = 20;
/// How long an attacker goes on, over as many connections as it takes.
const ATTACK: Duration = Duration::from_secs(2);
/// Connections that it gets in this time at most, since each waits 100 ms longer than the one before. There were 1,910 of rapid resets without it.
const CONNECTIONS_MAX: usize = 22;

/// The id of the n-th stream of a client.
fn stream(number: usize) -> u32 {
    u32::try_from(2 * number + 1).expect("there are not so many streams")
}

/// What an attacker has seen.
struct Seen {
    /// Streams that went out over its first connection, which was served at once. Others waited, and streams with them in the system's buffers.
    streams: usize,
    /// The error codes with which connections ended.
    codes: Vec<Option<u32>>,
}

/// Opens streams by the batch, and connects again whenever the server hangs up.
async fn many_streams(url: &str, open: fn(u32) -> Vec<u8>) -> Seen {
    let (begun, mut streams, mut codes) = (Instant::now(), None, Vec::new());
    let batch =
        |number: usize| (number * BATCH..(number + 1) * BATCH).flat_map(|number| open(stream(number))).collect();
    while begun.elapsed() < ATTACK {
        let (sent, code) = Http2::connect(url).await.flood(100_000 / BATCH, batch).await;
        streams.get_or_insert(sent * BATCH);
        codes.push(code);
    }
    assert!(codes.len() <= CONNECTIONS_MAX, "it did not have to wait: {} connections", codes.len());
    Seen { streams: streams.unwrap_or_default(), codes }
}

/// Whether somebody was told to be calm.
fn is_calmed(codes: &[Option<u32>]) -> bool {
    codes.contains(&Some(ENHANCE_YOUR_CALM))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_reset_is_ended_and_hurts_nobody() {
    // CVE-2023-44487: each stream is given up as soon as it is opened.
    let Seen { streams, codes } = survives(&[], |url| {
        Box::pin(async move {
            many_streams(&url, |id| {
                let open = frame(HEADERS, END_HEADERS | END_STREAM, id, &head("GET", "/v1/consumers/c"));
                [open, frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat()
            })
            .await
        })
    })
    .await;

    assert!(is_calmed(&codes) && streams < 20_000, "{streams} streams on one connection, {codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_server_must_reset_are_ended_too() {
    // CVE-2025-8671 "MadeYouReset", RUSTSEC-2024-0003: the client breaks a rule on each stream, so that the server resets it.
    let Seen { streams, codes } = survives(&[], |url| {
        Box::pin(async move {
            many_streams(&url, |id| {
                let open = frame(HEADERS, END_HEADERS, id, &head("POST", "/v1/orders"));
                [open, frame(WINDOW_UPDATE, 0, id, &0_u32.to_be_bytes())].concat()
            })
            .await
        })
    })
    .await;

    // 1,024 by default, and what was on its way. The server hangs up with frames unread, so that its last word may be lost with the line. It is
    // another one when it has forgotten a stream already whose window is to grow.
    assert!(streams < 5_000, "{streams} streams on one connection");
    let is_ended = |code: u32| code == ENHANCE_YOUR_CALM || code == PROTOCOL_ERROR;
    assert!(codes.iter().all(|code| code.is_none_or(is_ended)), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_an_end_is_ended() {
    // CVE-2024-27316 and its kin: CONTINUATION frames for ever.
    let (sent, _code) = survives(&[], |url| {
        Box::pin(async move {
            let mut connection = Http2::connect(&url).await;
            connection.send(&frame(HEADERS, 0, 1, &head("GET", "/"))).await;
            let filler = frame(CONTINUATION, 0, 1, &header("x-filler", &"x".repeat(1_000)));
            connection.flood(100_000, |_| filler.clone()).await
        })
    })
    .await;

    assert!(sent < 10_000, "{sent} frames were taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_data_are_ended() {
    // RUSTSEC-2026-0258: empty DATA frames, which no window bounds.
    let (sent, code) = survives(&[], |url| {
        Box::pin(async move {
            let mut connection = Http2::connect(&url).await;
            let open = [head("POST", "/v1/orders"), header("content-type", "application/json")].concat();
            connection.send(&frame(HEADERS, END_HEADERS, 1, &open)).await;
            let empty = frame(DATA, 0, 1, &[]).repeat(BATCH);
            connection.flood(10_000, |_| empty.clone()).await
        })
    })
    .await;

    assert!(sent < 10_000, "{sent} batches were taken, and the end was {code:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_grows_in_the_decoder_is_refused() {
    // An HPACK bomb: one large header in the dynamic table, and thousands of references to it.
    let status = survives(&[], |url| {
        Box::pin(async move {
            let mut connection = Http2::connect(&url).await;
            let stored = [vec![0x40], text("x-bomb"), text(&"x".repeat(3_900))].concat();
            let block = [head("GET", "/healthz"), stored, vec![0xbe; 12_000]].concat();
            connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
            connection.next_of(1).await
        })
    })
    .await;

    // 431 in the first byte strings of the block, or the stream is reset, or the line is cut.
    let is_refused = status.as_ref().is_none_or(|frame| {
        frame.kind == RST_STREAM
            || frame.payload.windows(3).any(|text| text == b"431")
            || is_huffman_431(&frame.payload)
    });
    assert!(is_refused, "{status:?}");
}

/// `431` in Huffman coding, as it stands in an answer: 011010 011001 00001 and ones.
fn is_huffman_431(block: &[u8]) -> bool {
    block.windows(3).any(|bytes| bytes == [0x69, 0x90, 0xff])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_nobody_waits_for_are_bounded() {
    // CVE-2019-9512 and 9515: PING and SETTINGS, whose answers pile up at a server which must send them.
    for kind in [PING, SETTINGS] {
        survives(&[], move |url| {
            Box::pin(async move {
                let mut connection = Http2::connect(&url).await;
                let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
                let questions = frame(kind, 0, 0, payload).repeat(1_000);
                // Nothing is read, so that the answers stay where they are until the server stops reading too.
                for _ in 0..2_000 {
                    let sent = connection.send(&questions);
                    if tokio::time::timeout(std::time::Duration::from_secs(1), sent).await.is_err() {
                        break;
                    }
                }
            })
        })
        .await;
    }
}

#[tokio::test]
async fn too_many_headers_are_431_on_http2_as_well() {
    let platform = platform(&[]).await;
    let mut connection = Http2::connect(platform.url()).await;
    let many: Vec<u8> = (0..101).flat_map(|number| header(&format!("x-{number}"), "x")).collect();

    let block = [head("GET", "/healthz"), many].concat();
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
    let answer = connection.next_of(1).await.unwrap();

    let is_431 = answer.payload.windows(3).any(|text| text == b"431") || is_huffman_431(&answer.payload);
    assert!(answer.kind == HEADERS && is_431, "{answer:?}");
}
