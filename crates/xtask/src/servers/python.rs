//! The Python packages of gRPC, from Python's package source: for services of others in tests.

use crate::command::{Failed, program, workspace};
use std::fs;
use std::path::PathBuf;

/// Which ones, in which versions.
const REQUIREMENTS: &str = "deploy/examples/library/requirements.txt";
/// The file beside them that says which ones they are.
const MARK: &str = "requirements.txt";

/// Where they are, once they are there.
pub(super) fn found() -> Result<PathBuf, Failed> {
    let file = workspace().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&file).map_err(|error| Failed::to(format!("read {}", file.display()), error))?;
    let folder = programs::python_packages();
    let mark = folder.join(MARK);
    if fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
        return Ok(folder);
    }
    println!("taking gRPC for Python from its package source");
    let pip = ["-m", "pip", "install", "--quiet", "--timeout=20", "--retries=2", "--upgrade", "--only-binary=:all:"];
    program("python3")
        .arguments(&pip)
        .arguments(&["--requirement", REQUIREMENTS, "--target"])
        .arguments(&[&folder])
        .ask()?;
    fs::write(&mark, wanted).map_err(|error| Failed::to(format!("write {}", mark.display()), error))?;
    Ok(folder)
}
