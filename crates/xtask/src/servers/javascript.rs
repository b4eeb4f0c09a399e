//! The JavaScript clients of gRPC-Web that tests run, from npm's registry.

use crate::command::{Failed, program, workspace};
use std::path::PathBuf;

/// The official client and what it speaks through in node; Connect's client; and what reads a contract at run time.
const PACKAGES: [&str; 5] = [
    "grpc-web@2.1.1",
    "xhr2@0.2.1",
    "@connectrpc/connect@2.2.0",
    "@connectrpc/connect-web@2.2.0",
    "@bufbuild/protobuf@2.17.0",
];
/// Where they are, below the workspace.
const FOLDER: &str = "target/tools/grpc-web";
/// What npm writes last.
const INSTALLED: &str = "node_modules/.package-lock.json";

/// Where their folder is, once they are there.
pub(super) fn found() -> Result<PathBuf, Failed> {
    let folder = workspace().join(FOLDER);
    if !folder.join(INSTALLED).is_file() {
        println!("taking {} from npm's registry", PACKAGES.join(" and "));
        let prefix = folder.display().to_string();
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", &prefix];
        program("npm").arguments(&install).arguments(&PACKAGES).run()?;
    }
    Ok(folder)
}
