//! The page for people: what this is, where else to look, and how the alarms stand.

use std::fmt::Write as _;

use crate::alarm::{JavaDouble, Status};
use crate::exposition::Snapshot;
use crate::mirror::{Agreement, Comparison};

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="10">
<title>cwbridge</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1b1b; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #ddd }
.OK { color: #1a7f37 } .ALARM { color: #c62828; font-weight: bold } .INSUFFICIENT_DATA, .none { color: #6b6b6b }
small { color: #6b6b6b }
@media (prefers-color-scheme: dark) {
  body { color: #e8e8e8; background: #161616 } th, td { border-color: #333 } a { color: #8ab4f8 }
  .OK { color: #57c76f } .ALARM { color: #ff6b6b } small, .INSUFFICIENT_DATA, .none { color: #9a9a9a }
}
</style>
</head>
<body>
"#;

const LINKS: &str = r#"<p><a href="/metrics">metrics</a> · <a href="/api/v1/alarms">alarms as JSON</a> · <a href="/-/ready">readiness</a> · <a href="/-/healthy">health</a></p>
"#;

pub(super) fn render(snapshot: Option<&Snapshot>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!("{HEAD}<h1>cwbridge <small>{version}</small></h1>\n{LINKS}");
    match snapshot {
        Some(snapshot) => host(&mut page, snapshot),
        None => page.push_str("<p>The host has not been looked at yet.</p>\n"),
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn host(page: &mut String, snapshot: &Snapshot) {
    let hostname = escape(&snapshot.facts.hostname);
    write(page, format_args!("<h2>Host {hostname}</h2>\n<p>CPU "));
    let cpu = snapshot.look.cpu.as_ref();
    write(
        page,
        format_args!("{}", percent(cpu.and_then(|cpu| cpu.utilization))),
    );
    let cores = cpu.map_or(&[][..], |cpu| &cpu.cores);
    let each: Vec<String> = cores
        .iter()
        .map(|core| format!("cpu{} {}", core.id, percent(core.utilization)))
        .collect();
    write(
        page,
        format_args!(
            " <small>({})</small> at {}</p>\n",
            each.join(", "),
            snapshot.look.at
        ),
    );
    page.push_str("<h2>Alarms</h2>\n<table>\n<tr><th>Alarm</th><th>State</th><th>Why</th></tr>\n");
    for status in snapshot
        .statuses
        .iter()
        .flat_map(|statuses| statuses.iter())
    {
        alarm(page, status, snapshot.cloudwatch.get(&status.alarm.name));
    }
    page.push_str(
        "</table>\n<p><small>Judged on this host, ahead of CloudWatch and without asking it.",
    );
    if let Some(comparison) = snapshot.cloudwatch.values().next() {
        write(
            page,
            format_args!(
                " Its own state, for comparison, is that of {}.",
                comparison.asked_at
            ),
        );
    }
    page.push_str("</small></p>\n");
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.1} %"))
}

fn alarm(page: &mut String, status: &Status, cloudwatch: Option<&Comparison>) {
    let cloudwatch = cloudwatch.map_or_else(String::new, compared);
    let name = escape(&status.alarm.name);
    let link = link(&status.alarm.name);
    write(
        page,
        format_args!("<tr><td><a href=\"/api/v1/alarms/{link}\">{name}</a></td>"),
    );
    if let Some(reason) = &status.not_mirrored {
        let reason = escape(reason);
        write(
            page,
            format_args!(
                "<td class=\"none\">not mirrored{cloudwatch}</td><td>{reason}</td></tr>\n"
            ),
        );
        return;
    }
    let state = status.state.name();
    let since = status
        .transitioned_at
        .map_or_else(String::new, |at| format!("<br><small>since {at}</small>"));
    write(
        page,
        format_args!(
            "<td class=\"{state}\">{state}{since}{cloudwatch}</td><td>{}",
            escape(&status.reason)
        ),
    );
    if let Some(evaluation) = &status.evaluation {
        let value = |point: &crate::alarm::Point| {
            point
                .value
                .map_or_else(|| "–".to_owned(), |value| JavaDouble(value).to_string())
        };
        let strip: Vec<String> = evaluation.points.iter().rev().map(value).collect();
        let certainty = evaluation.certainty.name();
        write(
            page,
            format_args!(
                "<br><small>{certainty}; datapoints, oldest first: {}</small>",
                strip.join(" ")
            ),
        );
    }
    page.push_str("</td></tr>\n");
}

fn compared(comparison: &Comparison) -> String {
    let (state, since) = (comparison.state.name(), comparison.since);
    let view = match &comparison.agreement {
        Some(Agreement::Agrees) => "CloudWatch agrees".to_owned(),
        Some(Agreement::NotAskedSince) => "CloudWatch was not asked since".to_owned(),
        Some(Agreement::Disagrees(disagreement)) => format!(
            "CloudWatch: <span class=\"{state}\">{state}</span> since {since}: {}",
            escape(&disagreement.to_string())
        ),
        Some(Agreement::OtherDefinition) => super::api::OTHER_DEFINITION.to_owned(),
        None => format!("CloudWatch: <span class=\"{state}\">{state}</span> since {since}"),
    };
    format!("<br><small>{view}</small>")
}

fn write(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    page.write_fmt(arguments)
        .expect("writing to a string does not fail");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A name as a path segment.
fn link(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}
