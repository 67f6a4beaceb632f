//! What a replay comes to, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::alarm::{StateValue, Transition};
use crate::replay::{Axis, Caught, Heat, Replay, Summary};
use crate::unit_test::time;

use super::{Format, Swept};

pub(super) fn transition(
    transition: &Transition,
    format: Format,
    out: &mut impl Write,
) -> io::Result<()> {
    let Transition {
        alarm,
        at,
        from,
        to,
        reason,
        certainty,
        ..
    } = transition;
    match format {
        Format::Text => writeln!(
            out,
            "{at} {} {from} -> {to} ({}): {reason}",
            alarm.name,
            certainty.name()
        ),
        Format::Json => {
            let line = json!({"at": at.to_string(), "alarm": alarm.name, "from": from.name(), "to": to.name(), "reason": &**reason, "certainty": certainty.name()});
            writeln!(out, "{line}")
        }
    }
}

pub(super) fn text(replay: &Replay, out: &mut impl Write) -> io::Result<()> {
    for (alarm, summary) in replay.summaries() {
        if let Some(why) = &summary.not_judged {
            writeln!(out, "{alarm}: not judged: {why}")?;
            continue;
        }
        let times = match summary.alarms {
            1 => "once".to_owned(),
            many => format!("{many} times"),
        };
        write!(
            out,
            "{alarm}: {times} in ALARM ({:.1} a week, {} within an hour of the last), {} at the longest; OK {:.1} %, ALARM {:.1} %, INSUFFICIENT_DATA {:.1} %",
            summary.alarms_a_week(),
            summary.flaps,
            time(summary.longest),
            percent(summary, StateValue::Ok),
            percent(summary, StateValue::Alarm),
            percent(summary, StateValue::InsufficientData),
        )?;
        if summary.withheld > 0 {
            let withheld = summary.withheld;
            write!(
                out,
                "; {withheld} of them with its actions switched off, muted or suppressed"
            )?;
        }
        if let Some(incidents) = &summary.incidents {
            let early = early(incidents).map_or(String::new(), |early| format!(", {early}"));
            write!(
                out,
                "; told {} of {} incidents{early}, and went off {} times for none",
                incidents.caught(),
                incidents.all(),
                incidents.false_alarms
            )?;
        }
        writeln!(out)?;
    }
    counts(replay, out)
}

/// `5m before they began` (the median).
fn early(incidents: &Caught) -> Option<String> {
    let early = incidents.early()?;
    Some(match early {
        0 => "when they began".to_owned(),
        1.. => format!("{} before they began", time(early)),
        _ => format!("{} after they began", time(-early)),
    })
}

fn counts(replay: &Replay, out: &mut impl Write) -> io::Result<()> {
    let more = [
        (replay.disordered, "came out of order"),
        (replay.dropped, "were dropped as CloudWatch would have"),
    ];
    let more: Vec<String> = more
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!(", {count} {what}"))
        .collect();
    let (rows, evaluated) = (replay.rows, replay.evaluated);
    writeln!(out, "{rows} rows{}, {evaluated} evaluations", more.concat())
}

fn percent(summary: &Summary, state: StateValue) -> f64 {
    match summary.total() {
        0 => 0.0,
        total => 100.0 * float(summary.seconds(state)) / float(total),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
fn float(seconds: i64) -> f64 {
    seconds as f64
}

#[derive(Serialize)]
struct SummaryJson<'a> {
    alarm: &'a str,
    transitions: u64,
    alarms: u64,
    alarms_a_week: f64,
    flaps: u64,
    longest_seconds: i64,
    seconds_ok: i64,
    seconds_alarm: i64,
    seconds_insufficient_data: i64,
    alarms_withheld: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_judged: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    incidents: Option<IncidentsJson>,
}

#[derive(Serialize)]
struct IncidentsJson {
    incidents: usize,
    incidents_told: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    median_seconds_early: Option<i64>,
    false_alarms: u64,
}

impl From<&Caught> for IncidentsJson {
    fn from(caught: &Caught) -> Self {
        Self {
            incidents: caught.all(),
            incidents_told: caught.caught(),
            median_seconds_early: caught.early(),
            false_alarms: caught.false_alarms,
        }
    }
}

fn summary_json<'a>(alarm: &'a str, summary: &'a Summary) -> SummaryJson<'a> {
    SummaryJson {
        alarm,
        transitions: summary.transitions,
        alarms: summary.alarms,
        alarms_a_week: summary.alarms_a_week(),
        flaps: summary.flaps,
        longest_seconds: summary.longest,
        seconds_ok: summary.seconds(StateValue::Ok),
        seconds_alarm: summary.seconds(StateValue::Alarm),
        seconds_insufficient_data: summary.seconds(StateValue::InsufficientData),
        alarms_withheld: summary.withheld,
        not_judged: summary.not_judged.as_deref(),
        incidents: summary.incidents.as_ref().map(IncidentsJson::from),
    }
}

pub(super) fn json(replay: &Replay, out: &mut impl Write) -> io::Result<()> {
    for (alarm, summary) in replay.summaries() {
        let line = serde_json::to_string(&summary_json(alarm, summary))?;
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// One combination of settings: their texts, and what came of it, or why CloudWatch would refuse it.
type Combination<'a> = (Vec<&'a str>, Result<&'a Summary, &'a str>);

fn combinations<'a>(
    swept: &'a Swept,
    axes: &'a [Axis],
    replay: &'a Replay,
) -> impl Iterator<Item = Combination<'a>> {
    swept.variants.iter().filter_map(|variant| {
        let settings = axes.iter().zip(&variant.places);
        let settings = settings
            .map(|(axis, place)| axis.settings[*place].text.as_str())
            .collect();
        let outcome = match &variant.alarm {
            Ok(alarm) => Ok(replay.summaries().get(&alarm.name)?),
            Err(refusal) => Err(refusal.as_str()),
        };
        Some((settings, outcome))
    })
}

/// A table for each alarm, a line for each combination.
pub(super) fn grids(
    sweep: &[Swept],
    axes: &[Axis],
    replay: &Replay,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut head: Vec<String> = axes
        .iter()
        .map(|axis| axis.parameter.name().to_owned())
        .collect();
    head.extend(["alarms", "a week", "flaps", "longest", "in ALARM"].map(str::to_owned));
    if replay.summaries().values().any(|it| it.incidents.is_some()) {
        head.extend(["incidents", "early", "for none"].map(str::to_owned));
    }
    for swept in sweep {
        writeln!(out, "{}", swept.name)?;
        let mut lines = vec![head.clone()];
        for (settings, outcome) in combinations(swept, axes, replay) {
            let mut line: Vec<String> = settings.into_iter().map(str::to_owned).collect();
            match outcome {
                Ok(summary) => line.extend(cells(summary)),
                Err(refusal) => line.push(refusal.to_owned()),
            }
            lines.push(line);
        }
        table(&lines, head.len(), out)?;
    }
    counts(replay, out)
}

fn cells(summary: &Summary) -> Vec<String> {
    let mut cells = vec![
        summary.alarms.to_string(),
        format!("{:.1}", summary.alarms_a_week()),
        summary.flaps.to_string(),
        time(summary.longest),
        format!("{:.1} %", percent(summary, StateValue::Alarm)),
    ];
    if let Some(incidents) = &summary.incidents {
        let early = match incidents.early() {
            None => "-".to_owned(),
            Some(early @ 0..) => time(early),
            Some(late) => format!("-{}", time(-late)),
        };
        cells.push(format!("{} of {}", incidents.caught(), incidents.all()));
        cells.extend([early, incidents.false_alarms.to_string()]);
    }
    cells
}

/// Columns as wide as what stands in them; a line with fewer cells ends in words that are as long as they are.
fn table(lines: &[Vec<String>], columns: usize, out: &mut impl Write) -> io::Result<()> {
    let width = |column: usize| {
        let whole = lines.iter().filter(|line| line.len() == columns);
        whole
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    for line in lines {
        let is_short = line.len() < columns;
        let cells = line.iter().zip(&widths).enumerate();
        let cells = cells.map(|(place, (cell, width))| match place + 1 == line.len() {
            true if is_short => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

pub(super) fn grids_json(
    sweep: &[Swept],
    axes: &[Axis],
    replay: &Replay,
    out: &mut impl Write,
) -> io::Result<()> {
    for swept in sweep {
        for (settings, outcome) in combinations(swept, axes, replay) {
            let names = axes.iter().map(|axis| axis.parameter.name().to_owned());
            let settings = settings.into_iter().map(Value::from);
            let settings: Map<String, Value> = names.zip(settings).collect();
            let line = match outcome {
                Ok(summary) => {
                    let mut line = serde_json::to_value(summary_json(&swept.name, summary))?;
                    line["settings"] = settings.into();
                    line
                }
                Err(refusal) => {
                    json!({"alarm": swept.name, "settings": settings, "refused": refusal})
                }
            };
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// How often each alarm went off, for two axes.
pub(super) fn heat(sweep: &[Swept], axes: &[Axis], replay: &Replay) -> Vec<Heat> {
    let side = |axis: &Axis| {
        let settings = axis.settings.iter().map(|setting| setting.text.clone());
        (axis.parameter.name().to_owned(), settings.collect())
    };
    let [rows, columns] = axes else {
        return Vec::new();
    };
    let heat = |swept: &Swept| Heat {
        title: swept.name.clone(),
        rows: side(rows),
        columns: side(columns),
        alarms: combinations(swept, axes, replay)
            .map(|(_, outcome)| outcome.ok().map(|summary| summary.alarms))
            .collect(),
    };
    sweep.iter().map(heat).collect()
}
