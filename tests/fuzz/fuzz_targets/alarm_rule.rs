//! The rules of composite alarms: what can be read can be printed, and what is printed means the same.

#![no_main]

use cwbridge::alarm::{AlarmRule, StateValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(rule) = AlarmRule::parse(text) else {
        return;
    };
    let printed = rule.to_string();
    let again = AlarmRule::parse(&printed).expect("what is printed can be read");
    assert_eq!(again.to_string(), printed);
    assert_eq!(again.children(), rule.children());
    if rule.limits_exceeded().is_empty() {
        assert_eq!(
            again.limits_exceeded(),
            [""; 0],
            "printing makes a rule no longer"
        );
    }
    assert_eq!(again.uncertain(), rule.uncertain());
    for known in 0..4 {
        let state_of = |name: &str| state(name, known);
        assert_eq!(again.evaluate(state_of), rule.evaluate(state_of));
    }
});

/// The states of alarms, each time others; with `known` 3 some are unknown.
fn state(name: &str, known: usize) -> Option<StateValue> {
    let sum: usize = name.bytes().map(usize::from).sum();
    let is_known = known < 3 || !sum.is_multiple_of(3);
    is_known.then(|| StateValue::ALL[(sum + known) % 3])
}
