//! The command line of the long outage.

use clap::Parser;
use faults::outage::{self, Options, Outcome, Phase};
use std::process::ExitCode;
use std::time::Duration;

/// Takes the broker, the Consumer Service and the Restaurant Service away while orders are placed, and says what that costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds that the outage lasts.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Seconds of orders before it, to compare with.
    #[arg(long, default_value_t = 60)]
    before: u64,
    /// Orders per second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        before: Duration::from_secs(arguments.before),
        lasts: Duration::from_secs(arguments.seconds),
        per_second: arguments.rate,
        decided_within: Duration::from_secs(arguments.seconds + 60),
    };
    let ran = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(outage::run(&options, |step| println!("{step}"))),
        Err(error) => Err(error.to_string()),
    };
    match ran {
        Ok(outcome) => report(&outcome),
        Err(complaint) => {
            eprintln!("error: {complaint}");
            ExitCode::FAILURE
        }
    }
}

fn report(outcome: &Outcome) -> ExitCode {
    tell("before", &outcome.before);
    tell("during", &outcome.during);
    let ratio = |percent| {
        let of = |phase: &Phase| u32::try_from(phase.percentile_ms(percent)).map_or(f64::MAX, f64::from);
        of(&outcome.during) / of(&outcome.before).max(1.0)
    };
    println!("during / before  p50 {:.2}, p99 {:.2}", ratio(50), ratio(99));
    println!(
        "outbox           {:.2} messages per order, {} attempt(s) at most",
        outcome.messages_per_order, outcome.attempts_max
    );
    match outcome.drained_after {
        Some(after) => println!("drained          {:.1} s after the outage", after.as_secs_f64()),
        None => println!("drained          not in time"),
    }
    println!("not approved     {}, verify ended with {:?}", outcome.not_approved, outcome.verified);
    let is_clean = outcome.drained_after.is_some() && outcome.not_approved == 0 && outcome.verified == Some(0);
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(name: &str, phase: &Phase) {
    let (first, most) = phase.memory_kib;
    println!(
        "{name:<16} {} acknowledged, {} tries failed, p50 {} ms, p99 {} ms, memory {first} KiB, at most {most} KiB",
        phase.acknowledged,
        phase.failed_tries,
        phase.percentile_ms(50),
        phase.percentile_ms(99),
    );
}
