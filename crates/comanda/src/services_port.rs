//! The port where services of this process are served to other processes, with their health.

use crate::wire::{INTERNAL, SERVED, Wiring};
use crate::{Error, Role, accept};
use axum::Router;
use axum::extract::Request;
use lifecycle::{Drain, Tasks};
use rpc::Upstream;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::ServiceExt;
use tracing::error;

/// Calls of one connection that may be given up before they were looked at: as many as a client has in flight.
const RESETS_MAX: usize = 1_024;

/// A bound port, and what is served there.
pub(crate) struct ServicesPort {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    services: Router,
    upstreams: BTreeMap<&'static str, Upstream>,
}

/// What the service of a role is called in health checks.
pub(crate) fn health_name(role: Role) -> Option<&'static str> {
    SERVED.into_iter().find(|(served, _)| *served == role).map(|(_, name)| name)
}

impl ServicesPort {
    /// Binds the port for those of `roles` that have a service.
    pub(crate) async fn bind(address: SocketAddr, wiring: &Wiring, roles: &[Role]) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (mut services, mut upstreams) = (Router::new(), BTreeMap::new());
        for (role, name) in SERVED.into_iter().chain(INTERNAL).filter(|(role, _)| roles.contains(role)) {
            if let (Some(served), Some(upstream)) = (wiring.served(role), wiring.upstream(role)) {
                let service = served.map_request(|request: Request| request.map(Body::new));
                services = services.route_service(&format!("/{name}/{{method}}"), service);
                upstreams.insert(name, upstream.clone());
            }
        }
        Ok(ServicesPort { listener, address, services, upstreams })
    }

    /// Serves the port, and reports the health of its services, until the drain of `tasks`.
    pub(crate) async fn serve(self, tasks: &mut Tasks) {
        let (reporter, health) = tonic_health::server::health_reporter();
        rpc::health::report(&reporter, &self.upstreams).await;
        let drain = tasks.drain_request();
        tasks.spawn("services-health", rpc::health::follow(reporter, self.upstreams, drain.clone()));
        let routes = Routes::from(self.services).add_service(health);
        tasks.spawn("services", serve(self.listener, routes, drain));
    }
}

async fn serve(listener: TcpListener, routes: Routes, drain: Drain) {
    // A caller that gives calls up by the hundred is one of us in trouble, and no attacker: to cut its line fails all its other calls.
    let server = Server::builder().http2_max_pending_accept_reset_streams(Some(RESETS_MAX)).add_routes(routes);
    if let Err(error) = server.serve_with_incoming_shutdown(accept::connections(listener), drain.requested()).await {
        error!(error = &error as &dyn std::error::Error, "port of the services failed");
    }
}
