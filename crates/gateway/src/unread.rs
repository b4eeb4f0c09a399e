//! What a client still sends when its request is already answered.
//!
//! An HTTP/1.1 connection that is closed while the client writes is reset, and with it goes the answer that says why: many clients never
//! see an early 413. So the rest of the body is read and thrown away, up to a bound.

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use futures_util::future::ready;
use http::{Request, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;

/// Bytes thrown away at most: four times the largest body that is taken. Who sends more sees a reset.
const BYTES_MAX: usize = 16 << 20;
/// Time for them to arrive.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Lends the body of a request, so that what its answer leaves of it can be read. A stream that is answered while it is sent is still being
/// read, and is left alone.
pub(crate) fn lend(request: Request<Body>) -> (Request<Lent>, Returned) {
    let reads_on = is_worth_reading(&request);
    let (parts, body) = request.into_parts();
    let (body, returned) = Lent::of(body, reads_on);
    (Request::from_parts(parts, body), returned)
}

/// A body that comes back when nobody reads it any more, if anything may be left of it.
pub(crate) struct Lent {
    // None: it has ended, and may not be asked again.
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

/// Where a body comes back, if anybody wants it.
pub(crate) struct Returned(Option<oneshot::Receiver<Body>>);

impl Returned {
    /// Waits for an answer and then reads what is left of the body, so that the answer is not lost with the connection.
    pub(crate) fn read_after<F: Future>(self, answer: F) -> impl Future<Output = F::Output> {
        answer.then(move |answered| match self.now() {
            Some(body) => Box::pin(throw_away(body).map(|()| answered)).left_future(),
            None => ready(answered).right_future(),
        })
    }

    /// The body, if it is back.
    fn now(self) -> Option<Body> {
        self.0?.try_recv().ok()
    }
}

impl Lent {
    fn of(body: Body, is_wanted_back: bool) -> (Self, Returned) {
        let (back, returned) = is_wanted_back.then(oneshot::channel).unzip();
        (Lent { body: Some(body), back }, Returned(returned))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // Nobody waits for the body of a call that has ended.
            let _unwanted = back.send(body).is_err();
        }
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// Whether the rest of a body is worth waiting for: HTTP/2 can end a request alone, and who waits for `100 Continue` sends nothing.
fn is_worth_reading(request: &Request<Body>) -> bool {
    let is_http1 = request.version() < Version::HTTP_2;
    is_http1 && !request.body().is_end_stream() && !request.headers().contains_key(header::EXPECT)
}

/// Reads and forgets what is left of a body.
async fn throw_away(mut body: Body) {
    let rest = async {
        let mut left = BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Buf::remaining);
            let Some(still) = left.checked_sub(read) else { return };
            left = still;
        }
    };
    // A client that is too slow sees a reset, as one that sends too much.
    let _elapsed = tokio::time::timeout(TIMEOUT, rest).await.is_err();
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;

    /// A body that panics when it is asked once more after its end, as the messages of a WebSocket did when a stream of a client was
    /// answered.
    fn strict(pieces: u8) -> Body {
        let frames = stream::unfold(pieces, |left| async move {
            Some((Ok::<_, Status>(Frame::data(Bytes::from_static(b"x"))), left.checked_sub(1)?))
        });
        Body::new(StreamBody::new(Box::pin(frames)))
    }

    #[tokio::test]
    async fn a_body_that_has_ended_does_not_come_back() {
        let (mut lent, returned) = Lent::of(strict(2), true);
        while let Some(frame) = lent.frame().await {
            frame.unwrap();
        }
        assert!(lent.frame().await.is_none(), "it may be asked again");

        drop(lent);

        assert!(returned.now().is_none());
    }

    #[tokio::test]
    async fn a_body_that_was_not_read_to_its_end_comes_back_and_is_thrown_away() {
        let (mut lent, returned) = Lent::of(strict(2), true);
        lent.frame().await.unwrap().unwrap();

        drop(lent);

        throw_away(returned.now().unwrap()).await;
    }
}
