//! Consul: one agent that is its own server, by which the roles find each other.

use super::member::{Member, local};
use super::place::Place;
use super::process::Process;
use super::wait;
use crate::command::Failed;
use crate::servers;
use programs::Program;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Where it answers over HTTP. `deploy/local` has the same.
pub(super) const HTTP: SocketAddr = local(18_500);
const SERVER: SocketAddr = local(18_300);
const GOSSIP: SocketAddr = local(18_301);

/// Starts the agent if it does not run, and waits until it has a leader.
pub(super) fn up(place: &Place) -> Result<(), Failed> {
    let member = Member::Consul;
    if Process::of(place, member).is_some() {
        return Ok(());
    }
    wait::refuse_taken(member, &[HTTP, SERVER, GOSSIP])?;
    let command = agent(&servers::found(Program::Consul)?, &place.consul());
    Process::start(place, member, command)?.wait(place, member, is_ready)
}

pub(super) fn is_ready() -> bool {
    wait::get(HTTP, "/v1/status/leader").is_some_and(|(code, leader)| code == 200 && leader.contains(':'))
}

fn agent(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["agent", "-server", "-bootstrap-expect=1", "-ui", "-bind=127.0.0.1", "-client=127.0.0.1"]);
    command.arg(format!("-data-dir={}", data.display()));
    command.arg(format!("-http-port={}", HTTP.port())).arg(format!("-server-port={}", SERVER.port()));
    command.arg(format!("-serf-lan-port={}", GOSSIP.port()));
    command.args(["-serf-wan-port=-1", "-grpc-port=-1", "-dns-port=-1"]);
    command
}
