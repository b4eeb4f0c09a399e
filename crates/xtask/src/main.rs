//! `cargo xtask`: what a developer and the CI run.

mod command;
mod contract;

use clap::Parser;
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
    /// Measures, in release: `outbox`, `intake` or `idle`, with `--quick` in less than a minute.
    Bench {
        /// Goes to the benchmarks: a name and its options; `NAME --help` tells them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Checks format, lints and the contract.
    Lint,
    /// Runs everything that must pass before a change is accepted.
    Ci,
}

fn main() -> ExitCode {
    let started = Instant::now();
    let result = match Xtask::parse() {
        Xtask::Test { arguments } => test(&arguments),
        Xtask::Bench { arguments } => bench(&arguments),
        Xtask::Lint => lint(),
        Xtask::Ci => lint().and_then(|()| test(&[])),
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

/// End-to-end tests start the real programs, so these are built first.
fn test(arguments: &[String]) -> Result<(), Failed> {
    cargo(&["build", "--package", "comanda", "--package", "loadgen"]).run()?;
    let selection: &[&str] =
        if arguments.iter().any(|it| it == "-p" || it == "--package") { &[] } else { &["--workspace"] };
    cargo(&["test"]).arguments(selection).arguments(arguments).run()
}

fn bench(arguments: &[String]) -> Result<(), Failed> {
    cargo(&["run", "--release", "--package", "bench", "--"]).arguments(arguments).run()
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
