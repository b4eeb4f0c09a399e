//! Runs other programs in the workspace's folder, and says what was run.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// How variables begin by which cargo tells a program about its package.
const PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// A program that did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl Failed {
    /// Says what was being done, and what is wrong.
    pub(crate) fn to(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Failed(format!("failed to {what}: {error}"))
    }

    /// Says what helps.
    pub(crate) fn because(sentence: impl Into<String>) -> Self {
        Failed(sentence.into())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A program to be run.
pub(crate) struct Run(Command);

/// The cargo that runs this program, without what it has told about this program's package: build scripts that look at that would be run
/// again, and all that depends on them built anew, whenever cargo is run the other way.
pub(crate) fn cargo(arguments: &[&str]) -> Run {
    let mut run = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).arguments(arguments);
    for (name, _) in std::env::vars_os() {
        if PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            run.0.env_remove(name);
        }
    }
    run
}

/// Any program.
pub(crate) fn program(name: impl Into<OsString>) -> Run {
    command(Command::new(name.into()))
}

/// A program with all that was said about it already.
pub(crate) fn command(mut command: Command) -> Run {
    command.current_dir(workspace());
    Run(command)
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

impl Run {
    pub(crate) fn arguments<T: AsRef<OsStr>>(mut self, arguments: &[T]) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Lets it find programs in a folder before all others.
    pub(crate) fn before_on_path(mut self, folder: &Path) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        // A folder with a colon in its name cannot be on a PATH, and is left out of this one.
        self.0.env("PATH", std::env::join_paths(folders).unwrap_or(path));
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Result<(), Failed> {
        let shown = self.shown();
        println!("$ {shown}");
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failed(format!("`{shown}` ended with {status}"))),
            Err(error) => Err(not_started(&shown, &error)),
        }
    }

    /// Runs it to its end without a word, unless it fails; returns what it says.
    pub(crate) fn ask(mut self) -> Result<String, Failed> {
        let shown = self.shown();
        let Output { status, stdout, stderr } =
            self.0.stdin(Stdio::null()).output().map_err(|error| not_started(&shown, &error))?;
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        match status.success() {
            true => Ok(stdout),
            false => {
                let said = format!("{stdout}{}", String::from_utf8_lossy(&stderr));
                Err(Failed(format!("`{shown}` ended with {status}:\n{}", said.trim_end())))
            }
        }
    }

    fn shown(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        words.join(" ")
    }
}

fn not_started(shown: &str, error: &std::io::Error) -> Failed {
    Failed(format!("`{shown}` could not be started: {error}"))
}
