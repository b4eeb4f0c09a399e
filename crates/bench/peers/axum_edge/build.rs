//! Generates the client, as anybody would.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = protox::Compiler::new(["../../proto", "../../../../proto"])?;
    compiler.include_imports(true).open_file("hello.proto")?;
    tonic_prost_build::configure().build_server(false).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
