//! The plan and the reference agree: what both read and write, they read and write alike, and the plan takes nothing more.

#![expect(clippy::unwrap_used, reason = "what is beside the test functions is a part of tests too")]

mod alike;
mod choices;

use alike::{assert_alike, json};
use choices::Choices;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::MessageDescriptor;
use serde_json::Value as Json;
use std::sync::LazyLock;
use transcode::{Defaults, Dialect, EnumNames, Plan, Reference};

/// Cases of each test: some seconds in a debug build.
const CASES: u32 = 2_000;
/// Bytes that choose a case at most.
const BYTES_MAX: usize = 400;

static KINDS: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agreement");
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    let pool = compiler.include_imports(true).open_file("kinds.proto").unwrap().descriptor_pool();
    pool.get_message_by_name("kinds.v1.Kinds").unwrap()
});
static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| [EnumNames::Whole, EnumNames::Short].map(Pair::new));

/// A plan, and the reference that it has to agree with.
struct Pair {
    plan: Plan,
    reference: Reference,
}

impl Pair {
    fn new(enum_names: EnumNames) -> Self {
        let dialect = Dialect { enum_names, ..Dialect::default() };
        Pair { plan: Plan::new(&KINDS, enum_names), reference: Reference::new(KINDS.clone(), dialect) }
    }

    /// What a message is, by the reference.
    fn meaning(&self, wire: &[u8]) -> Json {
        json(&self.reference.write(wire, Defaults::Written).unwrap())
    }

    #[track_caller]
    fn check_read(&self, text: &str) -> bool {
        let Some(planned) = self.plan.read(text.as_bytes()) else { return false };
        let read = self.reference.read(text.as_bytes());
        let read = read.unwrap_or_else(|error| panic!("the plan takes {text}: {error}"));
        assert_eq!(self.meaning(&planned), self.meaning(&read), "{text}");
        true
    }
}

fn for_all(check: impl Fn(&Pair, &mut Choices<'_>)) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) });
    let outcome = runner.run(&vec(any::<u8>(), 0..BYTES_MAX), |bytes| {
        let mut choices = Choices(&bytes);
        check(&PAIRS[choices.below(PAIRS.len())], &mut choices);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_message_is_written_alike() {
    for_all(|pair, choices| {
        let mut wire = choices.wire(&KINDS);
        let is_damaged = choices.damage(&mut wire);
        let defaults = [Defaults::Written, Defaults::LeftOut][choices.below(2)];
        match (pair.plan.write(&wire, defaults), pair.reference.write(&wire, defaults)) {
            (Some(planned), Ok(written)) => assert_alike(&planned, &written, "a message"),
            // A value that another one replaced is not looked at by the plan, so it may be broken.
            (Some(_) | None, Err(_)) => {}
            // `prost-reflect` takes maps of any wire type.
            (None, Ok(_)) if is_damaged => {}
            (None, Ok(written)) => panic!("the plan does not write {}", String::from_utf8_lossy(&written)),
        }
    });
}

/// A color of `1 << 32` is the default once it is narrowed, and was written where defaults are left out.
#[test]
fn every_form_of_a_default_is_left_out() {
    let varints = [0, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX].map(|value| (WireType::Varint, value));
    let bits_64 = [0, 1, 1 << 63].map(|value| (WireType::SixtyFourBit, value));
    let bits_32 = [0, 1, 1 << 31].map(|value| (WireType::ThirtyTwoBit, value));
    let empty = [(WireType::LengthDelimited, 0)];
    for field in KINDS.fields() {
        for (form, value) in [&varints[..], &bits_64, &bits_32, &empty].concat() {
            let mut wire = Vec::new();
            encode_key(field.number(), form, &mut wire);
            match form {
                WireType::SixtyFourBit => wire.extend(value.to_le_bytes()),
                WireType::ThirtyTwoBit => wire.extend(u32::try_from(value).unwrap().to_le_bytes()),
                _ => encode_varint(value, &mut wire),
            }
            let Pair { plan, reference } = &PAIRS[0];
            let Some(planned) = plan.write(&wire, Defaults::LeftOut) else { continue };
            let written = reference.write(&wire, Defaults::LeftOut).unwrap();
            assert_alike(&planned, &written, &format!("{} of {form:?} {value}", field.name()));
        }
    }
}

/// An empty packed field was not counted where fields are found, and was where they are written: what came last was lost.
#[test]
fn an_empty_part_of_a_repeated_field_hides_none_of_the_others() {
    let int32s = KINDS.get_field_by_name("int32s").unwrap().number();
    let parts: [&[u64]; 5] = [&[], &[1, 2], &[], &[], &[3]];
    for from in 0..parts.len() {
        let mut wire = Vec::new();
        for part in &parts[from..] {
            encode_key(int32s, WireType::LengthDelimited, &mut wire);
            encode_varint(part.len() as u64, &mut wire);
            part.iter().for_each(|value| encode_varint(*value, &mut wire));
        }
        encode_key(int32s, WireType::Varint, &mut wire);
        encode_varint(4, &mut wire);
        let Pair { plan, reference } = &PAIRS[0];
        let planned = plan.write(&wire, Defaults::LeftOut).unwrap();
        assert_alike(&planned, &reference.write(&wire, Defaults::LeftOut).unwrap(), "int32s");
    }
}

/// A fuzzer's mask of two such paths was "," by the plan and "" by the reference.
#[test]
fn a_path_without_a_name_is_left_out_of_a_mask() {
    use prost::Message;
    let mask = KINDS.get_field_by_name("mask").unwrap().number();
    for (paths, written) in [(vec![""; 2], ""), (vec!["", "a", "", "two_words", ""], "a,twoWords")] {
        let mut wire = Vec::new();
        encode_key(mask, WireType::LengthDelimited, &mut wire);
        let paths = paths.into_iter().map(str::to_owned).collect();
        wire.extend(prost_types::FieldMask { paths }.encode_length_delimited_to_vec());

        let Pair { plan, reference } = &PAIRS[0];
        for json in [plan.write(&wire, Defaults::LeftOut).unwrap(), reference.write(&wire, Defaults::LeftOut).unwrap()]
        {
            assert_eq!(serde_json::from_slice::<Json>(&json).unwrap()["mask"], written);
        }
    }
}

#[test]
fn what_is_written_is_read_by_the_plan() {
    for_all(|pair, choices| {
        use prost::Message;
        let wire = choices.message(&KINDS, 0).encode_to_vec();
        let Ok(written) = pair.reference.write(&wire, Defaults::Written) else { return };

        assert!(pair.check_read(std::str::from_utf8(&written).unwrap()), "{}", String::from_utf8_lossy(&written));
    });
}

#[test]
fn spoilt_json_is_read_alike_or_left_to_the_reference() {
    for_all(|pair, choices| {
        let wire = choices.wire(&KINDS);
        let Ok(written) = pair.reference.write(&wire, Defaults::Written) else { return };
        let mut document = json(&written);
        for _ in 0..=choices.below(3) {
            choices.spoil(&mut document);
        }
        pair.check_read(&document.to_string());
    });
}

#[test]
fn broken_text_is_read_alike_or_left_to_the_reference() {
    for_all(|pair, choices| {
        let mut text = choices.json(0).to_string();
        let parts =
            [r#"{"string":"#, r#"{"kinds":{"int32":"#, "}", "]", "\"", ",", ":", "\\u0000", "1e5", "-", " ", "{}"];
        for _ in 0..choices.below(5) {
            text.insert_str(0, parts[choices.below(parts.len())]);
            text.push_str(parts[choices.below(parts.len())]);
        }
        pair.check_read(&text);
    });
}
