//! The command line.

pub(crate) mod lab;
pub(crate) mod operator;

use self::lab::LabCommand;
use self::operator::{DoctorOptions, OutboxCommand, ParkedCommand};
use crate::Role;
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Takes orders for many restaurants and never turns one away because another service is down.
///
/// Without a command: `up --sample-data`, for a first look.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// Reads settings from a TOML file; the environment (COMANDA_...) and flags go before it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs every role in this process, on embedded storage and channels.
    Up(UpOptions),
    /// Runs some roles, against the databases, channels and services of the configuration.
    Serve {
        /// The roles: consumer, restaurant, order, relay, gateway.
        #[arg(id = "role", required = true, value_name = "ROLE")]
        roles: Vec<Role>,
        #[command(flatten)]
        options: UpOptions,
    },
    /// Brings the databases of the configured services up to date, and ends.
    Migrate(UpOptions),
    /// Lists, stops and starts the roles of a running process.
    Roles {
        #[command(subcommand)]
        command: RolesCommand,
        /// Where the running process listens for operators.
        #[arg(long, global = true, default_value = "http://127.0.0.1:9090", value_name = "URL")]
        admin: String,
    },
    /// Lists, redrives and discards messages that could not be handled.
    Parked {
        #[command(subcommand)]
        command: ParkedCommand,
    },
    /// Shows, pauses, resumes and replays outboxes.
    Outbox {
        #[command(subcommand)]
        command: OutboxCommand,
    },
    /// Names the cause of a backlog, and what helps; exits with 1 if something is wrong.
    Doctor(DoctorOptions),
    /// Brings data into a running platform.
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Has the Order Service's copy of the restaurants built anew; orders are taken meanwhile.
    RebuildReplica {
        /// Where a process of the platform listens for operators.
        #[arg(long, default_value = "http://127.0.0.1:9090", value_name = "URL")]
        admin: String,
    },
    /// Checks that orders, history, outbox, obligations, inbox and tickets agree; exits with 1 if they do not.
    Verify {
        #[command(flatten)]
        options: UpOptions,
        /// Prints the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measures what this platform is for.
    Lab {
        #[command(subcommand)]
        command: LabCommand,
    },
    /// Shows or checks the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// Settings that have a flag; the others stand in the file or the environment.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub(crate) struct UpOptions {
    /// Where clients reach the gateway [default: 127.0.0.1:8080]. Port 0: any that is free.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where operators reach this process [default: 127.0.0.1:9090].
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Where data is kept [default: data].
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Which roles to run [default: all].
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) roles: Option<Vec<Role>>,
    /// Makes a restaurant and two consumers when there are none.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sample_data: bool,
}

impl UpOptions {
    /// What somebody gets who runs the program for the first time.
    pub(crate) fn first_look() -> Self {
        UpOptions { sample_data: true, ..UpOptions::default() }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RolesCommand {
    /// Lists the roles and whether they run.
    List,
    /// Stops a role; what it has begun is finished.
    Stop {
        /// The role.
        role: Role,
    },
    /// Starts a role.
    Start {
        /// The role.
        role: Role,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Imports menus from a CSV file; one whose restaurant is there already is revised.
    Menu(ImportMenu),
}

#[derive(Debug, Args)]
pub(crate) struct ImportMenu {
    /// Has the header `Item Name,Product Price` or `restaurant_id,category,name,description,price`.
    pub(crate) file: PathBuf,
    /// The restaurant's name [default: the file's].
    #[arg(long, value_name = "NAME")]
    pub(crate) restaurant_name: Option<String>,
    /// Imports only this restaurant_id of the file.
    #[arg(long, value_name = "ID")]
    pub(crate) restaurant_id: Option<String>,
    /// The currency of all prices.
    #[arg(long, default_value = "GBP", value_name = "CODE")]
    pub(crate) currency: String,
    /// Where the platform is.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) target: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints the settings in force, as TOML.
    Print(UpOptions),
    /// Says whether the settings are valid.
    Check(UpOptions),
}
