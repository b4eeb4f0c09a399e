//! The command line of the rolling restarts.

use clap::Parser;
use faults::restarts::{self, Options, Outcome};
use std::process::ExitCode;

/// Restarts the instances of a service in order, again and again, while it is called; ends with 0 only if no call failed and none was made
/// at a process that had stopped.
#[derive(Debug, Parser)]
struct Arguments {
    /// Restarts.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Instances of the service.
    #[arg(long, default_value_t = 3)]
    instances: usize,
    /// Calls per second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
}

fn main() -> ExitCode {
    let Arguments { count, instances, rate } = Arguments::parse();
    let options = Options { restarts: count, instances, per_second: rate };
    let ran = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(restarts::run(&options, |step| println!("{step}"))),
        Err(error) => Err(error.to_string()),
    };
    match ran {
        Ok(outcome) => report(count, &outcome),
        Err(complaint) => {
            eprintln!("error: {complaint}");
            ExitCode::FAILURE
        }
    }
}

fn report(restarts: usize, outcome: &Outcome) -> ExitCode {
    outcome.failed.iter().for_each(|complaint| println!("{complaint}"));
    let (calls, failed, misdirected) = (outcome.calls, outcome.failed.len(), outcome.misdirected);
    println!("restarts={restarts} calls={calls} failed={failed} misdirected={misdirected}");
    if failed == 0 && misdirected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
