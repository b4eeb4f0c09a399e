//! The examples do what they say.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

use std::path::Path;
use std::process::{Command, Output};

fn run(example: &str, arguments: &[&str], folder: &Path) -> Output {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    cargo.args(["run", "--quiet", "--manifest-path"]).arg(manifest).args(["--example", example, "--"]);
    cargo.args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn a_reader_is_welcomed_once() {
    let folder = tempfile::tempdir().unwrap();

    let first = run("newsletter", &["ada@example.org"], folder.path());
    let again = run("newsletter", &["ada@example.org"], folder.path());

    assert_eq!(String::from_utf8_lossy(&first.stdout), "welcomed ada@example.org\n", "{first:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("nobody has signed up with this address"), "{again:?}");
}
