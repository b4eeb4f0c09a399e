//! Any bytes: what the plan and the reference write means the same.

#![no_main]

mod kinds;

use kinds::{PLAN, REFERENCE};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use transcode::Defaults;

fuzz_target!(|wire: &[u8]| {
    let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
    let (planned, written) = (PLAN.write(wire, Defaults::Written), REFERENCE.write(wire, Defaults::Written));
    // A value that another one replaced is not looked at by the plan, so it may be broken; and `prost-reflect` takes maps of any
    // wire type.
    if let (Some(planned), Ok(written)) = (planned, written) {
        assert_eq!(json(planned), json(written));
    }
});
