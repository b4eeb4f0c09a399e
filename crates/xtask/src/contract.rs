//! `buf lint` of `proto/`, with a `buf` from the PATH or from npm's registry.

use crate::command::{Failed, program};
use std::path::{Path, PathBuf};

/// The version that the rules of `proto/buf.yaml` were chosen with.
const BUF: &str = "@bufbuild/buf@1.75.0";

pub(crate) fn lint(workspace: &Path) -> Result<(), Failed> {
    program(buf(workspace)?).arguments(&["lint"]).in_folder(&workspace.join("proto")).run()
}

fn buf(workspace: &Path) -> Result<PathBuf, Failed> {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    if let Some(found) = on_path.map(|folder| folder.join("buf")).find(|file| file.is_file()) {
        return Ok(found);
    }
    let tools = workspace.join("target/tools/buf");
    let installed = tools.join("node_modules/.bin/buf");
    if !installed.is_file() {
        let folder = tools.display().to_string();
        program("npm")
            .arguments(&["install", "--silent", "--no-audit", "--no-fund", "--prefix", &folder, BUF])
            .run()?;
    }
    Ok(installed)
}
