//! Generates the contract of gRPC's interoperability tests, which foreign clients speak in `tests/clients`.

use std::error::Error;
use std::path::PathBuf;

const FOLDER: &str = "tests/clients/proto";
const FILE: &str = "interop.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let mut compiler = protox::Compiler::new([FOLDER])?;
    compiler.include_imports(true).open_file(FILE)?;
    // The clients read the same contract from here.
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("interop.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().build_client(false).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
