//! A service of another process, over one HTTP/2 connection that comes back by itself.

use http::{Request, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint, Error, Uri};
use tower::ServiceExt;
use tracing::{info, warn};

/// How long a connection may take to be made: services are near each other.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is asked whether it is alive, and how long it may take to say so: a peer that is gone without a word is noticed
/// in ten seconds.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// One address.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    channel: Channel,
    address: Arc<Uri>,
    reached: Arc<watch::Sender<bool>>,
    news: watch::Receiver<bool>,
}

impl Remote {
    pub(crate) fn at(address: Uri) -> Self {
        let endpoint = Endpoint::from(address.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        // Taken to be there until a call says otherwise, so that nobody is turned away before it was tried.
        let (reached, news) = watch::channel(true);
        Remote { channel: endpoint.connect_lazy(), address: Arc::new(address), reached: Arc::new(reached), news }
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.reached.borrow()
    }

    pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.news.changed().await
    }

    /// Calls the service. An error means that it was not reached, or that the connection broke before it answered.
    pub(crate) fn call(&self, request: Request<Body>) -> impl Future<Output = Result<Response<Body>, Error>> + use<> {
        let Remote { channel, address, reached, .. } = self.clone();
        async move {
            let answer = channel.oneshot(request).await;
            let was_reached = reached.send_replace(answer.is_ok());
            match &answer {
                Ok(_) if !was_reached => info!(peer = %address, "service is back"),
                Err(error) if was_reached => {
                    warn!(peer = %address, error = error as &dyn std::error::Error, "service cannot be reached");
                }
                Ok(_) | Err(_) => {}
            }
            answer
        }
    }
}
