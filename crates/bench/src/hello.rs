//! The service that gateways are measured in front of.

/// Its descriptors, with their `google.api.http` options.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello.bin"));
/// Its full name.
pub(crate) const GREETER: &str = "hello.v1.Greeter";

pub(crate) use generated::*;

#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "generated; the comments of the .proto file are its documentation"
)]
mod generated {
    tonic::include_proto!("hello.v1");
}
