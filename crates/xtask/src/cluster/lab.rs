//! `cargo xtask lab`: measurements on the servers of the cluster, with roles of their own.

use super::member::Member;
use super::nats::{self, Size};
use super::place::Place;
use super::process::Process;
use super::{consul, platform, postgres};
use crate::binary::{self, Profile};
use crate::command::{Failed, program};

/// Where the configuration of the roles is, and where they keep their logs.
const SETTINGS: [&str; 4] = ["--files", "deploy/local", "--folder", "target/cluster/lab"];

/// Starts the servers, takes the roles of the cluster away from them, and runs `comanda lab` with its own.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failed> {
    let place = Place::take()?;
    if Size::started(&place) == Some(Size::Three) {
        return Err(Failed::because("the lab needs one NATS server: first run `cargo xtask cluster down`"));
    }
    let binary = binary::build(Profile::Release)?;
    postgres::up(&place)?;
    nats::up(&place, Size::One)?;
    consul::up(&place)?;
    platform::passwords(&place)?;
    for member in Member::ROLES.into_iter().rev() {
        if let Some(process) = Process::of(&place, member) {
            let how = process.stop(member)?;
            println!("{member:<12}{how}; `cargo xtask cluster up` starts it again");
        }
    }
    program(binary).arguments(&["lab"]).arguments(arguments).arguments(&SETTINGS).run()
}
