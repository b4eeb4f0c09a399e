//! `cargo xtask cluster`: the distributed platform on this machine, from the files of `deploy/`, to be looked at and broken.
//!
//! Its processes outlive this one. They are recorded by their ids, and whatever ends them, the next `up` starts what is missing.

mod consul;
pub(crate) mod lab;
mod member;
mod nats;
mod place;
mod platform;
mod postgres;
mod process;
mod report;
mod secret;
mod wait;

use crate::binary::{self, Profile};
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
        /// How many NATS servers [default: as many as there are, or 1].
        #[arg(long, value_enum)]
        nats: Option<Servers>,
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
        Cluster::Up { nats, release } => up(&place, nats.map(Size::from), *release),
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

fn up(place: &Place, wanted: Option<Size>, release: bool) -> Result<(), Failed> {
    let started = Size::started(place);
    if let (Some(wanted), Some(started)) = (wanted, started)
        && wanted != started
    {
        // The streams of one server are not those of three.
        return Err(Failed::because("NATS was started in another size: first run `cargo xtask cluster down`"));
    }
    let size = wanted.or(started).unwrap_or(Size::One);
    let binary = binary::build(if release { Profile::Release } else { Profile::Dev })?;
    let up = || {
        postgres::up(place)?;
        nats::up(place, size)?;
        consul::up(place)?;
        platform::up(place, size, &binary)
    };
    up().map_err(|why: Failed| Failed::because(format!("{why}\n`cargo xtask cluster down` stops what was started")))?;
    report::greet(place, size, &binary)
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
