//! Comanda: takes orders for many restaurants and never turns one away because another service is down.
//!
//! This crate is the assembly: it reads the configuration, wires the roles together, and is the command line. What the platform does
//! stands in the crates below it.

mod accept;
mod admin;
mod called_metrics;
mod cli;
mod config;
mod databases;
mod doctor;
mod error;
mod greeting;
mod lab;
mod methods;
mod migrate;
mod operate;
mod presence;
mod readiness;
mod reload;
mod role;
mod sample;
mod services_port;
mod supervisor;
mod up;
mod verify;
mod wire;

pub use config::Config;
pub use error::Error;
pub use role::Role;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand};
use config::Source;
use std::process::ExitCode;

/// Exit code for what the command was asked to find, or for a command that could not be done.
const FAILED: u8 = 1;
/// Exit code of a program that was told twice to end: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Error::Runtime(error)),
    };
    let code = runtime.block_on(dispatch(cli)).unwrap_or_else(|error| failed(&error));
    // What still runs after an orderly end is not worth waiting for.
    runtime.shutdown_background();
    code
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Error> {
    match cli.command {
        None => up::run(Source { file: cli.config, flags: cli::UpOptions::first_look() }).await,
        Some(Command::Up(flags)) => up::run(Source { file: cli.config, flags }).await,
        Some(Command::Serve { roles, mut options }) => {
            options.roles = Some(roles);
            up::run(Source { file: cli.config, flags: options }).await
        }
        Some(Command::Migrate(options)) => migrate::run(&config::load(cli.config.as_deref(), &options)?).await,
        Some(Command::Roles { command, admin }) => operate::roles(command, &admin).await,
        Some(Command::Parked { command }) => operate::parked::run(command).await,
        Some(Command::Outbox { command }) => operate::outbox::run(command).await,
        Some(Command::Breakers(options)) => operate::called::breakers(options).await,
        Some(Command::Endpoints { asking }) => operate::called::endpoints(asking).await,
        Some(Command::Doctor(options)) => doctor::run(options).await,
        Some(Command::RebuildReplica { admin }) => operate::rebuild_replica(&admin).await,
        Some(Command::Import { command }) => operate::import(command).await,
        Some(Command::Lab { command }) => lab::command(command, cli.config.as_deref()).await,
        Some(Command::Verify { options, json }) => {
            verify::run(&config::load(cli.config.as_deref(), &options)?, json).await
        }
        Some(Command::Config { command: ConfigCommand::Print(options) }) => {
            println!("{}", config::load(cli.config.as_deref(), &options)?.to_toml()?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Config { command: ConfigCommand::Check(options) }) => {
            config::load(cli.config.as_deref(), &options)?.check_port()?;
            println!("the configuration is valid");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints an error with its causes, each on a line.
fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::from(FAILED)
}
