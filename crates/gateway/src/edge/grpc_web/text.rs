//! The body of a call that is sent in base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;

/// Characters that stand for three bytes.
const QUARTET: usize = 4;
/// Takes padding wherever it is due, and does without it.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A body whose pieces are decoded as they come. It may be made of several texts, each with its own padding.
pub(super) struct Text {
    body: Body,
    /// What came and is not decoded yet: less than a quartet when more is asked for.
    buffer: BytesMut,
    is_ended: bool,
}

impl Text {
    pub(super) fn new(body: Body) -> Self {
        Text { body, buffer: BytesMut::new(), is_ended: false }
    }

    /// Decodes up to the next padding, or what has come in whole quartets; at the end all of it.
    fn decode(&mut self) -> Result<Option<Bytes>, Status> {
        let whole = if self.is_ended { self.buffer.len() } else { self.buffer.len() / QUARTET * QUARTET };
        let padded = self.buffer[..whole].iter().position(|byte| *byte == b'=');
        let end = padded.map_or(whole, |at| ((at / QUARTET + 1) * QUARTET).min(whole));
        if end == 0 {
            return Ok(None);
        }
        let decoded = ENGINE.decode(self.buffer.split_to(end));
        let malformed = |error| Status::invalid_argument(format!("the body is not base64: {error}"));
        decoded.map(|bytes| Some(bytes.into())).map_err(malformed)
    }
}

impl HttpBody for Text {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(decoded) = self.decode().transpose() {
                if decoded.is_err() {
                    (self.buffer, self.is_ended) = (BytesMut::new(), true);
                }
                return Poll::Ready(Some(decoded.map(Frame::data)));
            }
            if self.is_ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => self.is_ended = true,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.buffer.is_empty() && (self.is_ended || self.body.is_end_stream())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    fn decode(pieces: &[&'static str]) -> Result<Bytes, Status> {
        let frames: Vec<Result<_, Status>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        let text = Text::new(Body::new(StreamBody::new(stream::iter(frames))));
        text.collect().now_or_never().expect("all of it is there").map(http_body_util::Collected::to_bytes)
    }

    #[test]
    fn a_text_is_decoded_however_it_is_cut() {
        let text = "AAAAAAV0YWJieQ==";

        for at in 0..text.len() {
            let (first, second) = text.split_at(at);
            assert_eq!(decode(&[first, second]).unwrap(), &b"\0\0\0\0\x05tabby"[..], "{at}");
        }
    }

    #[test]
    fn padding_may_stand_within_a_text_and_may_lack_at_its_end() {
        assert_eq!(decode(&["YQ==Yg", "==Y2Q=ZWY"]).unwrap(), &b"abcdef"[..]);
    }

    #[test]
    fn what_is_no_base64_is_refused_once() {
        assert_eq!(decode(&["YQ==", "!!!!", "YQ=="]).unwrap_err().code(), tonic::Code::InvalidArgument);
        assert_eq!(decode(&["YWJjZ"]).unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
