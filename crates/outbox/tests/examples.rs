//! The examples do what they say.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where `cargo test` has put an example: beside the folder of this test. To have it run by cargo would build it with other features.
fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is not there; `cargo test -p outbox` makes it", path.display());
    path
}

fn run(name: &str, arguments: &[&str], folder: &Path) -> Output {
    Command::new(example(name)).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn a_reader_is_welcomed_once() {
    let folder = tempfile::tempdir().unwrap();

    let first = run("newsletter", &["ada@example.org"], folder.path());
    let again = run("newsletter", &["ada@example.org"], folder.path());

    assert_eq!(String::from_utf8_lossy(&first.stdout), "welcomed ada@example.org\n", "{first:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("nobody has signed up with this address"), "{again:?}");
}
