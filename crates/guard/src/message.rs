//! The messages of a gRPC body: five bytes that say whether a message is compressed and how long it is, and the message.

use crate::refusal::{Reason, Refusal};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::{Code, Status};

/// Bytes before a message.
const PREFIX: usize = 5;

/// What is wrong with the messages of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A message is longer than it may be.
    TooLong,
    /// A message is compressed, and nobody here knows how.
    Compressed,
    /// It is not gRPC.
    Malformed,
}

/// Takes a whole message from what has come so far; `None`: more is to come.
pub(crate) fn take(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, Unreadable> {
    let Some(prefix) = buffer.first_chunk::<PREFIX>() else { return Ok(None) };
    let [flag, length @ ..] = *prefix;
    match flag {
        0 => {}
        1 => return Err(Unreadable::Compressed),
        _ => return Err(Unreadable::Malformed),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(Unreadable::TooLong);
    }
    if buffer.len() < PREFIX + length {
        return Ok(None);
    }
    let mut message = buffer.split_to(PREFIX + length).freeze();
    message.advance(PREFIX);
    Ok(Some(message))
}

/// A message as it stands in a body.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("messages are bounded far below 4 GiB"));
    frame.put_slice(message);
    frame.freeze()
}

/// What a body held: one message, and what came behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) message: Option<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Reads a body of at most one message.
pub(crate) async fn whole(mut body: Body, bytes_max: usize) -> Result<Whole, WholeError> {
    let mut buffer = BytesMut::new();
    let mut whole = Whole { message: None, trailers: None };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(WholeError::Broken)?;
        match frame.into_data() {
            Ok(data) => buffer.put(data),
            Err(frame) => whole.trailers = frame.into_trailers().ok(),
        }
        while let Some(message) = take(&mut buffer, bytes_max).map_err(WholeError::Unreadable)? {
            if whole.message.replace(message).is_some() {
                return Err(WholeError::Unreadable(Unreadable::Malformed));
            }
        }
    }
    if !buffer.is_empty() {
        return Err(WholeError::Unreadable(Unreadable::Malformed));
    }
    Ok(whole)
}

/// Why a body has no message.
#[derive(Debug)]
pub(crate) enum WholeError {
    Unreadable(Unreadable),
    /// The other side broke off.
    Broken(Status),
}

/// Reads the message of a unary request.
pub(crate) async fn request(body: Body, bytes_max: usize, within: Duration) -> Result<Bytes, Refusal> {
    let refuse = |message: &str| Refusal::new(Reason::MessageUnreadable, message);
    let read = tokio::time::timeout(within, whole(body, bytes_max)).await;
    match read.map_err(|_elapsed| late(within))? {
        Ok(Whole { message: Some(message), .. }) => Ok(message),
        Ok(Whole { message: None, .. }) => Err(refuse("the call has no message")),
        Err(WholeError::Broken(_)) => Err(refuse("the message could not be read to its end")),
        Err(WholeError::Unreadable(Unreadable::TooLong)) => Err(too_long(bytes_max)),
        // As gRPC has it for an encoding that is not known ("Compression Method Asymmetry").
        Err(WholeError::Unreadable(Unreadable::Compressed)) => {
            Err(refuse("the message must come without compression here").with_code(Code::Unimplemented))
        }
        Err(WholeError::Unreadable(Unreadable::Malformed)) => Err(refuse("the call is not one message")),
    }
}

/// All of a body, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Collected {
    /// Reads a service's answer to its end.
    pub(crate) async fn whole(body: Body, bytes_max: usize) -> Result<Self, WholeError> {
        let collected = Limited::new(body, bytes_max.saturating_add(PREFIX)).collect().await;
        let collected = collected.map_err(|error| match error.downcast::<Status>() {
            Ok(status) => WholeError::Broken(*status),
            Err(_too_long) => WholeError::Unreadable(Unreadable::TooLong),
        })?;
        let trailers = collected.trailers().cloned();
        Ok(Collected { data: collected.to_bytes(), trailers })
    }

    pub(crate) fn into_body(self) -> Body {
        Body::new(Ready { data: Some(self.data).filter(|data| !data.is_empty()), trailers: self.trailers })
    }
}

/// Reads all of a unary request.
pub(crate) async fn collect(body: Body, bytes_max: usize, within: Duration) -> Result<Collected, Refusal> {
    let refuse = |message: &str| Refusal::new(Reason::MessageUnreadable, message);
    let limited = Limited::new(body, bytes_max.saturating_add(PREFIX)).collect();
    let read = tokio::time::timeout(within, limited).await;
    let read = read.map_err(|_elapsed| late(within))?;
    let collected = read.map_err(|error| match error.downcast_ref() {
        Some(LengthLimitError { .. }) => too_long(bytes_max),
        None => refuse("the message could not be read to its end"),
    })?;
    let trailers = collected.trailers().cloned();
    Ok(Collected { data: collected.to_bytes(), trailers })
}

fn late(within: Duration) -> Refusal {
    let message = format!("the message did not arrive within {within:?}");
    Refusal::new(Reason::MessageUnreadable, message).with_code(Code::DeadlineExceeded)
}

fn too_long(bytes_max: usize) -> Refusal {
    let message = format!("the message has more than {bytes_max} bytes");
    Refusal::new(Reason::MessageUnreadable, message).with_code(Code::OutOfRange)
}

/// A body of data that is here, and trailers.
pub(crate) struct Ready {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Ready {
    /// A body of one message.
    pub(crate) fn of(message: &[u8]) -> Body {
        Body::new(Ready { data: Some(framed(message)), trailers: None })
    }
}

impl HttpBody for Ready {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However a body is cut into pieces, its messages are the same.
        #[test]
        fn messages_are_found_however_they_are_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6), cut in 1_usize..20,
        ) {
            let body: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for piece in body.chunks(cut) {
                buffer.extend_from_slice(piece);
                while let Some(message) = take(&mut buffer, 40).unwrap() {
                    found.push(message.to_vec());
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert!(buffer.is_empty());
        }

        /// No bytes make it panic, or hold more than a message may have.
        #[test]
        fn any_bytes_are_messages_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            while let Ok(Some(message)) = take(&mut buffer, 64) {
                prop_assert!(message.len() <= 64);
            }
        }
    }

    async fn read(bytes: Vec<u8>) -> Result<Bytes, Code> {
        let body = Body::new(Ready { data: Some(bytes.into()), trailers: None });
        let read = request(body, 8, Duration::from_secs(1)).await;
        read.map_err(|refusal| refusal.into_status("test").code())
    }

    #[tokio::test]
    async fn a_unary_request_is_one_message_of_a_bounded_length() {
        assert_eq!(read(framed(b"12345678").to_vec()).await, Ok(Bytes::from_static(b"12345678")));
        assert_eq!(read(framed(b"123456789").to_vec()).await, Err(Code::OutOfRange));
        assert_eq!(read(vec![]).await, Err(Code::InvalidArgument));
        assert_eq!(read(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await, Err(Code::InvalidArgument));
        assert_eq!(read(vec![0, 0, 0, 0, 2, 1]).await, Err(Code::InvalidArgument));
        assert_eq!(read(vec![1, 0, 0, 0, 0]).await, Err(Code::Unimplemented));
        assert_eq!(read(vec![7, 0, 0, 0, 0]).await, Err(Code::InvalidArgument));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_come_is_not_waited_for() {
        let body =
            Body::new(http_body_util::StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Status>>()));

        let refusal = request(body, 8, Duration::from_secs(1)).await.unwrap_err();

        assert_eq!(refusal.into_status("test").code(), Code::DeadlineExceeded);
    }
}
