//! Packages of any Debian release, without anything being installed.
//!
//! apt is given a root of its own, and the mirror that the machine is set up with. Root is not needed, nor that release.

use crate::command::{Failed, Run, program};
use std::fs;
use std::path::Path;

/// Where packages are taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Release {
    pub(super) suite: &'static str,
    /// Of its line in `sources.list`, in brackets.
    pub(super) options: &'static str,
}

/// Downloads packages into a folder.
pub(super) fn download(packages: &[&str], release: Release, folder: &Path) -> Result<(), Failed> {
    let format = ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"];
    // Without what is read from the lists, it also works where there are none yet.
    let known =
        program("apt-get").arguments(&["-o", "APT::Get::IndexTargets::ReleaseInfo=false"]).arguments(&format).ask()?;
    let mut failed = Failed::because("apt has no mirror of a Debian release");
    for mirror in mirrors(&known) {
        match download_from(mirror, packages, release, folder) {
            Ok(()) => return Ok(()),
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

fn download_from(mirror: &str, packages: &[&str], release: Release, folder: &Path) -> Result<(), Failed> {
    let source = format!("deb {} {mirror} {} main\n", release.options, release.suite);
    let root = folder.join("apt");
    let prepared = fs::create_dir_all(root.join("lists/partial"))
        .and_then(|()| fs::create_dir_all(root.join("cache/archives/partial")))
        .and_then(|()| fs::write(root.join("sources.list"), source));
    prepared.map_err(|error| Failed::to(format!("use {}", root.display()), error))?;
    apt(&root).arguments(&["update"]).ask()?;
    apt(&root).arguments(&["download"]).arguments(packages).in_folder(folder).ask()?;
    fs::remove_dir_all(&root).map_err(|error| Failed::to(format!("remove {}", root.display()), error))
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
