//! The command line of the benchmarks.

mod calls;
mod gateway;
mod hello;
mod idle;
mod intake;
mod outbox;
mod report;
mod usage;

use clap::Parser;
use std::process::ExitCode;
use std::time::Instant;

/// Why something could not be measured.
type Fault = Box<dyn std::error::Error + Send + Sync>;
type Measured<T> = Result<T, Fault>;

/// Measures what the platform does, beside floors and peers in the same run; writes `target/bench/NAME.json`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
enum Bench {
    /// How calls fare while their endpoints misbehave: our client stack beside those of tonic and tower.
    Calls(calls::Arguments),
    /// One of the endpoints that `calls` breaks.
    #[command(hide = true)]
    Backend(calls::BackendArguments),
    /// What a gateway costs: ours beside Envoy, pingora, structured-proxy, rest_over_grpc and one by hand.
    Gateway(gateway::Arguments),
    /// The service that `gateway` stands in front of.
    #[command(hide = true)]
    Hello(gateway::HelloArguments),
    /// What an idle platform costs.
    Idle(idle::Arguments),
    /// How many orders per second are taken, durably: PostgreSQL beside pgbench, SQLite beside a bare loop.
    Intake(intake::Arguments),
    /// How fast the outbox drains, how soon a commit is delivered, and whether its tables stay small.
    Outbox(outbox::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let started = Instant::now();
    let measured = match Bench::parse() {
        Bench::Backend(arguments) => return end(calls::serve(&arguments).await),
        Bench::Hello(arguments) => return end(gateway::serve_hello(&arguments).await),
        Bench::Gateway(arguments) => gateway::measure(&arguments).await,
        Bench::Calls(arguments) => calls::measure(&arguments).await,
        Bench::Idle(arguments) => idle::measure(&arguments).await,
        Bench::Outbox(arguments) => outbox::measure(&arguments).await,
        Bench::Intake(arguments) => intake::measure(&arguments).await,
    };
    let published = measured.and_then(|report| report.publish());
    if published.is_ok() {
        println!("done in {:.0} s", started.elapsed().as_secs_f64());
    }
    end(published)
}

fn end(done: Measured<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {}", complete(&*fault));
            ExitCode::FAILURE
        }
    }
}

/// A fault with all its reasons.
fn complete(fault: &(dyn std::error::Error + 'static)) -> String {
    let reasons = std::iter::successors(Some(fault), |fault| fault.source());
    reasons.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Bench::command().debug_assert();
    }
}
