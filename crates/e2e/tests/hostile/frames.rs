//! Frames of HTTP/2 as nobody's client would send them (RFC 9113 4 and 6; RFC 7541).

use crate::storm::give_way;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The error code of who is told what the protocol does not allow.
pub(crate) const PROTOCOL_ERROR: u32 = 1;
/// The error code of who is asked for too much.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// How long the server may take to answer or hang up.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A connection that has begun.
pub(crate) struct Http2 {
    reading: BufReader<OwnedReadHalf>,
    writing: OwnedWriteHalf,
}

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A frame that goes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header that is put into no table.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// A string without Huffman coding.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [integer(text.len(), 7, 0), text.as_bytes().to_vec()].concat()
}

/// An integer with a prefix of some bits (RFC 7541 5.1).
fn integer(mut value: usize, bits: u8, first: u8) -> Vec<u8> {
    let most = (1 << bits) - 1;
    let low = |value: usize| u8::try_from(value & 0xff).expect("it is masked");
    if value < most {
        return vec![first | low(value)];
    }
    let mut bytes = vec![first | low(most)];
    value -= most;
    while value >= 128 {
        bytes.push(low(value % 128 + 128));
        value /= 128;
    }
    bytes.push(low(value));
    bytes
}

/// `:method`, `:scheme`, `:path` and `:authority` of a request.
pub(crate) fn head(method: &str, path: &str) -> Vec<u8> {
    let [scheme, authority] = [vec![0x86], [vec![0x01], text("x")].concat()];
    [header(":method", method), scheme, header(":path", path), authority].concat()
}

impl Http2 {
    pub(crate) async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap_or(url);
        let stream = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        let (reading, writing) = stream.into_split();
        let mut connection = Http2 { reading: BufReader::new(reading), writing };
        let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
        assert!(connection.send(&opening).await, "the server has hung up at once");
        connection
    }

    /// Whether it could be sent. A server that has seen enough hangs up.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = tokio::time::timeout(ANSWER_WITHIN, self.writing.write_all(bytes)).await;
        matches!(sent, Ok(Ok(())))
    }

    /// The next frame of a stream that is not a window; `None` when the server has hung up.
    pub(crate) async fn next_of(&mut self, stream: u32) -> Option<Frame> {
        let read = async {
            loop {
                let frame = next(&mut self.reading).await?;
                if frame.stream == stream && frame.kind != WINDOW_UPDATE {
                    return Some(frame);
                }
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, read).await.expect("the server answers or hangs up")
    }

    /// Sends pieces until the server hangs up or says that it will, `times` at most. Gives how many were sent, and the error code.
    pub(crate) async fn flood(self, times: usize, mut piece: impl FnMut(usize) -> Vec<u8>) -> (usize, Option<u32>) {
        let Http2 { mut reading, mut writing } = self;
        // What the server says is read meanwhile, so that it cannot wait for us.
        let mut ended = std::pin::pin!(goodbye(&mut reading));
        for sent in 0..times {
            let bytes = piece(sent);
            give_way();
            tokio::select! {
                biased;
                code = &mut ended => return (sent, code),
                written = writing.write_all(&bytes) => {
                    if written.is_err() {
                        let code = tokio::time::timeout(ANSWER_WITHIN, &mut ended).await;
                        return (sent, code.expect("a connection that cannot be written has an end"));
                    }
                }
            }
        }
        (times, None)
    }
}

/// The next frame; `None` when the server has hung up.
async fn next(reading: &mut BufReader<OwnedReadHalf>) -> Option<Frame> {
    let mut head = [0; 9];
    reading.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, _, d, e, f, g] = head;
    let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?];
    reading.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, stream: u32::from_be_bytes([d, e, f, g]), payload })
}

/// Reads until the server hangs up or says that it will; the error code that it gives.
async fn goodbye(reading: &mut BufReader<OwnedReadHalf>) -> Option<u32> {
    loop {
        let frame = next(reading).await?;
        if frame.kind == GOAWAY {
            let code = frame.payload.get(4..8)?.try_into().ok()?;
            return Some(u32::from_be_bytes(code));
        }
    }
}
