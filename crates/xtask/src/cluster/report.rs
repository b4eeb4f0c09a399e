//! What there is to know about the cluster, on standard output.

use super::consul;
use super::member::{Member, POSTGRES};
use super::nats::{self, Size};
use super::place::Place;
use super::process::Process;
use super::{platform, postgres};
use crate::command::{Failed, workspace};
use std::path::Path;

/// Says what runs; fails if not everything does, or is not ready.
pub(super) fn status(place: &Place) -> Result<(), Failed> {
    let mut amiss = 0;
    for member in members(Size::started(place).unwrap_or(Size::One)) {
        let state = match Process::of(place, member) {
            None => "does not run".to_owned(),
            Some(process) if is_ready(member)? => format!("ready, process {}", process.id()),
            Some(process) => format!("not ready, process {}", process.id()),
        };
        amiss += u32::from(!state.starts_with("ready"));
        println!("{member:<12}{state:<28}{}", listens(member)?);
    }
    match amiss {
        0 => Ok(()),
        _ => Err(Failed::because(format!("{amiss} not ready; `cargo xtask cluster up` starts what does not run"))),
    }
}

/// Where everything is, and what can be done now.
pub(super) fn greet(place: &Place, size: Size, binary: &Path) -> Result<(), Failed> {
    println!("\n{:<12}{:<10}{:<58}log", "", "process", "listens on");
    for member in members(size) {
        let id = Process::of(place, member).map_or_else(|| "ended".to_owned(), |process| process.id().to_string());
        println!("{member:<12}{id:<10}{:<58}{}", listens(member)?, from_workspace(&place.log(member)));
    }
    println!("data        {}", from_workspace(&place.postgres()?));
    println!("            {}", from_workspace(&place.streams(size.members().len(), Member::Nats(1))));
    println!("passwords   {}", from_workspace(&place.secrets("")));
    if let Some(next) = next_step(place) {
        println!("\n{next}");
    }
    let (comanda, admin) = (from_workspace(binary), platform::addresses(Member::Relay)?.admin);
    println!(
        "\nBreak something: kill -9 PROCESS; `cargo xtask cluster status` says what runs, and `cargo xtask cluster up` starts the rest.\n\
         Look at it:      {comanda} doctor --admin http://{admin}\n\
                          {comanda} endpoints, {comanda} breakers\n\
         Check it:        {comanda} verify --config deploy/local/relay.toml\n\
         Stop it:         cargo xtask cluster down [--wipe]"
    );
    Ok(())
}

/// The last words of the gateway's greeting: how to place an order with the sample data.
fn next_step(place: &Place) -> Option<String> {
    let log = std::fs::read(place.log(Member::Gateway)).ok()?;
    let log = String::from_utf8_lossy(&log).into_owned();
    let (_, said) = log.rsplit_once("\nPlace an order")?;
    let lines: Vec<&str> = said.lines().take(2).collect();
    Some(format!("Place an order{}", lines.join("\n")))
}

fn members(size: Size) -> Vec<Member> {
    [Member::Postgres].into_iter().chain(size.members()).chain([Member::Consul]).chain(Member::ROLES).collect()
}

fn is_ready(member: Member) -> Result<bool, Failed> {
    Ok(match member {
        Member::Postgres => postgres::is_ready(),
        Member::Nats(number) => nats::is_ready(number),
        Member::Consul => consul::is_ready(),
        Member::Consumer | Member::Restaurant | Member::Order | Member::Relay | Member::Gateway => {
            platform::is_ready(platform::addresses(member)?)
        }
    })
}

fn listens(member: Member) -> Result<String, Failed> {
    Ok(match member {
        Member::Postgres => format!("{POSTGRES}"),
        Member::Consul => format!("http://{}/ui", consul::HTTP),
        Member::Nats(number) => format!("{}, monitor http://{}", nats::clients(number), nats::monitor(number)),
        Member::Consumer | Member::Restaurant | Member::Order | Member::Relay | Member::Gateway => {
            let addresses = platform::addresses(member)?;
            let serving = addresses.serving.map(|address| format!("http://{address}, ")).unwrap_or_default();
            format!("{serving}operators http://{}", addresses.admin)
        }
    })
}

fn from_workspace(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).display().to_string()
}
