//! The command line of the fault suite.

use clap::Parser;
use faults::controls::Control;
use faults::plan::Plan;
use faults::run::{self, Options, Outcome};
use std::process::ExitCode;
use std::time::Duration;

/// Within this time of the platform's healing every order must be decided.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);

/// Breaks a running platform at random, and checks that no order was lost, stuck, doubled or made up.
#[derive(Debug, Parser)]
struct Arguments {
    /// Processes killed with SIGKILL.
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Relays stopped past their lease, and continued.
    #[arg(long, default_value_t = 40)]
    pauses: usize,
    /// Times that the broker loses its data directory.
    #[arg(long, default_value_t = 10)]
    wipes: usize,
    /// Seconds for which a transaction is held open, and for which the broker cannot be reached.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Orders per second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Decides the order of the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Publishes by tailing the log of the databases.
    #[arg(long)]
    tailing: bool,
    /// Puts a bug in; ends with 0 only if it is seen.
    #[arg(long)]
    control: Option<Control>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let options = options(&arguments);
    match runtime.block_on(run::run(&options, |step| println!("{step}"))) {
        Ok(outcome) => report(&outcome, arguments.control),
        Err(complaint) => fail(&complaint),
    }
}

fn options(arguments: &Arguments) -> Options {
    let long = Duration::from_secs(arguments.seconds);
    let plan = match arguments.control {
        None => Plan {
            kills: arguments.kills,
            pauses: arguments.pauses,
            wipes: arguments.wipes,
            dropped_replies: arguments.wipes.min(2),
            dropped_slots: usize::from(arguments.tailing),
            held: long,
            unreachable: long,
        },
        Some(control) => Plan::that_shows(control),
    };
    Options {
        plan,
        per_second: arguments.rate,
        seed: arguments.seed,
        decided_within: DECIDED_WITHIN,
        control: arguments.control,
        tailing: arguments.tailing,
    }
}

fn report(outcome: &Outcome, control: Option<Control>) -> ExitCode {
    for remark in outcome.verdict.remarks.iter().take(20) {
        println!("{remark}");
    }
    let at = |share: usize| {
        outcome.took_ms.get(outcome.took_ms.len().saturating_sub(1) * share / 100).copied().unwrap_or_default()
    };
    println!("acknowledged in  p50 {} ms, p99 {} ms, longest {} ms, all tries together", at(50), at(99), at(100));
    match outcome.decided_after {
        Some(after) => println!(
            "all decided      {:.1} s after the healing; broken for {:.0} s",
            after.as_secs_f64(),
            outcome.broken_for.as_secs_f64()
        ),
        None => println!("all decided      not within {} s of the healing", DECIDED_WITHIN.as_secs()),
    }
    println!("{}", outcome.verdict);
    let is_clean = outcome.verdict.is_clean() && outcome.decided_after.is_some();
    match control {
        None if is_clean => ExitCode::SUCCESS,
        Some(_) if !is_clean => {
            println!("the bug was seen");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
        Some(_) => fail("the bug was not seen"),
    }
}

fn fail(complaint: &str) -> ExitCode {
    eprintln!("error: {complaint}");
    ExitCode::FAILURE
}
