//! The JavaScript client of gRPC-Web that tests run, from npm's registry.

use crate::command::{Failed, program, workspace};
use std::path::PathBuf;

const PACKAGES: [&str; 3] = ["@bufbuild/protobuf@2.17.0", "@connectrpc/connect@2.2.0", "@connectrpc/connect-web@2.2.0"];
/// Where they are, below the workspace.
const FOLDER: &str = "target/tools/grpc-web";
/// What is there when the last of them is.
const INSTALLED: &str = "node_modules/@connectrpc/connect-web/package.json";

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
