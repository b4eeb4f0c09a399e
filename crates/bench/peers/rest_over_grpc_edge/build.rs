//! Generates messages, their JSON and the REST layer, as rest_over_grpc's documentation shows it.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut compiler = protox::Compiler::new(["../../proto", "../../../../proto"])?;
    compiler.include_imports(true).include_source_info(true).open_file("hello.proto")?;
    let descriptors = compiler.encode_file_descriptor_set();
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    // All fields are written, as the other gateways do.
    pbjson_build::Builder::new().register_descriptors(&descriptors)?.emit_fields().build(&[".hello.v1"])?;
    rest_over_grpc::build::compile_fds(&descriptors, std::env::var("OUT_DIR")?)?;
    Ok(())
}
