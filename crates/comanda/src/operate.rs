//! Commands that talk to a running platform.

pub(crate) mod called;
pub(crate) mod json;
pub(crate) mod outbox;
pub(crate) mod parked;

use crate::Error;
use crate::cli::{ImportCommand, ImportMenu, RolesCommand};
use import::menu;
use proto::comanda::admin::v1::admin_service_client::AdminServiceClient;
use proto::comanda::admin::v1::{ListRolesRequest, RebuildReplicaRequest, Role, StartRoleRequest, StopRoleRequest};
use proto::money::parse_currency;
use std::process::ExitCode;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// How long to wait for the connection: the process is on this machine or near it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for the answer: longer than a role may take to drain.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// `comanda roles`.
pub(crate) async fn roles(command: RolesCommand, admin: &str) -> Result<ExitCode, Error> {
    let mut client = AdminServiceClient::new(connect(admin).await?);
    let refused = |source| Error::Admin { admin: admin.to_owned(), source: Box::new(source) };
    let roles = match command {
        RolesCommand::List => client.list_roles(ListRolesRequest {}).await.map_err(refused)?.into_inner().roles,
        RolesCommand::Stop { role } => {
            let request = StopRoleRequest { name: role.to_string() };
            vec![client.stop_role(request).await.map_err(refused)?.into_inner()]
        }
        RolesCommand::Start { role } => {
            let request = StartRoleRequest { name: role.to_string() };
            vec![client.start_role(request).await.map_err(refused)?.into_inner()]
        }
    };
    for Role { name, is_running } in roles {
        println!("{name:<12}{}", if is_running { "running" } else { "stopped" });
    }
    Ok(ExitCode::SUCCESS)
}

/// `comanda rebuild-replica`.
pub(crate) async fn rebuild_replica(admin: &str) -> Result<ExitCode, Error> {
    let mut client = AdminServiceClient::new(connect(admin).await?);
    let refused = |source| Error::Admin { admin: admin.to_owned(), source: Box::new(source) };
    client.rebuild_replica(RebuildReplicaRequest {}).await.map_err(refused)?;
    println!("the restaurants are being told again; restaurants_known and restaurant_replica_age show how far it is");
    Ok(ExitCode::SUCCESS)
}

/// `comanda import`. Exits with 1 when a line could not be used.
pub(crate) async fn import(command: ImportCommand) -> Result<ExitCode, Error> {
    let ImportCommand::Menu(ImportMenu { file, restaurant_name, restaurant_id, currency, target }) = command;
    let currency = parse_currency("--currency", &currency)
        .map_err(|violation| Error::Argument(format!("{} {}", violation.field, violation.description)))?;
    let existing = import::platform::Existing::Revise;
    let options = menu::Options { file, restaurant_name, restaurant_id, currency, target, existing };
    let report = menu::run(&options).await.map_err(|source| {
        source.bad_lines().iter().for_each(|line| println!("{line}"));
        Error::Import(Box::new(source))
    })?;
    print!("{report}");
    Ok(if report.bad_lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(crate::FAILED) })
}

/// Connects to the operators' port of a process.
pub(crate) async fn connect(address: &str) -> Result<Channel, Error> {
    let unreachable = |source| Error::Unreachable { address: address.to_owned(), source };
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(unreachable)?;
    endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT).connect().await.map_err(unreachable)
}
