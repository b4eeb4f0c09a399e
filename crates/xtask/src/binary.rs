//! The program that users run.

use crate::command::{Failed, cargo, workspace};
use std::path::PathBuf;

/// How it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly.
    Dev,
    /// As `cargo run --release` does.
    Release,
    /// As it is installed.
    Dist,
}

/// Builds it, and says where it is.
pub(crate) fn build(profile: Profile) -> Result<PathBuf, Failed> {
    let (name, folder) = match profile {
        Profile::Dev => ("dev", "debug"),
        Profile::Release => ("release", "release"),
        Profile::Dist => ("dist", "dist"),
    };
    cargo(&["build", "--package", "comanda", "--profile", name]).run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    Ok(workspace().join(target).join(folder).join("comanda"))
}
