//! `consul` from Debian 11, the last that has it, without anything being installed.
//!
//! apt is given a root of its own, and the mirror that the machine is set up with. Root is not needed, nor Debian 11.

use super::debian::{self, Release};
use super::tool::Tool;
use crate::command::{Failed, program};
use programs::Program;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "consul=1.8.7+dfsg1-2+b3";
/// Trusted: what is taken is known by its checksum, and a newer machine may not have the keys of an old release.
const RELEASE: Release = Release { suite: "bullseye", options: "[trusted=yes check-valid-until=no]" };

pub(super) const TOOL: Tool = Tool {
    program: Program::Consul,
    package: "the Debian package consul 1.8.7",
    sha256: "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9",
    download,
    unpack,
};

fn download(folder: &Path) -> Result<PathBuf, Failed> {
    debian::download(&[PACKAGE], RELEASE, folder)?;
    let package = folder.join("consul_1.8.7+dfsg1-2+b3_amd64.deb");
    if package.is_file() {
        Ok(package)
    } else {
        Err(Failed::because(format!("apt has not downloaded {}", package.display())))
    }
}

fn unpack(package: &Path) -> Result<PathBuf, Failed> {
    let unpacked = package.with_extension("unpacked");
    program("dpkg").arguments(&["-x"]).arguments(&[package, &unpacked]).ask()?;
    Ok(unpacked.join("usr/bin/consul"))
}
