//! Alarm files: whatever stands in one is read, or said to be wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = cwbridge::definition::parse("a.json", text);
});
