//! What a test needs from outside of the repository.

use std::path::{Path, PathBuf};

/// Set in CI, where nothing may be left out.
const FORBID_SKIP: &str = "COMANDA_TEST_FORBID_SKIP";

/// A file of the shared data, by its path below `shared/`. `None`, and a line on standard output, when it is not there: the test is
/// skipped by returning.
///
/// # Panics
/// When the file is not there and `COMANDA_TEST_FORBID_SKIP` is 1.
#[must_use]
pub fn require(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(what);
    if path.is_file() {
        return Some(path);
    }
    let message = format!("skipped: {} is not there", path.display());
    assert!(std::env::var_os(FORBID_SKIP).is_none_or(|value| value != "1"), "{message}, and {FORBID_SKIP} is 1");
    println!("{message}");
    None
}

/// What `cargo xtask servers` puts into `target/tools`, by its path below that. `None`, and a line on standard output, when it is not
/// there: the test is skipped by returning.
///
/// # Panics
/// When it is not there and `COMANDA_TEST_FORBID_SKIP` is 1.
#[must_use]
pub fn require_tool(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(what);
    if path.exists() {
        // Not canonical: Python knows its environment by the link that it is started by.
        return Some(std::path::absolute(&path).unwrap_or(path));
    }
    let message = format!("skipped: {} is not there; run `cargo xtask servers`", path.display());
    assert!(std::env::var_os(FORBID_SKIP).is_none_or(|value| value != "1"), "{message}, and {FORBID_SKIP} is 1");
    println!("{message}");
    None
}
