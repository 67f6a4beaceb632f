//! One case, and the questions that are asked of it.

use cwbridge::alarm::{Account, Alarm, StateValue};
use cwbridge::definition::parse_in;
use cwbridge::metric::Timestamp;
use serde_json::Value;

/// A case as it stands in the file.
pub(super) struct Case(pub(super) Value);

/// The day that times without a date belong to: a Monday.
const DAY: &str = "2026-01-05";

impl Case {
    pub(super) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or("(no id)")
    }

    pub(super) fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    pub(super) fn topic(&self) -> &str {
        self.0["topic"].as_str().unwrap_or_default()
    }

    pub(super) fn get(&self, member: &str) -> &Value {
        &self.0[member]
    }

    /// Whether a member is there and not null.
    pub(super) fn has(&self, member: &str) -> bool {
        !self.0[member].is_null()
    }

    pub(super) fn list(&self, member: &str) -> &[Value] {
        self.0[member].as_array().map_or(&[], Vec::as_slice)
    }

    /// The alarm of the case, read as `run` reads it.
    pub(super) fn alarm(&self) -> Alarm {
        read(self.get("alarm"))
    }

    /// The states that the alarm is in before: one, all of them, or none that is known.
    pub(super) fn previous_states(&self) -> Vec<Option<StateValue>> {
        match self.get("previous_state").as_str() {
            None => vec![None],
            Some("any") => StateValue::ALL.map(Some).to_vec(),
            Some(name) => vec![Some(state(name))],
        }
    }

    pub(super) fn context(&self, member: &str) -> Option<String> {
        self.get("context")[member].as_str().map(str::to_owned)
    }
}

/// Reads one alarm. Without a name it is `a`, or a composite alarm unlike any child.
pub(super) fn read(alarm: &Value) -> Alarm {
    let mut request = alarm.clone();
    if request["AlarmName"].is_null() {
        let name = match request["AlarmRule"].is_null() {
            true => "a",
            false => "the composite alarm",
        };
        request["AlarmName"] = name.into();
    }
    let mut parsed = parse_in("case", &request.to_string(), &Account::default());
    assert!(
        parsed.findings.is_empty(),
        "the alarm is refused: {:?}",
        parsed.findings
    );
    parsed.alarms.remove(0).alarm
}

pub(super) fn state(name: &str) -> StateValue {
    StateValue::ALL
        .into_iter()
        .find(|state| state.name() == name)
        .unwrap_or_else(|| panic!("there is no state `{name}`"))
}

/// RFC 3339, or a time of the one day: `10:25:10`, `14:07`.
pub(super) fn time(text: &str) -> Timestamp {
    let full = match text.len() {
        5 => format!("{DAY}T{text}:00Z"),
        8 => format!("{DAY}T{text}Z"),
        _ => text.to_owned(),
    };
    let at: jiff::Timestamp = full
        .parse()
        .unwrap_or_else(|error| panic!("`{text}`: {error}"));
    Timestamp::from_milliseconds(at.as_millisecond())
}

/// Numbers oldest first, `None` for null.
pub(super) fn numbers(list: &Value) -> Vec<Option<f64>> {
    list.as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(Value::as_f64)
        .collect()
}

/// Whether `got` is what is expected: `"*"` stands for anything, numbers are compared as numbers.
pub(super) fn matches(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(star), _) if star == "*" => true,
        (Value::Number(expected), Value::Number(got)) => expected.as_f64() == got.as_f64(),
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected
                    .iter()
                    .zip(got)
                    .all(|(expected, got)| matches(expected, got))
        }
        (Value::Object(expected), Value::Object(got)) => {
            expected.len() == got.len()
                && expected
                    .iter()
                    .all(|(key, expected)| got.get(key).is_some_and(|got| matches(expected, got)))
        }
        (expected, got) => expected == got,
    }
}

/// A difference, unless the two are the same.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    got: &T,
) -> Option<String> {
    (expected != got).then(|| format!("{what}: expected {expected:?}, got {got:?}"))
}
