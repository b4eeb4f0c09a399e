//! What an endpoint says of itself before it is called.
//!
//! Endpoints of one service may be of different versions. Where that matters to callers, each connection begins with an interview, and calls
//! pass over it only when its end is known: a process that was replaced at the same address is on another connection, and so it is asked anew.

use super::Fault;
use super::connected::Connected;
use super::line::{Failed, Line};
use futures_util::future::BoxFuture;
use http::uri::Authority;
use http::{Request, Response};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::watch;
use tonic::body::Body;
use tower::Service;

/// Asks endpoints what they offer, and tells which of them can take a call.
pub trait Interview: Debug + Send + Sync + 'static {
    /// Asks the endpoint at the other end of a connection, until it has answered: the number of what it offers. `known` is what it said
    /// before on the same connection; then this waits until it is time to ask again, and ends only if the answer is another one. Must be
    /// cancel safe: it is dropped when the connection ends.
    fn ask(&self, visit: Visit, known: Option<Offer>) -> BoxFuture<'static, Offer>;

    /// Whether an endpoint with this offer can take a call that wants this.
    fn admits(&self, offer: Offer, wanted: Wanted) -> bool;
}

/// The number of what an endpoint offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer(pub u64);

/// The number of what a call wants of its endpoint; stands in the call's extensions. A call without one goes to any endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wanted(pub u64);

/// A connection for an interview: calls go to this endpoint, past breakers and limits.
#[derive(Debug, Clone)]
pub struct Visit {
    address: SocketAddr,
    line: Line,
    peer: Arc<str>,
}

impl Visit {
    pub(super) fn new(address: SocketAddr, sender: super::http2::Sender, authority: Authority) -> Self {
        let (_, line) = watch::channel(Some(sender));
        Visit { address, peer: address.to_string().into(), line: Line::Http2(Connected::once(line), authority) }
    }

    /// Where the endpoint is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Service<Request<Body>> for Visit {
    type Response = Response<Body>;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Response<Body>, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (line, peer) = (self.line.clone(), self.peer.clone());
        Box::pin(async move {
            line.send(Box::new(request)).await.map_err(|failed| match failed {
                Failed::Returned(_, source) | Failed::Refused(source) => Fault::NotSent { peer, source },
                Failed::Broken(source) => Fault::Broken { peer, source },
            })
        })
    }
}
