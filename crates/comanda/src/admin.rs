//! The operators' port: the admin RPC, metrics and readiness.

mod called;
mod diagnose;
mod outbox;
mod parked;
mod service;
mod to_wire;

pub(crate) use service::Admin;
pub(crate) use to_wire::chain;

use crate::{Error, accept};
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use gateway::{Directory, MetricsText, ReadinessProbe, State};
use lifecycle::Drain;
use proto::comanda::admin::v1::admin_service_server::AdminServiceServer;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tracing::error;

/// What is to be read there.
pub(crate) struct Pages {
    pub(crate) metrics: MetricsText,
    pub(crate) readiness: ReadinessProbe,
    pub(crate) directory: Directory,
}

/// A bound port.
pub(crate) struct Port {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Port {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Port { listener, address })
    }

    /// Serves the port until `drain` is requested.
    pub(crate) async fn serve(self, admin: Admin, pages: Pages, drain: Drain) {
        let Pages { metrics, readiness, directory } = pages;
        let json = [(CONTENT_TYPE, "application/json")];
        let pages = Router::new()
            .route("/metrics", get(async move || ([(CONTENT_TYPE, telemetry::metrics::CONTENT_TYPE)], metrics())))
            .route("/admin/routes", get(async move || (json, directory.to_json().to_string())))
            .route("/healthz", get(async || r#"{"status":"ok"}"#))
            .route("/readyz", get(async move || ready(&readiness).await));
        let routes = Routes::from(pages).add_service(AdminServiceServer::new(admin));
        let server = Server::builder().accept_http1(true).add_routes(routes);
        let connections = accept::connections(self.listener);
        if let Err(error) = server.serve_with_incoming_shutdown(connections, drain.requested()).await {
            error!(error = &error as &dyn std::error::Error, "admin port failed");
        }
    }
}

async fn ready(readiness: &ReadinessProbe) -> impl IntoResponse + use<> {
    let answer = readiness().await;
    let code = match answer.status {
        State::Ready | State::Degraded => StatusCode::OK,
        State::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = serde_json::to_string(&answer).unwrap_or_default();
    (code, [(CONTENT_TYPE, "application/json")], body)
}
