//! Mute rules: the input of PutAlarmMuteRule (SPEC section 15).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::alarm::{MuteDuration, MuteRule, Schedule};
use crate::definition::time_zone;
use crate::finding::{Position, Report};
use crate::metric::Timestamp;
use crate::tree::{Node, Value};

use super::reader::{Form, Reader, has};

/// Whether the node is a mute rule and no alarm.
pub(super) fn is_mute_rule(node: &Node) -> bool {
    has(node, "Rule") && !has(node, "AlarmName")
}

/// The clock that a rule goes by, and how it was written.
struct Zone {
    zone: TimeZone,
    text: String,
}

pub(super) fn mute_rule(node: &Node, form: Form, report: &mut Report) -> Option<MuteRule> {
    let sound = report.findings.len();
    report.table("the mute rule", node)?;
    report.subject = match node.get("Name").map(|name| &name.value) {
        Some(Value::String(name)) => format!("mute rule `{name}`"),
        _ => "the mute rule".to_owned(),
    };
    if form == Form::Request {
        report.unknown_keys(
            "PutAlarmMuteRule",
            node,
            &[
                "ExpireDate",
                "MuteTargets",
                "Name",
                "Rule",
                "StartDate",
                "Tags",
            ],
        );
    }
    let mut reader = Reader { node, form, report };
    let name = reader.required("Name", Report::string);
    let schedule = reader.required("Rule", schedule);
    let targets = reader.optional("MuteTargets", targets).unwrap_or_default();
    let (schedule, duration, zone) = schedule?;
    let mut date = |member| {
        reader.optional(member, |report, what, node| {
            instant(report, what, node, &zone.zone)
        })
    };
    let (start, expire) = (date("StartDate"), date("ExpireDate"));
    let rule = MuteRule {
        name: name?,
        schedule,
        duration,
        zone: zone.zone,
        zone_text: zone.text,
        targets,
        start,
        expire,
    };
    for refusal in rule.refusals() {
        report.add(node.position, refusal);
    }
    (report.findings.len() == sound).then_some(rule)
}

fn schedule(
    report: &mut Report,
    what: &str,
    node: &Node,
) -> Option<(Schedule, MuteDuration, Zone)> {
    report.table(what, node)?;
    let Some(node) = node.get("Schedule") else {
        report.add(node.position, "`Schedule` is missing");
        return None;
    };
    report.table("Schedule", node)?;
    report.unknown_keys("`Schedule`", node, &["Duration", "Expression", "Timezone"]);
    let mut required = |member: &str| match node.get(member) {
        Some(found) => report
            .string(member, found)
            .map(|text| (found.position, text)),
        None => {
            report.add(node.position, format!("`{member}` is missing"));
            None
        }
    };
    let (expression, duration) = (required("Expression"), required("Duration"));
    let schedule = expression.and_then(|(place, text)| {
        let found = Schedule::parse(&text);
        found
            .map_err(|error| report.add(inside(place, error.span.start), error.to_string()))
            .ok()
    });
    let duration = duration.and_then(|(place, text)| {
        let found = MuteDuration::parse(&text);
        found.map_err(|message| report.add(place, message)).ok()
    });
    let zone = match node.get("Timezone") {
        Some(node) => zone(report, node),
        None => Some(Zone {
            zone: TimeZone::UTC,
            text: "UTC".to_owned(),
        }),
    };
    Some((schedule?, duration?, zone?))
}

/// A place inside a string, which needs no escapes here.
fn inside(place: Position, characters: usize) -> Position {
    Position {
        line: place.line,
        column: place.column + 1 + characters as u64,
    }
}

fn zone(report: &mut Report, node: &Node) -> Option<Zone> {
    let text = report.string("Timezone", node)?;
    let zone = time_zone(&text);
    let zone = zone
        .map_err(|message| report.add(node.position, message))
        .ok()?;
    Some(Zone { zone, text })
}

fn targets(report: &mut Report, what: &str, node: &Node) -> Option<Vec<String>> {
    report.table(what, node)?;
    report.unknown_keys("`MuteTargets`", node, &["AlarmNames"]);
    match node.get("AlarmNames") {
        Some(names) => report.strings("AlarmNames", names),
        None => Some(Vec::new()),
    }
}

/// RFC 3339, seconds since the epoch, or a date and time on the rule's own clock.
fn instant(report: &mut Report, what: &str, node: &Node, zone: &TimeZone) -> Option<Timestamp> {
    let at = match &node.value {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "beyond any calendar it is refused"
        )]
        Value::Number(seconds) => jiff::Timestamp::from_second(*seconds as i64).ok(),
        Value::String(text) => text.parse().ok().or_else(|| {
            let local: DateTime = text.parse().ok()?;
            zone.to_ambiguous_timestamp(local).compatible().ok()
        }),
        _ => None,
    };
    if at.is_none() {
        let text = format!(
            "`{what}` is {}, but must be a date and time such as `2026-01-31T18:00:00Z`",
            node.value
        );
        report.add(node.position, text);
    }
    Some(Timestamp::from_milliseconds(at?.as_millisecond()))
}
