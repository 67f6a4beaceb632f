//! Composite alarms: the input of PutCompositeAlarm.

use crate::alarm::{AlarmRule, CompositeAlarm, Suppressor};
use crate::finding::{Position, Report};
use crate::tree::Node;

use super::reader::Reader;

const MEMBERS: [&str; 4] = [
    "ActionsSuppressor",
    "ActionsSuppressorExtensionPeriod",
    "ActionsSuppressorWaitPeriod",
    "AlarmRule",
];

pub(super) fn composite(reader: &mut Reader<'_>) -> Option<CompositeAlarm> {
    reader.unknown_members("PutCompositeAlarm", &MEMBERS);
    let rule = reader.required("AlarmRule", alarm_rule);
    let has_suppressor = reader.has("ActionsSuppressor");
    let suppressor = suppressor(reader);
    Some(CompositeAlarm {
        rule: rule?,
        suppressor: match has_suppressor {
            true => Some(suppressor?),
            false => None,
        },
    })
}

fn alarm_rule(report: &mut Report, what: &str, node: &Node) -> Option<AlarmRule> {
    let text = report.string(what, node)?;
    let rule = AlarmRule::parse(&text);
    if let Err(error) = &rule {
        let before: String = text.chars().take(error.span.start).collect();
        let place = match before.contains(['"', '\\', '\n']) {
            true => node.position,
            false => Position {
                line: node.position.line,
                column: node.position.column + 1 + error.span.start as u64,
            },
        };
        report.add(place, error.to_string());
    }
    rule.ok()
}

/// The suppressor; all its members are needed, and none without it.
fn suppressor(reader: &mut Reader<'_>) -> Option<Suppressor> {
    let periods = [
        "ActionsSuppressorWaitPeriod",
        "ActionsSuppressorExtensionPeriod",
    ];
    if !reader.has("ActionsSuppressor") {
        for member in periods {
            if reader.has(member) {
                reader.refuse(member, format!("{member} requires an ActionSuppressor"));
            }
        }
        return None;
    }
    let alarm = reader.optional("ActionsSuppressor", Report::string);
    let [wait_period, extension_period] = periods.map(|member| {
        if !reader.has(member) {
            reader.refuse(member, format!("{member} must not be null"));
        }
        reader.optional(member, |report, what, node| {
            report.integer(what, node, 0..=u32::MAX - 1)
        })
    });
    Some(Suppressor {
        alarm: alarm?,
        wait_period: i64::from(wait_period?),
        extension_period: i64::from(extension_period?),
    })
}
