//! `consul` from Debian 11, the last that has it, without anything being installed.
//!
//! apt is given a root of its own, and the mirror that the machine is set up with. Root is not needed, nor Debian 11.

use super::tool::Tool;
use crate::command::{Failed, Run, program};
use programs::Program;
use std::fs;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "consul=1.8.7+dfsg1-2+b3";
const SUITE: &str = "bullseye";

pub(super) const TOOL: Tool = Tool {
    program: Program::Consul,
    package: "the Debian package consul 1.8.7",
    sha256: "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9",
    download,
    unpack,
};

fn download(folder: &Path) -> Result<PathBuf, Failed> {
    let format = ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"];
    // Without what is read from the lists, it also works where there are none yet.
    let known =
        program("apt-get").arguments(&["-o", "APT::Get::IndexTargets::ReleaseInfo=false"]).arguments(&format).ask()?;
    let mut failed = Failed::because("apt has no mirror of a Debian release");
    for mirror in mirrors(&known) {
        match download_from(mirror, folder) {
            Ok(package) => return Ok(package),
            Err(why) => failed = why,
        }
    }
    Err(failed)
}

/// Where releases come from, each once; what is there for updates or backports has no packages of an older release.
fn mirrors(known: &str) -> Vec<&str> {
    let mut mirrors = Vec::new();
    for line in known.lines() {
        if let [mirror, release, "main"] = line.split_whitespace().collect::<Vec<_>>()[..]
            && !release.contains(['-', '/'])
            && !mirror.starts_with("cdrom:")
            && !mirrors.contains(&mirror)
        {
            mirrors.push(mirror);
        }
    }
    mirrors
}

fn download_from(mirror: &str, folder: &Path) -> Result<PathBuf, Failed> {
    // Trusted: what is taken is known by its checksum, and a newer machine may not have the keys of an old release.
    let source = format!("deb [trusted=yes check-valid-until=no] {mirror} {SUITE} main\n");
    let root = folder.join("apt");
    let prepared = fs::create_dir_all(root.join("lists/partial"))
        .and_then(|()| fs::create_dir_all(root.join("cache/archives/partial")))
        .and_then(|()| fs::write(root.join("sources.list"), source));
    prepared.map_err(|error| Failed::to(format!("use {}", root.display()), error))?;
    apt(&root).arguments(&["update"]).ask()?;
    apt(&root).arguments(&["download", PACKAGE]).in_folder(folder).ask()?;
    let package = folder.join("consul_1.8.7+dfsg1-2+b3_amd64.deb");
    fs::remove_dir_all(&root).map_err(|error| Failed::to(format!("remove {}", root.display()), error))?;
    if package.is_file() {
        Ok(package)
    } else {
        Err(Failed::because(format!("apt has not downloaded {}", package.display())))
    }
}

fn apt(root: &Path) -> Run {
    let place = |name: &str, place: &str| format!("{name}={}", root.join(place).display());
    let options = [
        place("Dir::State", ""),
        place("Dir::State::lists", "lists"),
        place("Dir::Cache", "cache"),
        place("Dir::Etc::sourcelist", "sources.list"),
        "Dir::Etc::sourceparts=-".to_owned(),
        "APT::Architecture=amd64".to_owned(),
        "APT::Architectures=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "APT::Update::Error-Mode=any".to_owned(),
        "Acquire::http::Timeout=20".to_owned(),
        "Acquire::Retries=2".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ];
    let options: Vec<String> = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
    program("apt-get").arguments(&["-qq"]).arguments(&options)
}

fn unpack(package: &Path) -> Result<PathBuf, Failed> {
    let unpacked = package.with_extension("unpacked");
    program("dpkg").arguments(&["-x"]).arguments(&[package, &unpacked]).ask()?;
    Ok(unpacked.join("usr/bin/consul"))
}

#[cfg(test)]
mod tests {
    use super::mirrors;

    #[test]
    fn the_mirror_of_a_release_is_taken_once() {
        let known = "http://a/debian/ bookworm main\nhttp://a/debian/ bookworm main\nhttp://a/debian/ bookworm contrib\n\
                     http://a/debian/ bookworm-updates main\nhttp://a/security/ bookworm-security main\n\
                     http://b/ nodistro main\ncdrom:[Debian]/ bookworm main\nhttp://c/ ./ main\n";

        assert_eq!(mirrors(known), ["http://a/debian/", "http://b/"]);
    }
}
