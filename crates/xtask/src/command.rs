//! Runs other programs in the workspace's folder, and says what was run.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

/// A program that did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A program to be run.
pub(crate) struct Run(Command);

/// The cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Run {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).arguments(arguments)
}

/// Any program.
pub(crate) fn program(name: impl Into<OsString>) -> Run {
    let mut command = Command::new(name.into());
    command.current_dir(workspace());
    Run(command)
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Run {
    pub(crate) fn arguments<T: AsRef<std::ffi::OsStr>>(mut self, arguments: &[T]) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn in_folder(mut self, folder: &std::path::Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Result<(), Failed> {
        let shown = format!("{:?}", self.0);
        println!("$ {}", shown.replace('"', ""));
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failed(format!("{shown} ended with {status}"))),
            Err(error) => Err(Failed(format!("{shown} could not be started: {error}"))),
        }
    }
}
