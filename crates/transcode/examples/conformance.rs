//! Answers the conformance runner of protobuf: `conformance plan|reference FOLDER`, where FOLDER has the runner's `.proto` files.
//!
//! Its protocol: `conformance/conformance.proto`, each message after its length in four bytes. What is not JSON or binary is skipped.

#![expect(clippy::unwrap_used, reason = "a program for tests ends at what it does not expect")]

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use std::io::{Read, Write};
use transcode::{Defaults, Dialect, Plan, Reference, Unknown};

/// `conformance.WireFormat`.
const PROTOBUF: i32 = 1;
const JSON: i32 = 2;
/// `conformance.TestCategory`: fields that are not known are to be ignored.
const IGNORE_UNKNOWN: i32 = 3;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let is_plan = arguments.next().is_some_and(|mode| mode == "plan");
    let pool = pool(&arguments.next().unwrap());
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
        input.read_exact(&mut bytes).unwrap();
        let request = DynamicMessage::decode(
            pool.get_message_by_name("conformance.ConformanceRequest").unwrap(),
            bytes.as_slice(),
        );
        let mut response = DynamicMessage::new(pool.get_message_by_name("conformance.ConformanceResponse").unwrap());
        let (field, value) = answer(&pool, is_plan, &request.unwrap());
        response.set_field_by_name(field, value);
        let bytes = response.encode_to_vec();
        output.write_all(&u32::try_from(bytes.len()).unwrap().to_le_bytes()).unwrap();
        output.write_all(&bytes).unwrap();
        output.flush().unwrap();
    }
}

fn pool(folder: &str) -> DescriptorPool {
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    compiler.include_imports(true);
    for file in [
        "conformance/conformance.proto",
        "google/protobuf/test_messages_proto2.proto",
        "google/protobuf/test_messages_proto3.proto",
    ] {
        compiler.open_file(file).unwrap();
    }
    // Read anew: the compiler's own pool does not know which lists are packed.
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

type Answer = (&'static str, Value);

fn answer(pool: &DescriptorPool, is_plan: bool, request: &DynamicMessage) -> Answer {
    let number = |name: &str| request.get_field_by_name(name).unwrap().as_enum_number().unwrap();
    let name = request.get_field_by_name("message_type").unwrap().as_str().unwrap().to_owned();
    if name == "conformance.FailureSet" {
        return ("protobuf_payload", Value::Bytes(Vec::new().into()));
    }
    let Some(of) = pool.get_message_by_name(&name) else { return skipped("this message is not known") };
    let unknown = if number("test_category") == IGNORE_UNKNOWN { Unknown::Ignored } else { Unknown::Refused };
    let dialect = Dialect { unknown, ..Dialect::default() };
    let codec = Codec {
        plan: is_plan.then(|| Plan::new(&of, dialect.enum_names)),
        reference: Reference::new(of.clone(), dialect),
    };
    let format = number("requested_output_format");
    let wire = if request.has_field_by_name("protobuf_payload") {
        let bytes = request.get_field_by_name("protobuf_payload").unwrap().as_bytes().unwrap().clone();
        match DynamicMessage::decode(of, bytes.clone()) {
            Err(error) => return ("parse_error", Value::String(error.to_string())),
            // Bytes that become JSON are given as they came.
            Ok(_) if format == JSON => bytes.to_vec(),
            Ok(message) => message.encode_to_vec(),
        }
    } else if request.has_field_by_name("json_payload") {
        match codec.read(request.get_field_by_name("json_payload").unwrap().as_str().unwrap()) {
            Err(error) => return ("parse_error", Value::String(error)),
            Ok(wire) => wire,
        }
    } else {
        return skipped("only JSON and binary are spoken");
    };
    match format {
        PROTOBUF => ("protobuf_payload", Value::Bytes(wire.into())),
        JSON => match codec.write(&wire) {
            Err(error) => ("serialize_error", Value::String(error)),
            Ok(json) => ("json_payload", Value::String(json)),
        },
        _ => skipped("only JSON and binary are spoken"),
    }
}

fn skipped(why: &str) -> Answer {
    ("skipped", Value::String(why.to_owned()))
}

/// As a transcoder does it: by the plan, and what that declines by the reference.
struct Codec {
    plan: Option<Plan>,
    reference: Reference,
}

impl Codec {
    fn read(&self, json: &str) -> Result<Vec<u8>, String> {
        let planned = self.plan.as_ref().and_then(|plan| plan.read(json.as_bytes()));
        planned.map_or_else(|| self.reference.read(json.as_bytes()), Ok)
    }

    fn write(&self, wire: &[u8]) -> Result<String, String> {
        let planned = self.plan.as_ref().and_then(|plan| plan.write(wire, Defaults::LeftOut));
        let json = planned.map_or_else(|| self.reference.write(wire, Defaults::LeftOut), Ok)?;
        String::from_utf8(json).map_err(|error| error.to_string())
    }
}
