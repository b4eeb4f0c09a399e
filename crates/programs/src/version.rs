//! How old a program is, by its own account.

use std::path::Path;
use std::process::{Command, Stdio};

/// The first two numbers of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl Version {
    /// What a program says when it is asked with `--version`; `None` if it does not run, or says something else.
    pub(crate) fn of(program: &Path) -> Option<Self> {
        let said = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        Version::said(std::str::from_utf8(&said.stdout).ok()?)
    }

    /// The first word that begins like a number.
    fn said(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(|word| word.strip_prefix('v').unwrap_or(word));
        let word = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
        let mut numbers = word.split(|it: char| !it.is_ascii_digit()).map_while(|number| number.parse().ok());
        Some(Version { major: numbers.next()?, minor: numbers.next().unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, major: u32, minor: u32) {
        assert_eq!(Version::said(said), Some(Version { major, minor }));
    }

    #[test]
    fn each_program_says_its_version_in_its_own_way() {
        check("nats-server: v2.15.1\n", 2, 15);
        check("psql (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", 15, 14);
        check("postgres (PostgreSQL) 19devel\n", 19, 0);
        check("Consul v1.8.7\nProtocol 2 spoken by default\n", 1, 8);
    }

    #[test]
    fn what_says_no_version_has_none() {
        assert_eq!(Version::said("unknown option: --version"), None);
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(Version::said("v2.9.10") < Version::said("v2.12.0"));
    }
}
