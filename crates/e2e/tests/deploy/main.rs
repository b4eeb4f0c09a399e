//! The files of `deploy/` are what runs, and keep the services apart.

mod asyncapi;
mod nats;
mod postgres;
mod settings;

use std::path::PathBuf;

/// A file below `deploy/`.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}
