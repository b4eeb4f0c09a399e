//! Any text: what the plan takes, the reference takes too, and both mean the same.

#![no_main]

mod kinds;

use kinds::PAIRS;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use transcode::{Defaults, Reference};

fn meaning(reference: &Reference, wire: &[u8]) -> Option<Value> {
    reference.write(wire, Defaults::Written).ok().map(|json| serde_json::from_slice(&json).unwrap())
}

fuzz_target!(|json: &[u8]| {
    for (plan, reference) in &*PAIRS {
        let Some(planned) = plan.read(json) else { continue };
        let read = reference.read(json).unwrap();
        assert_eq!(meaning(reference, &planned), meaning(reference, &read));
    }
});
