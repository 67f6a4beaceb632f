//! Templates and plans: whatever stands in one is read, or said to be wrong, and every rule has its say.

#![no_main]

use cwbridge::definition::parse;
use cwbridge::lint::{Known, lint};
use cwbridge::metric::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let known = Known {
        published: &[],
        now: Timestamp::from_seconds(1_767_225_600),
    };
    lint(&parse("t.yaml", text), known);
});
