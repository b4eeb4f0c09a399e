//! The message of `tests/agreement`, which has every kind of field.

use prost_reflect::MessageDescriptor;
use std::sync::LazyLock;
use transcode::{Plan, Reference, Unknown};

pub static KINDS: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/agreement");
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    let pool = compiler.include_imports(true).open_file("kinds.proto").unwrap().descriptor_pool();
    pool.get_message_by_name("kinds.v1.Kinds").unwrap()
});
pub static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan::new(&KINDS));
pub static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::new(KINDS.clone(), Unknown::Refused));
