//! Generates `crates/proto` from `proto/`, without protoc.

use std::path::{Path, PathBuf};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true).open_files(files_below(&root)?)?;

    // Encoded by protox: a set that went through prost would lose the google.api.http options.
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;

    let mut messages = tonic_prost_build::Config::new();
    messages.enable_type_names();
    let descriptors = compiler.file_descriptor_set();
    tonic_prost_build::configure().codec_path("crate::codec::Codec").compile_fds_with_config(descriptors, messages)?;
    Ok(())
}

/// Every `.proto` file below `folder`, sorted, so that the output does not depend on the file system.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
