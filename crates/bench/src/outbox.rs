//! What the outbox does: how fast it drains, how soon a commit is delivered, and whether its tables stay small.

mod bloat;
mod drain;
mod latency;
mod site;
mod target;

use crate::Measured;
use crate::report::Report;
use clap::{Args, ValueEnum};
use servers::{Nats, Postgres};
use std::time::Duration;

/// How the outbox is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Three short runs, on one NATS server only.
    #[arg(long)]
    quick: bool,
    /// Runs of each case; at least five are needed for figures to be quoted.
    #[arg(long)]
    runs: Option<u32>,
    /// Messages that a drain begins with.
    #[arg(long)]
    drained: Option<u32>,
    /// Milliseconds of a run that measures latency.
    #[arg(long)]
    latency_ms: Option<u64>,
    /// Commands that go through outbox, obligations and inbox to see whether the tables grow.
    #[arg(long)]
    messages: Option<u64>,
    /// Only one of the parts.
    #[arg(long)]
    only: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Drain,
    Latency,
    Bloat,
}

impl Arguments {
    fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 3 } else { 5 })
    }

    fn drained(&self) -> u32 {
        self.drained.unwrap_or(if self.quick { 20_000 } else { 100_000 })
    }

    fn latency_within(&self) -> Duration {
        Duration::from_millis(self.latency_ms.unwrap_or(if self.quick { 500 } else { 10_000 }))
    }

    fn messages(&self) -> u64 {
        self.messages.unwrap_or(if self.quick { 20_000 } else { 1_000_000 })
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Measured<Report> {
    let mut report = Report::new("outbox");
    let postgres = Postgres::start().await;
    let nats = Nats::start().await;
    if arguments.wants(Part::Drain) {
        drain::measure(arguments, &postgres, site::Broker { nats: &nats, replicas: 1 }, &mut report).await?;
    }
    if arguments.wants(Part::Latency) {
        latency::measure(arguments, &postgres, &nats, &mut report).await?;
    }
    if arguments.wants(Part::Bloat) {
        bloat::measure(arguments, &postgres, &nats, &mut report).await?;
    }
    if arguments.wants(Part::Drain) && !arguments.quick {
        drop(nats);
        let nats = Nats::cluster(3).await;
        drain::measure(arguments, &postgres, site::Broker { nats: &nats, replicas: 3 }, &mut report).await?;
    }
    Ok(report)
}
