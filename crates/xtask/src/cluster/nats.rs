//! NATS, set up by `deploy/nats`: one server, or three.

use super::member::{Member, local};
use super::place::Place;
use super::process::Process;
use super::{secret, wait};
use crate::command::Failed;
use crate::servers;
use programs::Program;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The users of `deploy/nats/accounts.conf`.
pub(super) const USERS: [&str; 7] = ["order", "consumer", "restaurant", "relay", "gateway", "shop", "operator"];

/// How many servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    One,
    Three,
}

impl Size {
    pub(super) fn members(self) -> Vec<Member> {
        match self {
            Size::One => vec![Member::Nats(1)],
            Size::Three => vec![Member::Nats(1), Member::Nats(2), Member::Nats(3)],
        }
    }

    /// In which size it was started, if it was: what is recorded stays so until it is stopped in order.
    pub(super) fn started(place: &Place) -> Option<Self> {
        let sizes = [Size::Three, Size::One];
        sizes.into_iter().find(|size| size.members().iter().all(|member| place.record(*member).exists()))
    }

    fn configuration(self) -> &'static str {
        match self {
            Size::One => "deploy/nats/server.conf",
            Size::Three => "deploy/nats/cluster.conf",
        }
    }
}

/// Where a server listens for clients. `deploy/local` has the first.
pub(super) fn clients(number: u16) -> SocketAddr {
    local(14_221 + number)
}

/// Where a server tells about itself over HTTP.
pub(super) fn monitor(number: u16) -> SocketAddr {
    local(18_221 + number)
}

fn routes(number: u16) -> SocketAddr {
    local(16_221 + number)
}

/// Starts the servers that do not run, and waits until the broker is ready.
pub(super) fn up(place: &Place, size: Size) -> Result<(), Failed> {
    let program = servers::found(Program::NatsServer)?;
    let mut started = Vec::new();
    for member in size.members() {
        if let (Member::Nats(number), None) = (member, Process::of(place, member)) {
            wait::refuse_taken(member, &[clients(number), monitor(number)])?;
            let command = server(place, size, &program, number)?;
            started.push((member, number, Process::start(place, member, command)?));
        }
    }
    for (member, number, process) in started {
        process.wait(place, member, || is_ready(number))?;
    }
    Ok(())
}

/// With three, it also has to know who leads them.
pub(super) fn is_ready(number: u16) -> bool {
    wait::is_there(monitor(number), "/healthz")
}

fn server(place: &Place, size: Size, program: &Path, number: u16) -> Result<Command, Failed> {
    let (secrets, servers) = (place.secrets("nats"), size.members().len());
    let mut command = Command::new(program);
    command.args(["--config", size.configuration()]);
    command.env("NATS_NAME", format!("n{number}"));
    command.env("NATS_LISTEN", clients(number).to_string());
    command.env("NATS_MONITOR", monitor(number).to_string());
    command.env("NATS_STORE", quoted(&place.streams(servers, Member::Nats(number))));
    for user in USERS {
        command.env(format!("NATS_{}_PASSWORD", user.to_uppercase()), secret::at(&secrets.join(user))?);
    }
    if size == Size::Three {
        let password = secret::at(&secrets.join("route"))?;
        let route = |number| format!("nats://route:{password}@{}", routes(number));
        command.env("NATS_ROUTES_LISTEN", routes(number).to_string());
        command.env("NATS_ROUTES", format!("[{}, {}, {}]", route(1), route(2), route(3)));
        command.env("NATS_ROUTE_PASSWORD", password);
    }
    Ok(command)
}

/// As a configuration wants a path in which a blank may be.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::workspace;

    #[test]
    fn every_user_of_the_configuration_gets_a_password() {
        let text = std::fs::read_to_string(workspace().join("deploy/nats/accounts.conf")).unwrap();

        let wanted: Vec<&str> =
            text.lines().filter_map(|line| line.split("password: $").nth(1)?.split(' ').next()).collect();

        assert_eq!(wanted, USERS.map(|user| format!("NATS_{}_PASSWORD", user.to_uppercase())));
    }
}
