//! `cargo xtask`: what a developer and the CI run.

mod binary;
mod cluster;
mod command;
mod contract;
mod peers;
mod servers;

use binary::Profile;
use clap::Parser;
use cluster::Cluster;
use command::{Failed, cargo, workspace};
use std::process::ExitCode;
use std::time::Instant;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Lints and tests, with all that they need")]
enum Xtask {
    /// Runs every test, on the programs as they are built now.
    Test {
        /// Goes to `cargo test`: names of tests, or `-p CRATE`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures, in release: `outbox`, `intake`, `calls`, `gateway`, `idle` or `breaker`, with `--quick` in less than a minute.
    Bench {
        /// Goes to the benchmarks: a name and its options; `NAME --help` tells them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Checks format, lints and the contract.
    Lint,
    /// Sees that the servers are there that tests run, and fetches NATS and Consul into target/tools if they are not.
    Servers,
    /// Sends the platform whatever its OpenAPI document allows and forbids: as many cases for each operation as are asked for.
    Schemathesis {
        /// Cases for each operation, beside those that cover its schema; with 400 more than 10,000 in all.
        #[arg(long, default_value_t = 400)]
        max_examples: u32,
    },
    /// Runs everything that must pass before a change is accepted.
    Ci,
    /// Breaks the distributed platform at random under load, and checks that no order was lost, stuck, doubled or made up.
    Faults {
        /// Goes to the fault suite; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Takes broker and services away from the distributed platform for minutes, and measures what that costs.
    Outage {
        /// Goes to the measurement; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Restarts the instances of a service in order, under load, and counts the calls that fail.
    Restarts {
        /// Goes to the measurement; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures on the servers of the cluster what the platform is for: `availability`.
    Lab {
        /// Goes to `comanda lab`; `availability --help` lists the options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Runs the distributed platform on this machine: PostgreSQL, NATS, and a process for each role.
    Cluster {
        #[command(subcommand)]
        command: Cluster,
    },
}

fn main() -> ExitCode {
    let started = Instant::now();
    let result = match Xtask::parse() {
        Xtask::Test { arguments } => test(&arguments),
        Xtask::Bench { arguments } => bench(&arguments),
        Xtask::Lint => lint(),
        Xtask::Servers => servers::run(),
        Xtask::Schemathesis { max_examples } => schemathesis(max_examples),
        Xtask::Cluster { command } => cluster::run(&command),
        Xtask::Lab { arguments } => servers::before_tests().and_then(|()| cluster::lab::run(&arguments)),
        Xtask::Faults { arguments } => on_the_platform("faults", &arguments),
        Xtask::Outage { arguments } => on_the_platform("outage", &arguments),
        Xtask::Restarts { arguments } => on_the_platform("restarts", &arguments),
        Xtask::Ci => servers::before_tests().and_then(|()| lint()).and_then(|()| test(&[])),
    };
    match result {
        Ok(()) => {
            println!("done in {:.0} s", started.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// End-to-end tests start the real programs and servers, so these are built and fetched first.
fn test(arguments: &[String]) -> Result<(), Failed> {
    servers::before_tests()?;
    let is_part = arguments.iter().any(|it| it == "-p" || it == "--package");
    // Built together with the tests, everything is built once: what is built alone may have other features.
    let programs: &[&str] =
        if is_part { &["--package", "comanda", "--package", "loadgen"] } else { &["--workspace", "--all-targets"] };
    cargo(&["build"]).arguments(programs).run()?;
    let selection: &[&str] = if is_part { &[] } else { &["--workspace"] };
    cargo(&["test"]).arguments(selection).arguments(arguments).run()
}

fn bench(arguments: &[String]) -> Result<(), Failed> {
    // In the crate itself, so that the breakers that it is measured beside are built for nothing else; and it needs no server.
    if let Some(("breaker", options)) = arguments.split_first().map(|(name, options)| (name.as_str(), options)) {
        return cargo(&["bench", "--package", "breaker", "--bench", "breaker", "--"]).arguments(options).run();
    }
    let run = cargo(&["run", "--release", "--package", "bench", "--"]).arguments(arguments);
    if arguments.first().is_none_or(|name| name != "gateway") {
        return servers::before_tests().and_then(|()| run.run());
    }
    peers::install();
    // Beside others as they are installed.
    let binary = binary::build(Profile::Dist)?;
    run.variable("COMANDA_TEST_BINARY", &binary.display().to_string()).run()
}

/// The test that CI runs with fewer cases.
fn schemathesis(max_examples: u32) -> Result<(), Failed> {
    servers::before_tests()?;
    cargo(&["build", "--workspace", "--bin", "comanda"]).run()?;
    let test = ["test", "--workspace", "--test", "described", "--", "--nocapture", "generated"];
    cargo(&test).variable("COMANDA_TEST_SCHEMATHESIS_EXAMPLES", &max_examples.to_string()).run()
}

/// Runs a program of the fault suite on the programs that users run.
fn on_the_platform(program: &str, arguments: &[String]) -> Result<(), Failed> {
    servers::before_tests()?;
    cargo(&["build", "--release", "--package", "comanda", "--package", "faults"]).run()?;
    cargo(&["run", "--quiet", "--release", "--package", "faults", "--bin", program, "--"]).arguments(arguments).run()
}

fn lint() -> Result<(), Failed> {
    cargo(&["fmt", "--all", "--check"]).run()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]).run()?;
    contract::lint(&workspace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Xtask::command().debug_assert();
    }
}
