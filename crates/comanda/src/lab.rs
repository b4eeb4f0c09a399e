//! `comanda lab`: measurements on processes of this program.

use crate::cli::UpOptions;
use crate::cli::lab::{AvailabilityOptions, LabCommand};
use crate::config::{self, BusKind};
use crate::{Error, FAILED, INTERRUPTED, Role};
use ::lab::{Options, Setup, plot, run};
use lifecycle::Signals;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Runs a measurement to its end, or to a signal, which ends the processes with this one.
pub(crate) async fn command(command: LabCommand, config: Option<&Path>) -> Result<ExitCode, Error> {
    let LabCommand::Availability(options) = command;
    let mut signals = Signals::listen().map_err(Error::Signals)?;
    tokio::select! {
        code = availability(&options, config) => code,
        _ = signals.next() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

async fn availability(options: &AvailabilityOptions, config: Option<&Path>) -> Result<ExitCode, Error> {
    let block = Duration::try_from_secs_f64(options.block_seconds);
    let block = block.map_err(|error| Error::Argument(format!("--block-seconds: {error}")))?;
    let wanted = Options {
        availabilities: options.availability.clone(),
        requests: options.requests,
        per_second: options.rate,
        block,
        seed: options.seed,
    };
    let report = run(setup(options, config)?, &wanted, |step| println!("{step}")).await;
    let report = report.map_err(|source| Error::Lab(Box::new(source)))?;
    print!("\n{report}");
    if let Some(path) = &options.json {
        write(path, &report.to_json().map_err(|source| Error::Lab(Box::new(source)))?)?;
    }
    if let Some(path) = &options.svg {
        write(path, &plot(&report))?;
    }
    Ok(if report.is_kept() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The platform that the configuration describes.
fn setup(options: &AvailabilityOptions, config: Option<&Path>) -> Result<Setup, Error> {
    let settings = config::load(config, &UpOptions::default())?;
    let role = |role| self::role(role, options.files.as_deref(), config);
    Ok(Setup {
        program: std::env::current_exe().map_err(Error::Program)?,
        order: role(Role::Order)?,
        consumer: role(Role::Consumer)?,
        restaurant: role(Role::Restaurant)?,
        folder: options.folder.clone().unwrap_or_else(|| settings.data_dir.join("lab")),
    })
}

fn role(role: Role, files: Option<&Path>, config: Option<&Path>) -> Result<::lab::Role, Error> {
    let file = files.map(|folder| folder.join(format!("{role}.toml"))).or_else(|| config.map(Path::to_owned));
    let settings = config::load(file.as_deref(), &UpOptions::default())?;
    if settings.bus.kind == BusKind::Embedded {
        let text = "the lab runs each role in a process of its own, which needs channels between processes: bus.kind = \"jetstream\"";
        return Err(Error::Argument(text.to_owned()));
    }
    let arguments = file.map_or_else(Vec::new, |file| vec![OsString::from("--config"), file.into_os_string()]);
    Ok(::lab::Role {
        name: role.name(),
        arguments,
        brokers: settings.bus.jetstream.servers,
        is_discovered: settings.consul.is_some(),
    })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })
}
