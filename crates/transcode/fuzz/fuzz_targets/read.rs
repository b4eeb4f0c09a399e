//! Any text: what the plan takes, the reference takes too, and both mean the same.

#![no_main]

mod kinds;

use kinds::{PLAN, REFERENCE};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use transcode::Defaults;

fn meaning(wire: &[u8]) -> Option<Value> {
    REFERENCE.write(wire, Defaults::Written).ok().map(|json| serde_json::from_slice(&json).unwrap())
}

fuzz_target!(|json: &[u8]| {
    let Some(planned) = PLAN.read(json) else { return };
    let read = REFERENCE.read(json).unwrap();
    assert_eq!(meaning(&planned), meaning(&read));
});
