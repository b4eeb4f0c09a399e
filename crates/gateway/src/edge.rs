//! What stands at the port, around the [`Front`]: it turns what callers speak into what the front understands, and back.

mod grpc_web;
mod peer;
mod places;
mod tls;

pub(crate) use places::{Place, Places};
pub(crate) use tls::Tls;
pub use tls::{ClientCertificate, TlsConfig};

use crate::front::Front;
use grpc_web::Dialect;
use guard::Peer;
use http::{Request, Response};
use std::convert::Infallible;
use tonic::body::Body;

/// The edge of the public port.
pub(crate) struct Edge {
    pub(crate) front: Front,
}

/// The protocol that a request was spoken in, in its extensions, where its form does not tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spoken(pub(crate) &'static str);

impl Edge {
    /// Answers a request, whatever it is and whatever happens.
    pub(crate) async fn answer(&self, mut request: Request<Body>, peer: Peer) -> Result<Response<Body>, Infallible> {
        request.extensions_mut().insert(peer);
        let Some(dialect) = Dialect::of(&request) else { return self.front.answer(request).await };
        let response = self.front.answer(dialect.to_grpc(request)).await?;
        Ok(dialect.to_caller(response))
    }
}
