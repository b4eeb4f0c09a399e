//! The contract's `AdminService`: which room answers which call.

use super::{called, diagnose, outbox, parked, to_wire};
use crate::supervisor::Control;
use crate::wire::{SERVED, Wiring};
use crate::{Error, Role};
use proto::Violation;
use proto::comanda::admin::v1 as wire;
use proto::comanda::admin::v1::admin_service_server::AdminService;
use std::sync::Arc;
use store::Store;
use tonic::{Request, Response, Status};
use tracing::{error, info};

/// What operators can ask a process for.
pub(crate) struct Admin {
    control: Control,
    wiring: Arc<Wiring>,
}

impl Admin {
    /// Asks `control` about roles, and `wiring` about everything else.
    pub(crate) fn new(control: Control, wiring: Arc<Wiring>) -> Self {
        Admin { control, wiring }
    }

    async fn known(&self, name: &str) -> Result<Role, Status> {
        let role: Role = name.parse().map_err(|complaint: String| Violation::new("name", complaint))?;
        let roles = self.control.list().await.ok_or_else(ending)?;
        if roles.iter().any(|(known, _)| *known == role) {
            return Ok(role);
        }
        Err(Status::failed_precondition(format!(
            "this process was started without the {role} role; start it with --roles"
        )))
    }

    /// The database of a service, and the service's name.
    async fn database(&self, name: &str) -> Result<(Store, &'static str), Status> {
        let wrong = || Violation::new("service", "must be order, consumer or restaurant");
        let served = SERVED.into_iter().map(|(role, _)| role);
        let role = served.into_iter().find(|role| role.name() == name).ok_or_else(wrong)?;
        if !self.wiring.runs(role) && !self.wiring.runs(Role::Relay) {
            return Err(Status::failed_precondition(format!(
                "this process does not use the {role} database; ask one that runs the {role} role"
            )));
        }
        let store = self.wiring.database(role).await;
        let store = store.map_err(|why| Status::unavailable(format!("the {role} database cannot be opened: {why}")))?;
        Ok((store, role.name()))
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_roles(
        &self,
        _: Request<wire::ListRolesRequest>,
    ) -> Result<Response<wire::ListRolesResponse>, Status> {
        let roles = self.control.list().await.ok_or_else(ending)?;
        Ok(Response::new(wire::ListRolesResponse { roles: roles.into_iter().map(to_wire::role).collect() }))
    }

    async fn stop_role(&self, request: Request<wire::StopRoleRequest>) -> Result<Response<wire::Role>, Status> {
        let role = self.known(&request.into_inner().name).await?;
        self.control.stop(role).await.ok_or_else(ending)?;
        Ok(Response::new(to_wire::role((role, false))))
    }

    async fn start_role(&self, request: Request<wire::StartRoleRequest>) -> Result<Response<wire::Role>, Status> {
        let role = self.known(&request.into_inner().name).await?;
        if let Err(error) = self.control.start(role).await.ok_or_else(ending)? {
            error!(role = role.name(), error = &error as &dyn std::error::Error, "role could not be started");
            return Err(Status::failed_precondition(format!("{error}; the log says why")));
        }
        Ok(Response::new(to_wire::role((role, true))))
    }

    async fn list_parked(
        &self,
        request: Request<wire::ListParkedRequest>,
    ) -> Result<Response<wire::ListParkedResponse>, Status> {
        let request = request.into_inner();
        let (store, _) = self.database(&request.service).await?;
        parked::list(&store, &request).await.map(Response::new)
    }

    async fn redrive_parked(
        &self,
        request: Request<wire::RedriveParkedRequest>,
    ) -> Result<Response<wire::RedriveParkedResponse>, Status> {
        let request = request.into_inner();
        let (store, _) = self.database(&request.service).await?;
        parked::redrive(&store, request).await.map(Response::new)
    }

    async fn discard_parked(
        &self,
        request: Request<wire::DiscardParkedRequest>,
    ) -> Result<Response<wire::DiscardParkedResponse>, Status> {
        let request = request.into_inner();
        let (store, _) = self.database(&request.service).await?;
        parked::discard(&store, request).await.map(Response::new)
    }

    async fn list_parked_actions(
        &self,
        request: Request<wire::ListParkedActionsRequest>,
    ) -> Result<Response<wire::ListParkedActionsResponse>, Status> {
        let request = request.into_inner();
        let (store, _) = self.database(&request.service).await?;
        parked::actions(&store, &request).await.map(Response::new)
    }

    async fn get_outbox(&self, request: Request<wire::GetOutboxRequest>) -> Result<Response<wire::Outbox>, Status> {
        let (store, service) = self.database(&request.into_inner().service).await?;
        outbox::status(&store, service).await.map(Response::new)
    }

    async fn pause_outbox(&self, request: Request<wire::PauseOutboxRequest>) -> Result<Response<wire::Outbox>, Status> {
        let (store, service) = self.database(&request.into_inner().service).await?;
        outbox::pause(&store, service).await.map(Response::new)
    }

    async fn resume_outbox(
        &self,
        request: Request<wire::ResumeOutboxRequest>,
    ) -> Result<Response<wire::Outbox>, Status> {
        let (store, service) = self.database(&request.into_inner().service).await?;
        outbox::resume(&store, service).await.map(Response::new)
    }

    async fn switch_outbox(
        &self,
        request: Request<wire::SwitchOutboxRequest>,
    ) -> Result<Response<wire::Outbox>, Status> {
        let request = request.into_inner();
        let (store, service) = self.database(&request.service).await?;
        outbox::switch(&store, service, request.publisher()).await.map(Response::new)
    }

    async fn replay_outbox(
        &self,
        request: Request<wire::ReplayOutboxRequest>,
    ) -> Result<Response<wire::ReplayOutboxResponse>, Status> {
        let request = request.into_inner();
        let (store, service) = self.database(&request.service).await?;
        outbox::replay(&store, service, &request).await.map(Response::new)
    }

    async fn rebuild_replica(
        &self,
        _: Request<wire::RebuildReplicaRequest>,
    ) -> Result<Response<wire::RebuildReplicaResponse>, Status> {
        let bus = self.wiring.bus().ok_or_else(|| Status::failed_precondition(Error::NoChannels.to_string()))?;
        let rebuilt = order::rebuild_replica(bus).await;
        rebuilt.map_err(|error| Status::unavailable(format!("the channels cannot be asked now: {error}")))?;
        info!("replica of the restaurants is being built anew for an operator");
        Ok(Response::new(wire::RebuildReplicaResponse {}))
    }

    async fn list_called(
        &self,
        _: Request<wire::ListCalledRequest>,
    ) -> Result<Response<wire::ListCalledResponse>, Status> {
        Ok(Response::new(called::list(&self.wiring)))
    }

    async fn force_breaker(
        &self,
        request: Request<wire::ForceBreakerRequest>,
    ) -> Result<Response<wire::CalledService>, Status> {
        called::force(&self.wiring, request.get_ref()).map(Response::new)
    }

    async fn diagnose(&self, _: Request<wire::DiagnoseRequest>) -> Result<Response<wire::DiagnoseResponse>, Status> {
        Ok(Response::new(diagnose::run(&self.control, &self.wiring).await))
    }
}

fn ending() -> Status {
    Status::unavailable("the process is ending")
}
