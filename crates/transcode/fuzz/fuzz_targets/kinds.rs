//! The message of `tests/agreement`, which has every kind of field.

use prost_reflect::MessageDescriptor;
use std::sync::LazyLock;
use transcode::{Dialect, EnumNames, Plan, Reference};

static KINDS: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/agreement");
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    let pool = compiler.include_imports(true).open_file("kinds.proto").unwrap().descriptor_pool();
    pool.get_message_by_name("kinds.v1.Kinds").unwrap()
});
/// Plans, and the references that they have to agree with.
pub static PAIRS: LazyLock<[(Plan, Reference); 2]> = LazyLock::new(|| {
    [EnumNames::Whole, EnumNames::Short].map(|enum_names| {
        let dialect = Dialect { enum_names, ..Dialect::default() };
        (Plan::new(&KINDS, enum_names), Reference::new(KINDS.clone(), dialect))
    })
});
