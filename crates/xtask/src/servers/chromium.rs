//! Chromium without a screen, from npm's registry, for the test of the page of the API.
//!
//! The package holds the program and the libraries that a bare machine lacks, compressed with Brotli; node, which runs npm, unpacks them.

use crate::command::{Failed, program, workspace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const PACKAGE: &str = "@sparticuz/chromium@153.0.0";
/// Where it is, below the workspace.
const FOLDER: &str = "target/tools/chromium";
/// The script by which tests start it.
const SCRIPT: &str = "run";
/// Unpacks the program, and the archives of its libraries and fonts.
const UNPACK: &str = "
    const fs = require('fs'), zlib = require('zlib'), { execFileSync } = require('child_process');
    const packed = name => zlib.brotliDecompressSync(fs.readFileSync(`node_modules/@sparticuz/chromium/bin/${name}.br`));
    fs.writeFileSync('chromium', packed('chromium'), { mode: 0o755 });
    for (const name of ['al2023', 'fonts']) {
        fs.mkdirSync(name, { recursive: true });
        execFileSync('tar', ['-x', '-C', name], { input: packed(`${name}.tar`) });
    }
    fs.rmSync('node_modules', { recursive: true });
";

/// Where it is, once it is there and starts.
pub(super) fn found() -> Result<PathBuf, Failed> {
    let folder = workspace().join(FOLDER);
    let script = folder.join(SCRIPT);
    if script.is_file() {
        return Ok(script);
    }
    println!("taking {PACKAGE} from npm's registry");
    let failed = |error| Failed::to(format!("write {}", script.display()), error);
    fs::create_dir_all(&folder).map_err(failed)?;
    let prefix = folder.display().to_string();
    let install = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", &prefix, PACKAGE];
    program("npm").arguments(&install).run()?;
    program("node").arguments(&["-e", UNPACK]).in_folder(&folder).ask()?;
    fs::write(folder.join("fonts/fonts.conf"), fonts(&prefix)).map_err(failed)?;
    let text = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH={prefix}/al2023/lib FONTCONFIG_FILE={prefix}/fonts/fonts.conf\n\
         exec {prefix}/chromium --headless --no-sandbox --disable-gpu --no-first-run \"$@\"\n"
    );
    let stage = folder.join("run.part");
    fs::write(&stage, text)
        .and_then(|()| fs::set_permissions(&stage, fs::Permissions::from_mode(0o755)))
        .map_err(failed)?;
    program(&stage).arguments(&["--version"]).ask()?;
    fs::rename(&stage, &script).map_err(failed)?;
    Ok(script)
}

/// Where its fonts are; without one it ends when it is to write something.
fn fonts(folder: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n\
         <fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>\n"
    )
}
