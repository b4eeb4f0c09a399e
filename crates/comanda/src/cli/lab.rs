//! The commands that measure.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Takes orders while the Consumer Service and the Restaurant Service are taken away at random: first with a twin of the Order Service
    /// that validates by calls before it answers, then with the Order Service as it is. Exits with 1 if an accepted order was not decided.
    ///
    /// Starts a process of its own for each of the three services, on the broker and the databases of the configuration; nobody else may run
    /// these roles there meanwhile. The orders stay.
    Availability(AvailabilityOptions),
}

#[derive(Debug, Args)]
pub(crate) struct AvailabilityOptions {
    /// How much of the time each service is there, in percent.
    #[arg(long, value_delimiter = ',', default_value = "99,95,90", value_name = "PERCENT,...")]
    pub(crate) availability: Vec<f64>,
    /// Orders for each way at each availability.
    #[arg(long, default_value_t = 12_000, value_name = "NUMBER")]
    pub(crate) requests: u32,
    /// Orders per second.
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub(crate) rate: u32,
    /// The length of a block, in which each service is away once for its share, at a random moment.
    #[arg(long, default_value_t = 10.0, value_name = "NUMBER")]
    pub(crate) block_seconds: f64,
    /// Decides when services are away.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Has a configuration for each role, as in deploy/local [default: all have that of --config].
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
    /// Where the processes keep their logs [default: `lab` in the data directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Writes the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the figures as a plot.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}
