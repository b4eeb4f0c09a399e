//! Generates the service that gateways are measured in front of, without protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let (own, contract) = (here.join("proto"), here.join("../../proto"));
    println!("cargo::rerun-if-changed={}", own.display());
    let mut compiler = protox::Compiler::new([own, contract])?;
    compiler.include_imports(true).include_source_info(true).open_file("hello.proto")?;

    // Encoded by protox: a set that went through prost would lose the google.api.http options.
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("hello.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
