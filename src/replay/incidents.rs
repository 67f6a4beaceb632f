//! Which of the incidents that are known an alarm would have told, and how early.

use std::io::Read;
use std::sync::Arc;

use crate::metric::Timestamp;

use super::rows::{Wrong, instant, wrong};

/// An alarm that goes off so many seconds before an incident begins was for that.
const EARLY_MAX: i64 = 3_600;

/// A time in which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// The incidents of a CSV file with a header: `start` and `end`, and what else people note. Every mistake is told.
pub fn incidents(input: impl Read) -> Result<Vec<Incident>, Vec<Wrong>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(input);
    let header = reader
        .headers()
        .map_err(|error| vec![wrong(1, error.to_string())])?;
    let column = |name: &str| header.iter().position(|found| found == name);
    let (Some(start), Some(end)) = (column("start"), column("end")) else {
        return Err(vec![wrong(1, "the header must have `start` and `end`")]);
    };
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                mistakes.push(wrong(line, error.to_string()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let at = |column: usize| instant(record.get(column).unwrap_or_default());
        match (at(start), at(end)) {
            (Ok(start), Ok(end)) if start < end => found.push(Incident { start, end }),
            (Ok(start), Ok(end)) => mistakes.push(wrong(
                line,
                format!("the incident ends at {end}, not after its start at {start}"),
            )),
            (start, end) => {
                let told = [start.err(), end.err()].into_iter().flatten();
                mistakes.extend(told.map(|message| wrong(line, message)));
            }
        }
    }
    match mistakes.is_empty() {
        true => Ok(found),
        false => Err(mistakes),
    }
}

/// What an alarm told of the incidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    incidents: Arc<[Incident]>,
    /// When each was told first.
    told_at: Vec<Option<Timestamp>>,
    /// How often the alarm went off for none of them.
    pub false_alarms: u64,
}

impl Caught {
    pub(super) fn new(incidents: Arc<[Incident]>) -> Self {
        Self {
            told_at: vec![None; incidents.len()],
            incidents,
            false_alarms: 0,
        }
    }

    /// The alarm went off at `from`.
    pub(super) fn alarm(&mut self, from: Timestamp) {
        let mut is_for_one = false;
        for (incident, told_at) in self.incidents.iter().zip(&mut self.told_at) {
            let begins = incident.start - EARLY_MAX;
            // One that went off long before, and did not end, tells nobody anything.
            if (begins..=incident.end).contains(&from) {
                is_for_one = true;
                *told_at = Some(told_at.map_or(from, |before| before.min(from)));
            }
        }
        self.false_alarms += u64::from(!is_for_one);
    }

    pub fn all(&self) -> usize {
        self.incidents.len()
    }

    pub fn caught(&self) -> usize {
        self.told_at.iter().flatten().count()
    }

    /// How many seconds before their start the incidents were told that were, the median; below 0 where that was later.
    pub fn early(&self) -> Option<i64> {
        let told = self.incidents.iter().zip(&self.told_at);
        let mut early: Vec<i64> = told
            .filter_map(|(incident, at)| at.map(|at| incident.start - at))
            .collect();
        early.sort_unstable();
        let upper = early.get(early.len() / 2)?;
        match early.len() % 2 {
            0 => Some(i64::midpoint(*early.get(early.len() / 2 - 1)?, *upper)),
            _ => Some(*upper),
        }
    }
}
