//! What a client calls: a service that can be away and come back.

use crate::remote::Remote;
use crate::{Answer, Guarded};
use http::Request;
use std::collections::HashMap;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::transport::Uri;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

/// `ErrorInfo.domain` of what this crate answers by itself (AIP-193).
const ERROR_DOMAIN: &str = "comanda";
/// When a caller should come again: a role that is restarted is back within a second.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A service as its callers see it; the transport of generated clients. Clones call the same service.
///
/// It is always ready: while the service is away, calls answer UNAVAILABLE at once.
#[derive(Debug, Clone)]
pub struct Upstream {
    name: &'static str,
    link: Link,
}

/// Where the service runs.
#[derive(Debug, Clone)]
enum Link {
    InProcess(watch::Receiver<Option<Guarded>>),
    Remote(Remote),
}

impl Upstream {
    /// A service in this process, called `name` in what callers are told, and the slot where it is plugged in.
    #[must_use]
    pub fn in_process(name: &'static str) -> (Upstream, Slot) {
        let (slot, current) = watch::channel(None);
        (Upstream { name, link: Link::InProcess(current) }, Slot(slot))
    }

    /// A service of another process, at `address`, as in `http://127.0.0.1:7001`. It is connected to when it is called.
    #[must_use]
    pub fn remote(name: &'static str, address: Uri) -> Upstream {
        Upstream { name, link: Link::Remote(Remote::at(address)) }
    }

    /// The name that callers are told.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the service is there now; of one in another process: whether the last call reached it.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match &self.link {
            Link::InProcess(current) => current.borrow().is_some(),
            Link::Remote(remote) => remote.is_up(),
        }
    }

    /// Waits until the service has come or gone since the last look, and never returns when it cannot any more. Cancel safe: a
    /// change is not missed.
    pub async fn changed(&mut self) {
        let is_over = match &mut self.link {
            Link::InProcess(current) => current.changed().await.is_err(),
            Link::Remote(remote) => remote.changed().await.is_err(),
        };
        if is_over {
            std::future::pending::<()>().await;
        }
    }
}

/// What a caller is told when the service called `name` does not answer.
fn away(name: &str, message: String) -> Status {
    let service = HashMap::from([("service".to_owned(), name.to_owned())]);
    let mut details = ErrorDetails::with_error_info("SERVICE_UNAVAILABLE", ERROR_DOMAIN, service);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(Code::Unavailable, message, details)
}

impl Service<Request<Body>> for Upstream {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let name = self.name;
        let server = match &self.link {
            Link::InProcess(current) => current.borrow().clone(),
            Link::Remote(remote) => {
                let call = remote.call(request);
                return Box::pin(async move {
                    Ok(call.await.unwrap_or_else(|_unreachable| {
                        away(name, format!("the {name} service cannot be reached; call again in a second")).into_http()
                    }))
                });
            }
        };
        match server {
            Some(mut server) => server.call(request),
            None => {
                let message = format!("the {name} service is not running; call again in a second");
                let response = away(name, message).into_http();
                Box::pin(async move { Ok(response) })
            }
        }
    }
}

/// Where a server in this process is plugged in. Dropping it unplugs the server.
#[derive(Debug)]
pub struct Slot(watch::Sender<Option<Guarded>>);

impl Slot {
    /// Plugs a server in, instead of the one before.
    pub fn fill(&self, server: Guarded) {
        self.0.send_replace(Some(server));
    }

    /// Unplugs the server. Calls that it has begun go on to their end.
    pub fn clear(&self) {
        self.0.send_replace(None);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.clear();
    }
}
