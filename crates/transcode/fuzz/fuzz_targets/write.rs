//! Any bytes: what the plan writes, the reference writes too, and both mean the same.

#![no_main]

mod kinds;

use kinds::{PLAN, REFERENCE};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use transcode::Defaults;

fuzz_target!(|wire: &[u8]| {
    let json = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
    let (planned, written) = (PLAN.write(wire, Defaults::Written), REFERENCE.write(wire, Defaults::Written));
    match (planned, written) {
        (Some(planned), Ok(written)) => assert_eq!(json(planned), json(written)),
        // A value that another one replaced is not looked at by the plan, so it may be broken.
        (Some(_), Err(_)) | (None, Err(_)) => {}
        (None, Ok(written)) => panic!("the plan does not write {}", String::from_utf8_lossy(&written)),
    }
});
