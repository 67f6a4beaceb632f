//! What is wrong with a file, and where.

use std::fmt;

/// A line and column, both counted from 1; 0 where only the file is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

/// One mistake in a file that people write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    pub position: Position,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        match line {
            0 => write!(f, "{}: {}", self.file, self.message),
            _ => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
        }
    }
}

/// The most mistakes told of one file; whoever has made so many has made one.
const FINDINGS_MAX: usize = 1_000;

/// Everything found in one file.
#[derive(Debug)]
pub struct Report {
    pub file: String,
    pub findings: Vec<Finding>,
    /// What may be right and cannot be told from the file alone.
    pub unresolved: Vec<Finding>,
    /// The same of what does not keep the rest from being read.
    pub unknown: Vec<Finding>,
    /// What is being read, such as ``alarm `cpu-high` ``; messages begin with it.
    pub subject: String,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            findings: Vec::new(),
            unresolved: Vec::new(),
            unknown: Vec::new(),
            subject: String::new(),
        }
    }

    pub fn add(&mut self, position: Position, message: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            let finding = self.finding(position, message.into());
            self.findings.push(finding);
        }
    }

    /// Tells what only a stack, a state or an account could tell.
    pub fn add_unresolved(&mut self, position: Position, message: impl Into<String>) {
        if self.unresolved.len() < FINDINGS_MAX {
            let finding = self.finding(position, message.into());
            self.unresolved.push(finding);
        }
    }

    /// The same of what does not keep the rest from being read.
    pub fn add_unknown(&mut self, position: Position, message: impl Into<String>) {
        if self.unknown.len() < FINDINGS_MAX {
            let finding = self.finding(position, message.into());
            self.unknown.push(finding);
        }
    }

    fn finding(&self, position: Position, message: String) -> Finding {
        let message = match self.subject.as_str() {
            "" => message,
            subject => format!("{subject}: {message}"),
        };
        Finding {
            file: self.file.clone(),
            position,
            message,
        }
    }
}

/// An error with its causes, outermost first; a cause that repeats what was said is left out.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // A log line is one line.
    text.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("; ")
        .replace(":; ", ": ")
}

/// ``; did you mean `evaluation_periods`?``, if one of `known` is near enough to be what `found` was meant to be.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    const NEAR: f64 = 0.8;
    let likeness = |name: &str| strsim::jaro_winkler(&found.to_lowercase(), &name.to_lowercase());
    let nearest = known
        .into_iter()
        .map(|name| (likeness(name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > NEAR => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

/// `` `a`, `b` or `c` ``
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() {
        last
    } else {
        format!("{} or {last}", quoted.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["EvaluationPeriods", "Period"];
        assert_eq!(
            did_you_mean("EvaluationPeriod", known),
            "; did you mean `EvaluationPeriods`?"
        );
        assert_eq!(did_you_mean("Colour", known), "");
    }

    #[test]
    fn choices_are_listed_in_words() {
        assert_eq!(one_of(["a"]), "`a`");
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
