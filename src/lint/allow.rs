//! Rules that may be broken: everywhere, by one alarm, or by one until some day.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::definition::{Allowed, Parsed};
use crate::finding::{Finding, Position, did_you_mean};

use super::{ALL, Lint, rule};

/// What a comment begins with, after its sign: `# cwbridge:allow unit-set until 2027-01-31`.
const COMMENT: &str = "cwbridge:allow";

/// One rule that may be broken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Allowance {
    rule: String,
    place: Place,
}

/// Which alarms it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Everywhere,
    /// The alarm below or around a comment, which ends in that line of the file.
    Comment(String, u64),
    /// The one with that name in the file.
    Alarm(String, String),
}

/// Everything that may be broken.
#[derive(Clone, Debug, Default)]
pub struct Allowances {
    all: Vec<Allowance>,
    pub findings: Vec<Finding>,
}

impl Allowances {
    /// A rule that no alarm has to keep, as `RULE` or, up to and with that day, `RULE=2027-01-31`; once that is over it is a
    /// finding. An error says that there is no such rule or day.
    pub fn everywhere(&mut self, said: &str, today: &str) -> Result<(), String> {
        let (id, until) = match said.split_once('=') {
            Some((id, until)) => (id, Some(until)),
            None => (said, None),
        };
        known(id)?;
        match until.filter(|day| !is_day(day)) {
            Some(day) => return Err(no_day(day)),
            None => self.add(
                "--allow",
                Place::Everywhere,
                id,
                until.map(str::to_owned),
                Position::default(),
                today,
            ),
        }
        Ok(())
    }

    /// Takes up the comments of a file. `today`, as `2027-01-31`: what ended before is a finding.
    pub fn comments(&mut self, file: &str, text: &str, today: &str) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in (1..).zip(&lines) {
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
            let column = before.chars().count() as u64 + 1;
            let position = Position {
                line: number,
                column,
            };
            let until = match (words.next(), words.next(), words.next()) {
                (None, ..) => None,
                (Some("until"), Some(day), None) => Some(day.to_owned()),
                _ => {
                    let message = format!(
                        "`{}` says neither a rule alone nor one `until 2027-01-31`",
                        said.trim()
                    );
                    self.findings.push(Finding {
                        file: file.to_owned(),
                        position,
                        message,
                    });
                    continue;
                }
            };
            let place = Place::Comment(file.to_owned(), last_comment(&lines, number));
            self.add(file, place, id, until, position, today);
        }
    }

    /// Takes up what a template's metadata says of its alarms and mute rules.
    pub fn metadata(&mut self, parsed: &Parsed, today: &str) {
        for Defined {
            file,
            name,
            allowed,
            ..
        } in defined(parsed)
        {
            for allowed in allowed {
                let place = Place::Alarm(file.to_owned(), name.to_owned());
                let until = allowed.until.clone();
                self.add(file, place, &allowed.rule, until, allowed.position, today);
            }
        }
    }

    fn add(
        &mut self,
        file: &str,
        place: Place,
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
            place,
        });
    }

    /// What that comes to for these alarms.
    pub fn of(&self, parsed: &Parsed) -> AllowedRules {
        let mut lines: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        for Defined {
            file, name, line, ..
        } in defined(parsed)
        {
            lines.entry(file).or_default().push((line, name));
        }
        for alarms in lines.values_mut() {
            alarms.sort_unstable();
        }
        let mut allowed = AllowedRules::default();
        for Allowance { rule, place } in &self.all {
            let (file, alarm) = match place {
                Place::Everywhere => {
                    allowed.everywhere.insert(rule.clone());
                    continue;
                }
                Place::Alarm(file, alarm) => (file, Some(alarm.as_str())),
                Place::Comment(file, line) => {
                    let alarms = lines.get(file.as_str()).map_or(&[][..], Vec::as_slice);
                    (file, meant(alarms, *line))
                }
            };
            if let Some(alarm) = alarm {
                let key = (file.clone(), alarm.to_owned());
                allowed
                    .of_alarms
                    .entry(key)
                    .or_default()
                    .insert(rule.clone());
            }
        }
        allowed
    }
}

/// An alarm or a mute rule.
struct Defined<'a> {
    file: &'a str,
    name: &'a str,
    line: u64,
    allowed: &'a [Allowed],
}

fn defined(parsed: &Parsed) -> impl Iterator<Item = Defined<'_>> {
    let alarms = parsed.alarms.iter().map(|found| Defined {
        file: &found.file,
        name: &found.alarm.name,
        line: found.position.line,
        allowed: &found.allowed,
    });
    let mute_rules = parsed.mute_rules.iter().map(|found| Defined {
        file: &found.file,
        name: &found.rule.name,
        line: found.position.line,
        allowed: &found.allowed,
    });
    alarms.chain(mute_rules)
}

/// What rules alarms may break.
#[derive(Debug, Default)]
pub struct AllowedRules {
    everywhere: HashSet<String>,
    /// By the file and the name.
    of_alarms: HashMap<(String, String), HashSet<String>>,
}

impl AllowedRules {
    pub fn has(&self, lint: &Lint) -> bool {
        let key = (lint.file.clone(), lint.name.clone());
        self.everywhere.contains(lint.rule)
            || self
                .of_alarms
                .get(&key)
                .is_some_and(|rules| rules.contains(lint.rule))
    }
}

/// The line in which the comments end that begin in this one.
fn last_comment(lines: &[&str], number: u64) -> u64 {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let is_comment = |line: &&&str| {
        let line = line.trim_start();
        line.is_empty() || line.starts_with('#') || line.starts_with("//")
    };
    let more = lines.iter().skip(index).take_while(is_comment).count();
    number + more as u64
}

/// Which alarm a comment in that line is for: right above one it is for that, else for the one that it stands in.
fn meant<'a>(alarms: &[(u64, &'a str)], line: u64) -> Option<&'a str> {
    let below = alarms.partition_point(|(begins, _)| *begins <= line);
    let above = below.checked_sub(1).and_then(|above| alarms.get(above));
    let meant = match alarms.get(below) {
        Some(below) if above.is_none() || below.0 == line + 1 => Some(below),
        _ => above,
    };
    meant.map(|(_, name)| *name)
}

/// Whether there is such a rule, and the day is one and not over.
fn check(id: &str, until: Option<&str>, today: &str) -> Result<(), String> {
    known(id)?;
    match until {
        Some(day) if !is_day(day) => Err(no_day(day)),
        // Days in this form sort as texts.
        Some(day) if day < today => Err(format!("that `{id}` is allowed ended on {day}")),
        _ => Ok(()),
    }
}

fn no_day(text: &str) -> String {
    format!("`{text}` is no day like `2027-01-31`")
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
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}
