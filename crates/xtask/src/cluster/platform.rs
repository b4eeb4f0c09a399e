//! The roles of the platform: a process of the real binary for each, with its file of `deploy/local`.

use super::member::Member;
use super::nats::{self, Size};
use super::place::Place;
use super::process::Process;
use super::{secret, wait};
use crate::command::{Failed, workspace};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// Settings come from the files, and not from the shell that the cluster is started from.
const PREFIX: &str = "COMANDA_";

/// Where a role listens, as its file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    /// For clients or other processes; the relay has nothing for either.
    pub(super) serving: Option<SocketAddr>,
    /// For operators.
    pub(super) admin: SocketAddr,
}

/// Starts the roles that do not run, each when the one before it is ready.
pub(super) fn up(place: &Place, size: Size, binary: &Path) -> Result<(), Failed> {
    passwords(place)?;
    for member in Member::ROLES {
        if Process::of(place, member).is_none() {
            start(place, size, binary, member)?;
        }
    }
    Ok(())
}

/// Writes the passwords for NATS down where the files of the roles say.
pub(super) fn passwords(place: &Place) -> Result<(), Failed> {
    // Whoever does not run the cluster himself finds his password too, if he is told where.
    for user in nats::USERS {
        secret::at(&place.secrets("nats").join(user))?;
    }
    Ok(())
}

fn start(place: &Place, size: Size, binary: &Path, member: Member) -> Result<(), Failed> {
    let addresses = addresses(member)?;
    let taken: Vec<SocketAddr> = addresses.serving.into_iter().chain([addresses.admin]).collect();
    wait::refuse_taken(member, &taken)?;
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(PREFIX)) {
        command.env_remove(name);
    }
    command.arg("serve").arg(member.to_string()).arg("--config").arg(file(member));
    // Started again after a kill, it must not need services that are away.
    if member == Member::Gateway && !place.record(member).exists() {
        command.arg("--sample-data");
    }
    if size == Size::Three {
        let servers = [1, 2, 3].map(|number| format!("\"nats://{}\"", nats::clients(number)));
        command.env("COMANDA_BUS__JETSTREAM__SERVERS", format!("[{}]", servers.join(",")));
        command.env("COMANDA_BUS__JETSTREAM__REPLICAS", "3");
    }
    Process::start(place, member, command)?.wait(place, member, || is_ready(addresses))
}

pub(super) fn is_ready(addresses: Addresses) -> bool {
    wait::is_there(addresses.admin, "/readyz")
}

/// The file of a role, seen from the workspace.
fn file(member: Member) -> String {
    format!("deploy/local/{member}.toml")
}

/// Reads where a role listens.
pub(super) fn addresses(member: Member) -> Result<Addresses, Failed> {
    let path = workspace().join(file(member));
    let text = fs::read_to_string(&path).map_err(|error| Failed::to(format!("read {}", path.display()), error))?;
    let address = |key: &str| setting(&text, key).and_then(|value| value.parse().ok());
    let missing = || Failed::because(format!("{} has no admin_listen with an address", path.display()));
    Ok(Addresses { serving: address("listen"), admin: address("admin_listen").ok_or_else(missing)? })
}

/// The first setting of this name, if it is a text on one line.
fn setting<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
    values.next()?.trim().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::super::consul;
    use super::super::member::POSTGRES;
    use super::*;

    #[test]
    fn a_setting_is_found_by_its_whole_name() {
        let text = "admin_listen = \"127.0.0.1:1\"\n[rpc]\nlisten=\"127.0.0.1:2\"\n";

        assert_eq!(setting(text, "listen"), Some("127.0.0.1:2"));
        assert_eq!(setting(text, "admin_listen"), Some("127.0.0.1:1"));
        assert_eq!(setting(text, "name"), None);
    }

    #[test]
    fn every_role_has_a_file_with_addresses_of_its_own() {
        let mut all: Vec<SocketAddr> = Vec::new();
        for member in Member::ROLES {
            let Addresses { serving, admin } = addresses(member).unwrap();
            assert_eq!(serving.is_none(), member == Member::Relay, "{member}");
            all.extend(serving.into_iter().chain([admin]));
        }

        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
    }

    #[test]
    fn the_files_name_the_servers_that_are_started() {
        let text = |member| fs::read_to_string(workspace().join(file(member))).unwrap();
        for member in Member::ROLES {
            assert!(text(member).contains(&format!("servers = [\"nats://{}\"]", nats::clients(1))), "{member}");
            assert_eq!(text(member).matches(&POSTGRES.to_string()).count(), text(member).matches("\nurl = ").count());
        }
        for member in Member::ROLES {
            assert!(text(member).contains(&format!("[consul]\nagents = [\"http://{}\"]", consul::HTTP)), "{member}");
        }
    }
}
