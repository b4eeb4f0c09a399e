//! Finds the binary under test, or an example, and builds it when it is missing or older than its sources.
//!
//! Cargo tells the path of a binary only to tests of its own package. So it is looked for where this test was built; a stale one would
//! test what nobody wrote, so cargo is asked to bring it up to date.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Names a binary to be used as it is.
const OVERRIDE: &str = "COMANDA_TEST_BINARY";
/// How variables begin by which cargo tells a test about its package.
const PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];
/// Crates that are no part of the binary.
const TEST_CRATES: [&str; 8] = ["bench", "e2e", "faults", "loadgen", "programs", "servers", "testkit", "xtask"];

/// The path of the real program, built anew if it is older than its sources. Found once for each process.
///
/// # Panics
/// When it cannot be built.
pub fn program() -> &'static Path {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PATH.get_or_init(find) {
        Ok(path) => path,
        Err(complaint) => panic!("the binary under test: {complaint}"),
    }
}

/// The path of an example of the end-to-end tests.
///
/// # Panics
/// When it cannot be built.
pub(crate) fn example(name: &str) -> PathBuf {
    let found = || {
        let folder = profile_folder()?;
        let path = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let source = workspace().join(format!("crates/e2e/examples/{name}.rs"));
        let sources = [source.metadata().and_then(|it| it.modified()).ok(), newest_below(&workspace().join("proto"))];
        if !is_fresh(&path, sources.into_iter().flatten().max()) {
            build(&folder, &["--package", "e2e", "--example", name])?;
        }
        Ok(path)
    };
    found().unwrap_or_else(|complaint: String| panic!("the example {name}: {complaint}"))
}

fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(OVERRIDE).map(PathBuf::from) {
        return if path.is_file() { Ok(path) } else { Err(format!("{OVERRIDE}: {} is no file", path.display())) };
    }
    let folder = profile_folder()?;
    let binary = folder.join(format!("comanda{}", std::env::consts::EXE_SUFFIX));
    if !is_fresh(&binary, newest_source()) {
        build(&folder, &["--package", "comanda"])?;
    }
    if binary.is_file() { Ok(binary) } else { Err(format!("{} was not built", binary.display())) }
}

/// `target/debug`, seen from `target/debug/deps/stories-0123456789abcdef`.
fn profile_folder() -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| format!("this test does not know where it is: {error}"))?;
    let folders = test.ancestors().skip(1).find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"));
    folders.map(Path::to_owned).ok_or_else(|| format!("{} is in no folder of cargo's", test.display()))
}

fn is_fresh(binary: &Path, newest_source: Option<SystemTime>) -> bool {
    let Ok(built) = binary.metadata().and_then(|metadata| metadata.modified()) else { return false };
    newest_source.is_some_and(|source| source <= built)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// When a source of the binary was last changed.
fn newest_source() -> Option<SystemTime> {
    let root = workspace();
    let crates = std::fs::read_dir(root.join("crates")).ok()?.filter_map(Result::ok);
    let crates = crates.filter(|entry| !TEST_CRATES.iter().any(|name| entry.file_name() == *name));
    let folders = crates.flat_map(|entry| [entry.path().join("src"), entry.path().join("migrations")]);
    folders.chain([root.join("proto")]).filter_map(|folder| newest_below(&folder)).max()
}

fn newest_below(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let changed = |path: PathBuf| match path.is_dir() {
        true => newest_below(&path),
        false => path.metadata().and_then(|metadata| metadata.modified()).ok(),
    };
    entries.filter_map(|entry| changed(entry.path())).max()
}

fn build(folder: &Path, what: &[&str]) -> Result<(), String> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile", profile]).args(what).current_dir(workspace());
    // What cargo has told this test about its package would make build scripts run again that look at such variables.
    for (name, _) in std::env::vars_os() {
        if PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    if let Some(target) = folder.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let output = cargo.output().map_err(|error| format!("cargo could not be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("cargo build {} failed:\n{}", what.join(" "), String::from_utf8_lossy(&output.stderr)))
}
