//! A bound on the calls in flight: what cannot be answered in time is better refused at once.

use super::Fault;
use http::{HeaderMap, HeaderName, Request, Response};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tower::Service;

/// The header that says how important a call is: `critical`, `default` or `sheddable`.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("comanda-importance");

/// How important a call is; the less important ones are turned away first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Importance {
    /// Can be left undone: a refresh, a batch.
    Sheddable,
    /// All that says nothing else.
    #[default]
    Default,
    /// Somebody loses something otherwise.
    Critical,
}

impl Importance {
    /// Reads the header; what it does not know is ordinary.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        match headers.get(HEADER).map(http::HeaderValue::as_bytes) {
            Some(b"critical") => Importance::Critical,
            Some(b"sheddable") => Importance::Sheddable,
            Some(_) | None => Importance::Default,
        }
    }

    /// The part of the room that calls of this importance may fill, in percent.
    fn percent(self) -> usize {
        match self {
            Importance::Sheddable => 70,
            Importance::Default => 90,
            Importance::Critical => 100,
        }
    }
}

/// Calls in flight, counted.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    taken: Arc<AtomicUsize>,
    max: usize,
}

/// A place that a call has; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Room {
    pub(crate) fn new(max: usize) -> Self {
        Room { taken: Arc::default(), max }
    }

    /// A place for a call, or how many are taken already.
    pub(crate) fn enter(&self, importance: Importance) -> Result<Place, usize> {
        let share = (self.max * importance.percent() / 100).max(1);
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.taken.clone());
        if before < share { Ok(place) } else { Err(before) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client with a bound on its calls until their answers begin.
#[derive(Debug, Clone)]
pub struct Admission<S> {
    inner: S,
    room: Room,
}

impl<S> Admission<S> {
    /// Lets at most `max` calls wait for an answer.
    pub fn new(inner: S, max: usize) -> Self {
        Admission { inner, room: Room::new(max) }
    }
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Fault>,
{
    type Response = Response<Body>;
    type Error = Fault;
    type Future = Admitted<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.room.enter(Importance::of(request.headers())) {
            Ok(place) => Admitted::Waiting { answer: self.inner.call(request), place: Some(place) },
            Err(in_flight) => Admitted::Shed { in_flight },
        }
    }
}

pin_project! {
    /// The answer to a call that has a place, or found none.
    #[project = AdmittedProjection]
    pub enum Admitted<F> {
        /// The place is free again when the answer begins.
        Waiting { #[pin] answer: F, place: Option<Place> },
        /// All are taken.
        Shed { in_flight: usize },
    }
}

impl<F: Future<Output = Result<Response<Body>, Fault>>> Future for Admitted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            AdmittedProjection::Waiting { answer, place } => {
                let answer = ready!(answer.poll(context));
                drop(place.take());
                Poll::Ready(answer)
            }
            AdmittedProjection::Shed { in_flight } => Poll::Ready(Err(Fault::Shed { in_flight: *in_flight })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_important_are_turned_away_first() {
        let room = Room::new(10);
        let mut places: Vec<Place> = (0..7).map(|_| room.enter(Importance::Sheddable).unwrap()).collect();

        assert!(room.enter(Importance::Sheddable).is_err());
        places.extend((0..2).map(|_| room.enter(Importance::Default).unwrap()));
        assert!(room.enter(Importance::Default).is_err());
        places.push(room.enter(Importance::Critical).unwrap());
        assert!(room.enter(Importance::Critical).is_err());

        places.clear();
        assert!(room.enter(Importance::Sheddable).is_ok());
    }
}
