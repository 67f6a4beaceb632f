//! Files of unit tests: whatever stands in one is read, or said to be wrong, and what is short enough is run.

#![no_main]

use cwbridge::definition;
use cwbridge::finding::Report;
use cwbridge::unit_test::{Subject, parse, run};
use libfuzzer_sys::fuzz_target;

/// A test that takes longer shows no more.
const SECONDS_MAX: i64 = 3_600;

fuzz_target!(|text: &str| {
    let (alarms, mute_rules) = definition::parse("a.json", definition::BUILT_IN).into_rules();
    let subject = Subject {
        alarms: &alarms,
        mute_rules: &mute_rules,
    };
    let Some(file) = parse(text, &mut Report::new("t.yaml")) else {
        return;
    };
    let is_short = |test: &&cwbridge::unit_test::Test| {
        let samples = test.samples.iter().map(|sample| sample.comes_at);
        let expect = test.expect.iter().map(|expect| expect.at);
        let ends = samples.chain(expect).chain(test.until).chain([test.created_at]);
        ends.max().unwrap_or(0) <= SECONDS_MAX
    };
    for test in file.tests.iter().filter(is_short) {
        run(test, subject, &mut |_| {});
    }
});
