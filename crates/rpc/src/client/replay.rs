//! A request body that can be sent again.

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use http_body_util::Full;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tonic::Status;
use tonic::body::Body;

/// Bytes that are kept so that they can be sent again; a longer body is sent once. 64 KiB: orders and menus are smaller, and 1,000 calls in
/// flight keep 64 MiB at most.
const KEPT_MAX: usize = 64 * 1024;

/// What a request consists of behind its headers.
pub(crate) enum Replay {
    /// All of it is here.
    Whole(Whole),
    /// It goes on, or is too long to be kept.
    Stream(Body),
}

/// A body that is known from end to end. Nearly all are one piece of data.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whole {
    first: Bytes,
    rest: Vec<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Replay {
    /// Takes what is there without waiting: the message of a unary call is, a stream's next message is not.
    pub(crate) fn take(mut body: Body) -> Self {
        let mut context = Context::from_waker(Waker::noop());
        let (mut whole, mut kept) = (Whole::default(), 0);
        loop {
            let frame = match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Ready(None) => return Replay::Whole(whole),
                Poll::Pending => return Replay::Stream(Body::new(Resumed::new(whole, None, body))),
                Poll::Ready(Some(Err(status))) => {
                    return Replay::Stream(Body::new(Resumed::new(whole, Some(status), body)));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            match frame.into_data() {
                Ok(data) => {
                    kept += data.len();
                    whole.push(data);
                }
                Err(frame) => whole.trailers = frame.into_trailers().ok(),
            }
            if kept > KEPT_MAX {
                return Replay::Stream(Body::new(Resumed::new(whole, None, body)));
            }
        }
    }
}

impl Whole {
    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
        } else {
            self.rest.push(data);
        }
    }

    /// The body once more.
    pub(crate) fn body(&self) -> Body {
        if self.rest.is_empty() && self.trailers.is_none() {
            return Body::new(Full::new(self.first.clone()));
        }
        Body::new(Resumed::new(self.clone(), None, Body::empty()))
    }
}

/// What was taken already, and then the rest.
struct Resumed {
    data: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    failure: Option<Status>,
    rest: Body,
}

impl Resumed {
    fn new(taken: Whole, failure: Option<Status>, rest: Body) -> Self {
        let data = std::iter::once(taken.first).chain(taken.rest).filter(|data| !data.is_empty()).collect();
        Resumed { data, trailers: taken.trailers, failure, rest }
    }
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.data.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Pin::new(&mut self.rest).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none() && self.failure.is_none() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    fn body(frames: Vec<&'static str>) -> Body {
        let frames = frames.into_iter().map(|text| Ok::<_, Status>(Frame::data(Bytes::from_static(text.as_bytes()))));
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    async fn text(body: Body) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_message_that_is_there_can_be_sent_twice() {
        let Replay::Whole(whole) = Replay::take(body(vec!["one ", "message"])) else { panic!("not whole") };

        assert_eq!(text(whole.body()).await, "one message");
        assert_eq!(text(whole.body()).await, "one message");
    }

    #[tokio::test]
    async fn a_stream_that_goes_on_loses_nothing_of_what_was_taken() {
        let frames = stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(b"first, ")))]);
        let later = stream::once(async {
            tokio::task::yield_now().await;
            Ok(Frame::data(Bytes::from_static(b"then more")))
        });
        let body = Body::new(StreamBody::new(Box::pin(stream::StreamExt::chain(frames, later))));

        let Replay::Stream(resumed) = Replay::take(body) else { panic!("taken as whole") };

        assert_eq!(text(resumed).await, "first, then more");
    }

    #[tokio::test]
    async fn a_long_body_is_not_kept() {
        let long: &'static str = Box::leak("x".repeat(KEPT_MAX).into_boxed_str());

        let Replay::Stream(resumed) = Replay::take(body(vec![long, "end"])) else { panic!("kept") };

        assert_eq!(text(resumed).await.len(), KEPT_MAX + 3);
    }
}
