//! Finds the programs of the servers.

use std::path::{Path, PathBuf};

/// Set in CI, where nothing may be left out.
const FORBID_SKIP: &str = "COMANDA_TEST_FORBID_SKIP";
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
    /// Where it is: named by the environment, on the PATH, where its package puts it, or where `cargo xtask servers` has put it.
    #[must_use]
    pub fn find(self) -> Option<PathBuf> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
        match self {
            Program::Postgres(name) => match std::env::var_os("COMANDA_TEST_POSTGRES_BIN") {
                Some(folder) => is_file(PathBuf::from(folder).join(name)),
                None => newest_of_debian(name).or_else(|| on_path(name)),
            },
            Program::NatsServer => named("COMANDA_TEST_NATS_SERVER", "nats-server", tools.join("nats/nats-server")),
            Program::Consul => named("COMANDA_TEST_CONSUL", "consul", tools.join("consul/consul")),
        }
    }

    /// Where it is.
    ///
    /// # Panics
    /// When it is not there, saying how to get it.
    pub(crate) fn path(self) -> PathBuf {
        self.find().unwrap_or_else(|| panic!("{} is not there; {}", self.name(), self.advice()))
    }

    /// Whether it is there. If not, a line on standard output says that the test is skipped, which it does by returning.
    ///
    /// # Panics
    /// When it is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
    pub(crate) fn require(self) -> bool {
        if self.find().is_some() {
            return true;
        }
        let message = format!("skipped: {} is not there; {}", self.name(), self.advice());
        assert!(std::env::var_os(FORBID_SKIP).is_none_or(|value| value != "1"), "{message}, and {FORBID_SKIP} is 1");
        println!("{message}");
        false
    }

    fn name(self) -> &'static str {
        match self {
            Program::Postgres(name) => name,
            Program::NatsServer => "nats-server",
            Program::Consul => "consul",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Program::Postgres(_) => "install PostgreSQL 15 or later, or name its folder in COMANDA_TEST_POSTGRES_BIN",
            Program::NatsServer => "run `cargo xtask servers`, or name it in COMANDA_TEST_NATS_SERVER",
            Program::Consul => "run `cargo xtask servers`, or name it in COMANDA_TEST_CONSUL",
        }
    }
}

/// Whether PostgreSQL and NATS are there. If not, a line on standard output says that the test is skipped, which it does by returning.
///
/// # Panics
/// When one is missing and `COMANDA_TEST_FORBID_SKIP` is 1.
#[must_use]
pub fn are_there() -> bool {
    Program::Postgres("postgres").require() && Program::NatsServer.require()
}

fn named(variable: &str, name: &str, fetched: PathBuf) -> Option<PathBuf> {
    match std::env::var_os(variable) {
        Some(path) => is_file(PathBuf::from(path)),
        None => is_file(fetched).or_else(|| on_path(name)),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| is_file(folder.join(name)))
}

fn newest_of_debian(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin").join(name))))
        .filter(|(_, program)| program.is_file())
        .collect();
    found.sort();
    found.pop().map(|(_, program)| program)
}

fn is_file(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}
