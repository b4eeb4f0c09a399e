//! Any bytes: what the plan and the reference write means the same.

#![no_main]

#[path = "../../tests/agreement/alike.rs"]
mod alike;
mod kinds;

use kinds::PAIRS;
use libfuzzer_sys::fuzz_target;
use transcode::Defaults;

fuzz_target!(|wire: &[u8]| {
    for (plan, reference) in &*PAIRS {
        for defaults in [Defaults::Written, Defaults::LeftOut] {
            // A value that another one replaced is not looked at by the plan, so it may be broken; and `prost-reflect` takes maps
            // of any wire type.
            if let (Some(planned), Ok(written)) = (plan.write(wire, defaults), reference.write(wire, defaults)) {
                alike::assert_alike(&planned, &written, "both");
            }
        }
    }
});
