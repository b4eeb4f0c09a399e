//! The line to an endpoint: one HTTP/2 connection that comes back by itself, or a server in this process.

use super::Fault;
use super::connected::Connected;
use crate::Guarded;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::body::Body;
use tower::Service;

/// Where calls go.
#[derive(Debug, Clone)]
pub(crate) enum Line {
    /// Over a connection, while there is one.
    Http2(Connected, Authority),
    /// To a server in this process, while it is plugged in.
    InProcess(watch::Receiver<Option<Guarded>>),
}

/// Why a call has not come back.
pub(crate) enum Failed {
    /// It was not sent, and is here again.
    Returned(Box<Request<Body>>, Arc<dyn std::error::Error + Send + Sync>),
    /// The server has refused it without looking at it.
    Refused(Arc<dyn std::error::Error + Send + Sync>),
    /// The line broke; the call may have taken effect.
    Broken(Arc<dyn std::error::Error + Send + Sync>),
}

/// Nobody is at the other end.
#[derive(Debug, thiserror::Error)]
#[error("nobody is at the other end of the line")]
struct Down;

impl Line {
    pub(crate) fn is_up(&self) -> bool {
        match self {
            Line::Http2(connected, _) => connected.is_up(),
            Line::InProcess(server) => server.borrow().is_some(),
        }
    }

    pub(crate) fn is_in_process(&self) -> bool {
        matches!(self, Line::InProcess(_))
    }

    /// Why a call cannot even be made while the line is down.
    pub(crate) fn absence(&self) -> Fault {
        if self.is_in_process() { Fault::NotRunning } else { Fault::NoEndpoint }
    }

    /// Makes a call. Its request comes in a box, as it is moved through the futures of all that wait for it.
    pub(crate) async fn send(&self, mut request: Box<Request<Body>>) -> Result<Response<Body>, Failed> {
        match self {
            Line::InProcess(server) => {
                let server = server.borrow().clone();
                match server {
                    Some(mut server) => {
                        let Ok(answer) = server.call(*request).await;
                        Ok(answer)
                    }
                    None => Err(Failed::Returned(request, Arc::new(Down))),
                }
            }
            Line::Http2(connected, authority) => match connected.sender() {
                Some(sender) => {
                    address(&mut request, authority);
                    sender.send(request).await
                }
                None => Err(Failed::Returned(request, Arc::new(Down))),
            },
        }
    }
}

/// Addresses a request to the endpoint.
fn address(request: &mut Request<Body>, authority: &Authority) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = parts.path_and_query.or_else(|| Some(PathAndQuery::from_static("/")));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}
