//! The port where services of this process are served to other processes.

use crate::wire::{INTERNAL, SERVED, Wiring};
use crate::{Error, Role};
use axum::Router;
use axum::extract::Request;
use lifecycle::Drain;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::ServiceExt;
use tracing::error;

/// A bound port, and what is served there.
pub(crate) struct ServicesPort {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    services: Router,
}

impl ServicesPort {
    /// Binds the port for those of `roles` that have a service.
    pub(crate) async fn bind(address: SocketAddr, wiring: &Wiring, roles: &[Role]) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut services = Router::new();
        for (role, name) in SERVED.into_iter().chain(INTERNAL).filter(|(role, _)| roles.contains(role)) {
            if let Some(upstream) = wiring.upstream(role) {
                let service = upstream.clone().map_request(|request: Request| request.map(Body::new));
                services = services.route_service(&format!("/{name}/{{method}}"), service);
            }
        }
        Ok(ServicesPort { listener, address, services })
    }

    /// Serves the port until `drain` is requested.
    pub(crate) async fn serve(self, drain: Drain) {
        let connections = TcpListenerStream::new(self.listener);
        let server = Server::builder().tcp_nodelay(true).add_routes(Routes::from(self.services));
        if let Err(error) = server.serve_with_incoming_shutdown(connections, drain.requested()).await {
            error!(error = &error as &dyn std::error::Error, "port of the services failed");
        }
    }
}
