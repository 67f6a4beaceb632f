//! Rules that may be broken: everywhere, by one alarm, or by one until some day.

use crate::definition::Definition;
use crate::finding::{Finding, Position, did_you_mean};

use super::{ALL, Lint, rule};

/// What a comment begins with, after its sign: `# cwbridge:allow unit-set until 2027-01-31`.
const COMMENT: &str = "cwbridge:allow";

/// One rule that may be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowance {
    rule: String,
    /// The file and the line that say so; `None` for every alarm.
    place: Option<(String, u64)>,
}

/// Everything that may be broken.
#[derive(Clone, Debug, Default)]
pub struct Allowances {
    all: Vec<Allowance>,
    pub findings: Vec<Finding>,
}

impl Allowances {
    /// A rule that no alarm has to keep, as `RULE` or, up to and with that day, `RULE=2027-01-31`. An error says that there is
    /// no such rule or day, or that it is over.
    pub fn everywhere(&mut self, said: &str, today: &str) -> Result<(), String> {
        let (id, until) = match said.split_once('=') {
            Some((id, until)) => (id, Some(until.to_owned())),
            None => (said, None),
        };
        check(id, until.as_deref(), today)?;
        self.all.push(Allowance {
            rule: id.to_owned(),
            place: None,
        });
        Ok(())
    }

    /// Takes up the comments of a file. `today`, as `2027-01-31`: what ended before is a finding.
    pub fn comments(&mut self, file: &str, text: &str, today: &str) {
        for (number, line) in (1..).zip(text.lines()) {
            let Some((before, said)) = line.split_once(COMMENT) else {
                continue;
            };
            if !before.trim_end().ends_with('#') && !before.trim_end().ends_with("//") {
                continue;
            }
            let mut words = said.split_whitespace();
            let Some(id) = words.next() else {
                continue;
            };
            let until = match (words.next(), words.next()) {
                (Some("until"), Some(day)) => Some(day.to_owned()),
                _ => None,
            };
            let column = before.chars().count() as u64 + 1;
            let position = Position {
                line: number,
                column,
            };
            self.add(file, (file.to_owned(), number), id, until, position, today);
        }
    }

    /// Takes up what a template's metadata says of its alarms.
    pub fn metadata(&mut self, definitions: &[Definition], today: &str) {
        for definition in definitions {
            for allowed in &definition.allowed {
                let place = (definition.file.clone(), definition.position.line);
                let until = allowed.until.clone();
                self.add(
                    &definition.file,
                    place,
                    &allowed.rule,
                    until,
                    allowed.position,
                    today,
                );
            }
        }
    }

    fn add(
        &mut self,
        file: &str,
        place: (String, u64),
        id: &str,
        until: Option<String>,
        position: Position,
        today: &str,
    ) {
        if let Err(message) = check(id, until.as_deref(), today) {
            return self.findings.push(Finding {
                file: file.to_owned(),
                position,
                message,
            });
        }
        self.all.push(Allowance {
            rule: id.to_owned(),
            place: Some(place),
        });
    }

    /// Whether what a rule found may be.
    pub fn allow(&self, lint: &Lint, definitions: &[Definition]) -> bool {
        let of_rule = self
            .all
            .iter()
            .filter(|allowance| allowance.rule == lint.rule);
        let mut places = of_rule.map(|allowance| &allowance.place);
        places.any(|place| match place {
            None => true,
            Some((file, line)) => *file == lint.file && is_for(*line, lint, definitions),
        })
    }
}

/// Whether a comment in that line is for the alarm: right above an alarm it is for that one, else for the one it stands in.
fn is_for(line: u64, lint: &Lint, definitions: &[Definition]) -> bool {
    let of_file = definitions.iter().filter(|found| found.file == lint.file);
    let below = of_file.clone().filter(|found| found.position.line > line);
    let below = below.min_by_key(|found| found.position.line);
    let above = of_file.filter(|found| found.position.line <= line);
    let above = above.max_by_key(|found| found.position.line);
    let meant = match below {
        Some(below) if above.is_none() || below.position.line == line + 1 => Some(below),
        _ => above,
    };
    meant.is_some_and(|meant| meant.alarm.name == lint.alarm)
}

/// Whether there is such a rule, and the day is one and not over.
fn check(id: &str, until: Option<&str>, today: &str) -> Result<(), String> {
    known(id)?;
    match until {
        Some(day) if !is_day(day) => Err(format!("`{day}` is no day like `2027-01-31`")),
        // Days in this form sort as texts.
        Some(day) if day < today => Err(format!("that `{id}` is allowed ended on {day}")),
        _ => Ok(()),
    }
}

fn known(id: &str) -> Result<(), String> {
    match rule(id) {
        Some(_) => Ok(()),
        None => Err(format!(
            "there is no rule `{id}`{}",
            did_you_mean(id, ALL.iter().map(|rule| rule.id))
        )),
    }
}

/// `2027-01-31`
fn is_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |i: &usize| bytes[*i].is_ascii_digit();
    bytes.len() == 10
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && [0, 1, 2, 3, 5, 6, 8, 9].iter().all(is_digit)
}
