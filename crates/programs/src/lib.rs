//! Finds the programs of PostgreSQL, NATS and Consul on this machine.
//!
//! A crate without dependencies, since `cargo xtask` needs it too and must build at once.

mod unprivileged;
mod version;

pub use unprivileged::Unprivileged;

use std::path::{Path, PathBuf};
use version::Version;

/// Set in CI, where nothing may be left out.
pub const FORBID_SKIP: &str = "COMANDA_TEST_FORBID_SKIP";
/// Where Debian puts the server programs of PostgreSQL, by version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A server's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// PostgreSQL's `initdb`, `postgres`, `psql` and so on; `COMANDA_TEST_POSTGRES_BIN` names their folder.
    Postgres(&'static str),
    /// `nats-server`; `COMANDA_TEST_NATS_SERVER` names it.
    NatsServer,
    /// `consul`; `COMANDA_TEST_CONSUL` names it.
    Consul,
}

impl Program {
    /// Where it is: named by the environment, where `cargo xtask servers` has put it, where its package puts it, or on the PATH. What is
    /// on the PATH and too old is not taken.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        match (self.named(), self) {
            (Some(path), _) => is_file(path),
            (None, Program::Postgres(name)) => newest_of_debian(name).or_else(|| self.on_path()),
            (None, Program::NatsServer | Program::Consul) => {
                self.fetched().and_then(is_file).or_else(|| self.on_path())
            }
        }
    }

    /// What the environment names, whether it is there or not.
    #[must_use]
    pub fn named(self) -> Option<PathBuf> {
        let named = std::env::var_os(self.variable()).map(PathBuf::from)?;
        match self {
            Program::Postgres(name) => Some(named.join(name)),
            Program::NatsServer | Program::Consul => Some(named),
        }
    }

    /// Where `cargo xtask servers` puts it; `None` for what it does not fetch.
    #[must_use]
    pub fn fetched(self) -> Option<PathBuf> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
        match self {
            Program::Postgres(_) => None,
            Program::NatsServer => Some(workspace.join("target/tools/nats/nats-server")),
            Program::Consul => Some(workspace.join("target/tools/consul/consul")),
        }
    }

    /// The first on the PATH, if it is not too old.
    #[must_use]
    pub fn on_path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&path).find_map(|folder| is_file(folder.join(self.name())))?;
        (Version::of(&found)? >= self.oldest()).then_some(found)
    }

    /// Where it is.
    ///
    /// # Panics
    /// When it is not there, saying how to get it.
    #[must_use]
    pub fn path(self) -> PathBuf {
        self.find().unwrap_or_else(|| panic!("{}", self.missing()))
    }

    /// Whether it is there. If not, a line on standard output says that the test is skipped, which it does by returning.
    ///
    /// # Panics
    /// When it is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
    #[must_use]
    pub fn require(self) -> bool {
        if self.find().is_some() {
            return true;
        }
        let message = format!("skipped: {}", self.missing());
        assert!(!is_skip_forbidden(), "{message}, and {FORBID_SKIP} is 1");
        println!("{message}");
        false
    }

    /// What its file is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Program::Postgres(name) => name,
            Program::NatsServer => "nats-server",
            Program::Consul => "consul",
        }
    }

    /// The environment variable that names it, or its folder.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Program::Postgres(_) => "COMANDA_TEST_POSTGRES_BIN",
            Program::NatsServer => "COMANDA_TEST_NATS_SERVER",
            Program::Consul => "COMANDA_TEST_CONSUL",
        }
    }

    /// Says that it is not there, and what helps.
    #[must_use]
    pub fn missing(self) -> String {
        let (name, variable) = (self.name(), self.variable());
        match (self.named(), self) {
            (Some(path), _) => format!("{name} is not there: {variable} says that it is {}", path.display()),
            (None, Program::Postgres(_)) => {
                let oldest = POSTGRES_OLDEST.major;
                format!("{name} is not there; install PostgreSQL {oldest} or later, or name its folder in {variable}")
            }
            (None, Program::NatsServer | Program::Consul) => {
                format!("{name} is not there; run `cargo xtask servers`, or name it in {variable}")
            }
        }
    }

    fn oldest(self) -> Version {
        match self {
            Program::Postgres(_) => POSTGRES_OLDEST,
            Program::NatsServer => NATS_OLDEST,
            Program::Consul => CONSUL_OLDEST,
        }
    }
}

/// The oldest that the platform was tried with.
const POSTGRES_OLDEST: Version = Version { major: 15, minor: 0 };
/// Older ones silently drop settings of streams.
const NATS_OLDEST: Version = Version { major: 2, minor: 12 };
/// The oldest that the platform was tried with.
const CONSUL_OLDEST: Version = Version { major: 1, minor: 8 };

/// Whether PostgreSQL and NATS are there. If not, a line on standard output says that the test is skipped, which it does by returning.
///
/// # Panics
/// When one is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
#[must_use]
pub fn are_there() -> bool {
    Program::Postgres("postgres").require() && Program::NatsServer.require()
}

/// Whether nothing may be left out.
#[must_use]
pub fn is_skip_forbidden() -> bool {
    std::env::var_os(FORBID_SKIP).is_some_and(|value| value == "1")
}

fn newest_of_debian(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin").join(name))))
        .filter(|(major, program)| *major >= POSTGRES_OLDEST.major && program.is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, program)| program)
}

fn is_file(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}
