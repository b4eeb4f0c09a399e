//! `comanda migrate`: brings databases up to date before the processes that use them are started.

use crate::wire::{self, SERVED};
use crate::{Config, Error, Role};
use std::process::ExitCode;

/// Migrates the database of each service role of the configuration.
pub(crate) async fn run(config: &Config) -> Result<ExitCode, Error> {
    telemetry::log::init(&config.log)?;
    for (role, _) in SERVED.into_iter().filter(|(role, _)| config.roles.contains(role)) {
        let store = wire::open(config, role).await?;
        let migrated = match role {
            Role::Order => order::migrate(&store).await,
            Role::Consumer => consumer::migrate(&store).await,
            Role::Restaurant => restaurant::migrate(&store).await,
            Role::Relay | Role::Gateway => Ok(()),
        };
        migrated.map_err(|source| Error::Store { role: role.name(), source })?;
        println!("{role:<12}is up to date");
    }
    Ok(ExitCode::SUCCESS)
}
