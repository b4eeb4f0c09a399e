//! The body of an answer, watched to its end: trailers, nothing, a break, or a caller who drops it.

use super::BoxError;
use crate::{Classify, OwnedPermit, grpc};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The body of an answer. It records one outcome, at its end or when it is dropped.
    #[derive(Debug)]
    pub struct Body<B, C = grpc::Table> {
        // None: the call was refused.
        #[pin]
        inner: Option<B>,
        // None: the outcome is recorded.
        watch: Option<Watch<C>>,
    }
}

/// The permit of a call whose end is still to come. Dropped, it says that its caller gave up.
#[derive(Debug)]
pub(super) struct Watch<C> {
    permit: OwnedPermit,
    classify: C,
}

impl<C: Classify> Watch<C> {
    pub(super) fn new(permit: OwnedPermit, classify: C) -> Self {
        Watch { permit, classify }
    }

    fn end(self, trailers: Option<&::http::HeaderMap>) {
        let outcome = self.classify.end(trailers, self.permit.elapsed());
        self.permit.record(outcome);
    }

    fn broke(self, error: &BoxError) {
        let outcome = self.classify.error(&**error);
        self.permit.record(outcome);
    }
}

impl<B: http_body::Body, C: Classify> Body<B, C> {
    /// A reader need not ask for the end of a body that says it has come, so that is looked for at once.
    pub(super) fn watched(inner: B, watch: Watch<C>) -> Self {
        if inner.is_end_stream() {
            watch.end(None);
            return Body::unwatched(inner);
        }
        Body { inner: Some(inner), watch: Some(watch) }
    }

    pub(super) fn unwatched(inner: B) -> Self {
        Body { inner: Some(inner), watch: None }
    }

    pub(super) fn refused() -> Self {
        Body { inner: None, watch: None }
    }
}

impl<B, C> http_body::Body for Body<B, C>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
    C: Classify,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let this = self.project();
        let Some(mut inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(inner.as_mut().poll_frame(context)).map(|frame| frame.map_err(Into::into));
        let Some(mut watch) = this.watch.take() else { return Poll::Ready(frame) };
        match &frame {
            None => watch.end(None),
            Some(Err(error)) => watch.broke(error),
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => watch.end(Some(trailers)),
                None => {
                    watch.permit.answered();
                    if inner.is_end_stream() {
                        watch.end(None);
                    } else {
                        *this.watch = Some(watch);
                    }
                }
            },
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
