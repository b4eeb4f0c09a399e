//! How calls fare while their endpoints misbehave: our client stack beside tonic's balanced channel and tower's `Balance` with `PeakEwma`.
//!
//! The endpoints are three processes, each with 2 ms of work for a call; what is done to them is done to processes (killed, stopped, told to
//! fail). Calls come at a steady rate whatever becomes of those before, and must be answered within a second. All subjects call at the same
//! time, so that each sees the very same fault. What may be repeated is a subject of its own, since the others never repeat.

mod backend;
mod bare;
mod scenario;
mod site;
mod subject;
mod traffic;

pub(crate) use backend::{BackendArguments, serve};

use crate::Measured;
use crate::report::{Metric, Report};
use clap::Args;
use scenario::Scenario;
use site::Source;
use std::time::Duration;

pub(crate) const ERRORS: Metric = Metric { name: "error_percent", unit: "%" };
pub(crate) const P50: Metric = Metric { name: "p50_ms", unit: "ms" };
pub(crate) const P99: Metric = Metric { name: "p99_ms", unit: "ms" };
pub(crate) const RECOVERY: Metric = Metric { name: "recovery_ms", unit: "ms" };
pub(crate) const CPU: Metric = Metric { name: "cpu_us_per_call", unit: "us" };

/// How calls are measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Three short runs of fewer scenarios.
    #[arg(long)]
    quick: bool,
    /// Runs; at least five are needed for figures to be quoted.
    #[arg(long)]
    runs: Option<u32>,
    /// Seconds for which a fault lasts.
    #[arg(long)]
    seconds: Option<u64>,
    /// Calls per second of each subject.
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// How the endpoints are found.
    #[arg(long, value_enum, default_value_t = Source::Fixed)]
    found: Source,
    /// Only these scenarios.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Only what a call costs beside a bare channel, when nothing happens.
    #[arg(long, conflicts_with = "only")]
    closed_loop: bool,
}

impl Arguments {
    fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 5 }))
    }

    fn scenarios(&self) -> Vec<Scenario> {
        match (self.only.is_empty(), self.found) {
            _ if self.closed_loop => Vec::new(),
            (false, _) => self.only.clone(),
            (true, Source::Fixed) => Scenario::ALL.to_vec(),
            (true, Source::Dns) => Scenario::OF_ENDPOINTS.to_vec(),
        }
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Measured<Report> {
    let mut report = Report::new(match arguments.found {
        Source::Fixed => "calls",
        Source::Dns => "calls-dns",
    });
    for run in 0..arguments.runs() {
        for scenario in arguments.scenarios() {
            scenario.measure(arguments, &mut report).await?;
        }
        if arguments.only.is_empty() && arguments.found == Source::Fixed {
            bare::measure(arguments.lasts(), run, &mut report).await?;
        }
    }
    Ok(report)
}
