//! `cargo xtask cluster`: the distributed platform on this machine, from the files of `deploy/`, to be looked at and broken.
//!
//! Its processes outlive this one. They are recorded by their ids, and whatever ends them, the next `up` starts what is missing.

mod member;
mod nats;
mod place;
mod platform;
mod postgres;
mod process;
mod report;
mod secret;
mod wait;

use crate::command::Failed;
use clap::{Subcommand, ValueEnum};
use member::Member;
use nats::Size;
use place::Place;
use process::Process;

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Starts what does not run yet, and says where everything listens.
    Up {
        /// How many NATS servers.
        #[arg(long, value_enum, default_value_t = Servers::One)]
        nats: Servers,
        /// Runs a release build, which takes longer to build and less to run.
        #[arg(long)]
        release: bool,
    },
    /// Stops everything, the gateway first; the data stays.
    Down {
        /// Removes the data, the logs and the passwords too.
        #[arg(long)]
        wipe: bool,
    },
    /// Says what runs, and fails if not everything does.
    Status,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Servers {
    /// One server.
    #[value(name = "1")]
    One,
    /// A cluster of three, with three copies of each message.
    #[value(name = "3")]
    Three,
}

pub(crate) fn run(cluster: &Cluster) -> Result<(), Failed> {
    let place = Place::take()?;
    match cluster {
        Cluster::Up { nats, release } => up(&place, (*nats).into(), *release),
        Cluster::Down { wipe } => down(&place, *wipe),
        Cluster::Status => report::status(&place),
    }
}

impl From<Servers> for Size {
    fn from(servers: Servers) -> Self {
        match servers {
            Servers::One => Size::One,
            Servers::Three => Size::Three,
        }
    }
}

fn up(place: &Place, size: Size, release: bool) -> Result<(), Failed> {
    refuse_another_size(place, size)?;
    let binary = platform::build(release)?;
    let up = || {
        postgres::up(place)?;
        nats::up(place, size)?;
        platform::up(place, size, &binary)
    };
    up().map_err(|why: Failed| Failed::because(format!("{why}\n`cargo xtask cluster down` stops what was started")))?;
    report::greet(place, size, &binary)
}

/// The streams of one server are not those of three.
fn refuse_another_size(place: &Place, size: Size) -> Result<(), Failed> {
    let all = Size::Three.members();
    let mut others = all.into_iter().filter(|member| !size.members().contains(member));
    match others.find(|member| Process::of(place, *member).is_some()) {
        Some(other) => Err(Failed::because(format!("{other} runs too: first run `cargo xtask cluster down`"))),
        None => Ok(()),
    }
}

fn down(place: &Place, wipe: bool) -> Result<(), Failed> {
    for member in Member::all().into_iter().rev() {
        if let Some(process) = Process::of(place, member) {
            let how = process.stop(member)?;
            println!("{member:<12}{how}");
        }
        place.forget(member)?;
    }
    if wipe { place.wipe() } else { Ok(()) }
}
