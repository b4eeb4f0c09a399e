//! A breaker around a `tower` service: refuses in the call, and judges an answer at the end of its stream.
//!
//! It is always ready: an open breaker that showed itself by not being ready would hold its callers up instead of telling them. So it
//! waits for the inner service in the call, with a clone of it, and what an inner service does with a caller that waits is part of the call.

mod body;

pub use body::Body;

use crate::{Breaker, Classify, OwnedPermit, Rejected, Verdict, grpc, http};
use ::http::{Request, Response};
use body::Watch;
use pin_project_lite::pin_project;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::util::Oneshot;
use tower::{Layer, Service, ServiceExt};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Puts a breaker around services. Timeouts belong inside: from outside they look like callers who gave up.
#[derive(Debug, Clone)]
pub struct BreakerLayer<C = grpc::Table> {
    breaker: Breaker,
    classify: C,
    begins: Begins,
}

/// What the answer of a peer begins with: the end of the time that may be slow, and of a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Begins {
    /// Its head. For streams that may have nothing to say for long.
    WithHead,
    /// The first of its data: a head costs a peer nothing.
    #[default]
    WithData,
}

/// A service with a breaker around it.
#[derive(Debug, Clone)]
pub struct BreakerService<S, C = grpc::Table> {
    inner: S,
    layer: BreakerLayer<C>,
}

impl BreakerLayer<grpc::Table> {
    /// For gRPC, by the default [table](grpc::outcome).
    #[must_use]
    pub fn grpc(breaker: Breaker) -> Self {
        BreakerLayer::new(breaker, grpc::Table::default())
    }
}

impl BreakerLayer<http::Table> {
    /// For plain HTTP.
    #[must_use]
    pub fn http(breaker: Breaker) -> Self {
        BreakerLayer::new(breaker, http::Table)
    }
}

impl<C: Classify> BreakerLayer<C> {
    /// For answers that are judged in another way.
    pub fn new(breaker: Breaker, classify: C) -> Self {
        BreakerLayer { breaker, classify, begins: Begins::default() }
    }

    /// Says what an answer begins with.
    #[must_use]
    pub fn begins(self, begins: Begins) -> Self {
        BreakerLayer { begins, ..self }
    }
}

impl<S, C: Clone> Layer<S> for BreakerLayer<C> {
    type Service = BreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, layer: self.clone() }
    }
}

impl<S, C, I, O> Service<Request<I>> for BreakerService<S, C>
where
    S: Service<Request<I>, Response = Response<O>> + Clone,
    S::Error: Into<BoxError>,
    O: http_body::Body,
    O::Error: Into<BoxError>,
    C: Classify,
{
    type Response = Response<Body<O, C>>;
    type Error = BoxError;
    type Future = ResponseFuture<S, Request<I>, C>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let stage = match self.layer.breaker.try_acquire_owned() {
            Ok(permit) => Stage::Calling {
                call: self.inner.clone().oneshot(request),
                permit: Some(permit),
                classify: self.layer.classify.clone(),
                begins: self.layer.begins,
            },
            Err(rejected) => Stage::Refused { answer: Some(refusal(&self.layer.classify, rejected)) },
        };
        ResponseFuture { stage }
    }
}

pin_project! {
    /// The answer to a call, or the refusal of it.
    pub struct ResponseFuture<S, R, C>
    where
        S: Service<R>,
    {
        #[pin]
        stage: Stage<S, R, C>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<S, R, C>
    where
        S: Service<R>,
    {
        Refused { answer: Option<Response<()>> },
        Calling {
            #[pin]
            call: Oneshot<S, R>,
            permit: Option<OwnedPermit>,
            classify: C,
            begins: Begins,
        },
    }
}

impl<S, R, C, O> Future for ResponseFuture<S, R, C>
where
    S: Service<R, Response = Response<O>>,
    S::Error: Into<BoxError>,
    O: http_body::Body,
    C: Classify,
{
    type Output = Result<Response<Body<O, C>>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            StageProjection::Refused { answer } => {
                let answer = answer.take().ok_or("polled after its end");
                Poll::Ready(answer.map(|answer| answer.map(|()| Body::refused())).map_err(BoxError::from))
            }
            StageProjection::Calling { call, permit, classify, begins } => {
                let answer = ready!(call.poll(context)).map_err(Into::into);
                let Some(permit) = permit.take() else { return Poll::Ready(Err("polled after its end".into())) };
                match answer {
                    Ok(answer) => Poll::Ready(Ok(watched(answer, permit, classify, *begins))),
                    Err(error) => {
                        permit.record(classify.error(&*error));
                        Poll::Ready(Err(error))
                    }
                }
            }
        }
    }
}

/// The refusal says so to whoever stands outside, who need not count it against the peer.
fn refusal(classify: &impl Classify, rejected: Rejected) -> Response<()> {
    let mut answer = classify.refuse(&rejected);
    answer.extensions_mut().insert(rejected);
    answer
}

/// Judges an answer by its head, or hands the permit to its body.
fn watched<O: http_body::Body, C: Classify>(
    answer: Response<O>,
    mut permit: OwnedPermit,
    classify: &C,
    begins: Begins,
) -> Response<Body<O, C>> {
    if answer.extensions().get::<Rejected>().is_some() {
        permit.record(crate::Outcome::Ignored);
        return answer.map(Body::unwatched);
    }
    match classify.head(answer.status(), answer.headers(), permit.elapsed()) {
        Verdict::Final(outcome) => {
            permit.record(outcome);
            answer.map(Body::unwatched)
        }
        Verdict::AtEnd => {
            if begins == Begins::WithHead {
                permit.answered();
            }
            let watch = Watch::new(permit, classify.clone());
            answer.map(|body| Body::watched(body, watch))
        }
    }
}
