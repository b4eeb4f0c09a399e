//! The operators' port: the admin RPC, metrics and readiness.

use crate::supervisor::Control;
use crate::{Error, Role};
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use gateway::{MetricsText, ReadinessProbe, State};
use lifecycle::Drain;
use proto::Violation;
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::admin_service_server::{AdminService, AdminServiceServer};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tracing::error;

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
    pub(crate) async fn serve(self, control: Control, metrics: MetricsText, readiness: ReadinessProbe, drain: Drain) {
        let pages = Router::new()
            .route("/metrics", get(async move || ([(CONTENT_TYPE, telemetry::metrics::CONTENT_TYPE)], metrics())))
            .route("/healthz", get(async || r#"{"status":"ok"}"#))
            .route("/readyz", get(async move || ready(&readiness).await));
        let routes = Routes::from(pages).add_service(AdminServiceServer::new(Admin(control)));
        let server = Server::builder().accept_http1(true).add_routes(routes);
        let connections = TcpListenerStream::new(self.listener);
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

/// The contract's `AdminService`.
#[derive(Debug)]
struct Admin(Control);

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_roles(
        &self,
        _: Request<wire::ListRolesRequest>,
    ) -> Result<Response<wire::ListRolesResponse>, Status> {
        let roles = self.0.list().await.ok_or_else(ending)?;
        let roles = roles.into_iter().map(|(role, is_running)| wire::Role { name: role.to_string(), is_running });
        Ok(Response::new(wire::ListRolesResponse { roles: roles.collect() }))
    }

    async fn stop_role(&self, request: Request<wire::StopRoleRequest>) -> Result<Response<wire::Role>, Status> {
        let role = self.known(&request.into_inner().name).await?;
        self.0.stop(role).await.ok_or_else(ending)?;
        Ok(Response::new(wire::Role { name: role.to_string(), is_running: false }))
    }

    async fn start_role(&self, request: Request<wire::StartRoleRequest>) -> Result<Response<wire::Role>, Status> {
        let role = self.known(&request.into_inner().name).await?;
        if let Err(error) = self.0.start(role).await.ok_or_else(ending)? {
            error!(role = role.name(), error = &error as &dyn std::error::Error, "role could not be started");
            return Err(Status::failed_precondition(format!("{error}; the log says why")));
        }
        Ok(Response::new(wire::Role { name: role.to_string(), is_running: true }))
    }
}

impl Admin {
    async fn known(&self, name: &str) -> Result<Role, Status> {
        let role: Role = name.parse().map_err(|complaint: String| Violation::new("name", complaint))?;
        let roles = self.0.list().await.ok_or_else(ending)?;
        if roles.iter().any(|(known, _)| *known == role) {
            return Ok(role);
        }
        Err(Status::failed_precondition(format!(
            "this process was started without the {role} role; start it with --roles"
        )))
    }
}

fn ending() -> Status {
    Status::unavailable("the process is ending")
}
