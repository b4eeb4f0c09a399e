//! Descriptors for the tests of this module, compiled from a few lines.

use super::description::Description;
use prost_reflect::DescriptorPool;
use transcode::Dialect;

/// The descriptor set of one file with the imports that it may need.
pub(super) fn set(package: &str, text: &str) -> Vec<u8> {
    let file = format!("{}.proto", package.replace('.', "/"));
    compiled(&file, package, text)
}

pub(super) fn pool(file: &str, package: &str, text: &str) -> DescriptorPool {
    DescriptorPool::decode(compiled(file, package, text).as_slice()).unwrap()
}

pub(super) fn description(package: &str, text: &str) -> Description {
    Description::read(&set(package, text), None, Dialect::default()).unwrap()
}

fn compiled(file: &str, package: &str, text: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let head = format!("syntax = \"proto3\";\npackage {package};\nimport \"google/api/annotations.proto\";\n");
    std::fs::write(&path, format!("{head}{text}")).unwrap();
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([folder.path(), contract.as_ref()]).unwrap();
    compiler.include_imports(true).open_file(file).unwrap().encode_file_descriptor_set()
}
