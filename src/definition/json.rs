//! The output of `aws cloudwatch describe-alarms`, and the input of `aws cloudwatch put-metric-alarm --cli-input-json`.

use std::sync::Arc;

use crate::alarm::{
    Actions, Alarm, ComparisonOperator, DATAPOINTS_REFUSED, MetricAlarm, PERIOD_REFUSED, Rule,
    TreatMissingData,
};
use crate::finding::{Finding, Position, Report, did_you_mean, one_of};
use crate::metric::{Dimension, Metric, Period, Statistic, Unit};
use crate::tree::{self, Node, Value};

use super::Definition;

/// The lists in the output of describe-alarms.
const DESCRIBED: [&str; 3] = ["MetricAlarms", "CompositeAlarms", "LogAlarms"];

/// The request members of PutMetricAlarm.
const MEMBERS: [&str; 27] = [
    "ActionConfiguration",
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationCriteria",
    "EvaluationInterval",
    "EvaluationPeriods",
    "EvaluationWindow",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Tags",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
    "WarmUpConfiguration",
];

/// Operators that compare with a band instead of a threshold.
const BAND_OPERATORS: [&str; 3] = [
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
];

/// Reads one file: one alarm, a list of alarms, or what describe-alarms prints. Alarms that are sound are returned beside
/// the findings about the others.
pub fn parse(file: &str, text: &str) -> (Vec<Definition>, Vec<Finding>) {
    let mut report = Report::new(file);
    let mut definitions = Vec::new();
    if let Some(document) = tree::json(text, &mut report) {
        for (node, form) in alarms(&document, &mut report) {
            definitions.extend(definition(node, form, &mut report));
        }
    }
    report.findings.sort_by_key(|finding| finding.position);
    (definitions, report.findings)
}

/// Whether an alarm is what a person asks for, in which a member that CloudWatch does not know is a mistake, or what
/// CloudWatch answered, in which it is news.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Request,
    Description,
}

fn alarms<'n>(document: &'n Node, report: &mut Report) -> Vec<(&'n Node, Form)> {
    let described: Vec<&Node> = DESCRIBED
        .iter()
        .filter_map(|list| document.get(list))
        .collect();
    if !described.is_empty() {
        let lists = described
            .into_iter()
            .filter_map(|node| report.list("the list of alarms", node));
        return lists
            .flatten()
            .map(|node| (node, Form::Description))
            .collect();
    }
    match &document.value {
        Value::List(nodes) => nodes.iter().flat_map(|node| alarms(node, report)).collect(),
        // Only CloudWatch gives an alarm its ARN.
        Value::Table(_) if document.get("AlarmArn").is_some() => {
            vec![(document, Form::Description)]
        }
        Value::Table(_) => vec![(document, Form::Request)],
        found => {
            report.add(document.position, format!("{found} found, but an alarm, a list of alarms or the output of `aws cloudwatch describe-alarms` is expected"));
            Vec::new()
        }
    }
}

fn definition(node: &Node, form: Form, report: &mut Report) -> Option<Definition> {
    let sound = report.findings.len();
    report.table("the alarm", node)?;
    report.subject = match node.get("AlarmName").map(|name| &name.value) {
        Some(Value::String(name)) => format!("alarm `{name}`"),
        _ => "the alarm".to_owned(),
    };
    let alarm = Reader { node, report }.alarm(form);
    for refusal in alarm.iter().flat_map(Alarm::validate) {
        report.add(place_of(node, refusal.member), refusal.text);
    }
    report.subject.clear();
    let alarm = alarm.filter(|_| report.findings.len() == sound)?;
    Some(Definition {
        alarm,
        file: report.file.clone(),
        position: node.position,
    })
}

/// The place of a member, or of the alarm when it is absent.
fn place_of(node: &Node, member: &str) -> Position {
    node.get(member).unwrap_or(node).position
}

struct Reader<'a> {
    node: &'a Node,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn has(&self, member: &str) -> bool {
        match self.node.get(member).map(|node| &node.value) {
            None | Some(Value::Null) => false,
            Some(Value::List(items)) => !items.is_empty(),
            Some(_) => true,
        }
    }

    fn alarm(&mut self, form: Form) -> Option<Alarm> {
        if form == Form::Request
            && !self.has("AlarmRule")
            && !self.has("ScheduledQueryConfiguration")
        {
            self.unknown_members();
        }
        let name = self.required("AlarmName", Report::string);
        let description = self.optional("AlarmDescription", Report::string);
        let actions = self.actions();
        let rule = self.rule();
        if let (Some(name), Some(rule)) = (&name, rule) {
            return Some(Alarm {
                name: name.clone(),
                description,
                actions,
                rule,
            });
        }
        // What could be read is checked all the same.
        let rule = Rule::NotMirrored(String::new());
        let rest = Alarm {
            name: name.unwrap_or_else(|| "?".to_owned()),
            description,
            actions,
            rule,
        };
        for refusal in rest.validate() {
            self.report
                .add(place_of(self.node, refusal.member), refusal.text);
        }
        None
    }

    fn unknown_members(&mut self) {
        for entry in self
            .node
            .entries()
            .iter()
            .filter(|entry| !MEMBERS.contains(&entry.key.as_str()))
        {
            let hint = did_you_mean(&entry.key, MEMBERS);
            self.report.add(
                entry.position,
                format!("PutMetricAlarm has no member `{}`{hint}", entry.key),
            );
        }
    }

    fn optional<T>(
        &mut self,
        member: &str,
        read: impl FnOnce(&mut Report, &str, &Node) -> Option<T>,
    ) -> Option<T> {
        if !self.has(member) {
            return None;
        }
        read(self.report, member, self.node.get(member)?)
    }

    fn required<T>(
        &mut self,
        member: &str,
        read: impl FnOnce(&mut Report, &str, &Node) -> Option<T>,
    ) -> Option<T> {
        if self.has(member) {
            return self.optional(member, read);
        }
        let message = match member {
            "Threshold" => {
                "PutMetricAlarm request should have valid Threshold parameter".to_owned()
            }
            _ => format!("`{member}` is missing"),
        };
        self.report.add(self.node.position, message);
        None
    }

    fn actions(&mut self) -> Actions {
        Actions {
            enabled: self
                .optional("ActionsEnabled", Report::boolean)
                .unwrap_or(true),
            ok: self
                .optional("OKActions", Report::strings)
                .unwrap_or_default(),
            alarm: self
                .optional("AlarmActions", Report::strings)
                .unwrap_or_default(),
            insufficient_data: self
                .optional("InsufficientDataActions", Report::strings)
                .unwrap_or_default(),
        }
    }

    fn rule(&mut self) -> Option<Rule> {
        if let Some(reason) = self.not_mirrored() {
            return Some(Rule::NotMirrored(reason));
        }
        self.no_percentile_option();
        let metric = self.metric();
        let statistic = self.required("Statistic", |report, what, node| {
            named(
                report,
                what,
                node,
                Statistic::from_name,
                Statistic::ALL.map(Statistic::name),
            )
        });
        let unit = self.optional("Unit", |report, what, node| {
            named(report, what, node, Unit::from_name, Unit::NAMES)
        });
        let period = self.required("Period", period);
        let evaluation_periods = self.required("EvaluationPeriods", at_least_one);
        let datapoints_to_alarm = self.optional("DatapointsToAlarm", at_least_one);
        let comparison_operator = self.required("ComparisonOperator", |report, what, node| {
            named(
                report,
                what,
                node,
                ComparisonOperator::from_name,
                ComparisonOperator::ALL.map(ComparisonOperator::name),
            )
        });
        self.no_more_to_alarm_than_there_are(datapoints_to_alarm, evaluation_periods);
        let threshold = self.required("Threshold", Report::number);
        let treat_missing_data = self.optional("TreatMissingData", |report, what, node| {
            named(
                report,
                what,
                node,
                TreatMissingData::from_name,
                TreatMissingData::ALL.map(TreatMissingData::name),
            )
        });
        Some(Rule::Metric(MetricAlarm {
            metric: Arc::new(metric?),
            statistic: statistic?,
            unit,
            period: period?,
            evaluation_periods: evaluation_periods?,
            datapoints_to_alarm,
            comparison_operator: comparison_operator?,
            threshold: threshold?,
            treat_missing_data,
        }))
    }

    fn no_more_to_alarm_than_there_are(&mut self, m: Option<u32>, n: Option<u32>) {
        if let (Some(m), Some(n)) = (m, n)
            && m > n
        {
            self.report
                .add(place_of(self.node, "DatapointsToAlarm"), DATAPOINTS_REFUSED);
        }
    }

    fn no_percentile_option(&mut self) {
        let option = "EvaluateLowSampleCountPercentile";
        if let (true, Some(Value::String(statistic))) = (
            self.has(option),
            self.node.get("Statistic").map(|node| &node.value),
        ) {
            let text = format!(
                "Option evaluateLowSampleCountPercentile can not be applied with statistic {statistic}. This option is enabled only for percentile statistics."
            );
            self.report.add(place_of(self.node, option), text);
        }
    }

    /// Why the alarm is one of those that are not judged here, if it is.
    fn not_mirrored(&self) -> Option<String> {
        let is =
            |member: &str, expected: &[&str]| match self.node.get(member).map(|node| &node.value) {
                Some(Value::String(value)) => expected.contains(&value.as_str()),
                _ => false,
            };
        let wall_clock = self
            .node
            .get("EvaluationWindow")
            .is_some_and(|window| window.get("WallClockWindow").is_some());
        let reasons = [
            (self.has("AlarmRule"), "composite alarms are not judged yet"),
            (
                self.has("ScheduledQueryConfiguration"),
                "log alarms need queries that only CloudWatch Logs can run",
            ),
            (
                self.has("EvaluationCriteria"),
                "PromQL alarms need a query engine that only CloudWatch has",
            ),
            (
                self.has("ThresholdMetricId") || is("ComparisonOperator", &BAND_OPERATORS),
                "anomaly detection needs a model that only CloudWatch has",
            ),
            (self.has("Metrics"), "metric math is not judged yet"),
            (
                self.has("ExtendedStatistic"),
                "extended statistics are not judged yet",
            ),
            (
                wall_clock,
                "wall-clock evaluation windows are not judged yet",
            ),
            (
                self.has("WarmUpConfiguration"),
                "warm-up periods are not judged yet",
            ),
        ];
        reasons
            .into_iter()
            .find(|(applies, _)| *applies)
            .map(|(_, reason)| reason.to_owned())
    }

    fn metric(&mut self) -> Option<Metric> {
        let namespace = self.required("Namespace", Report::string);
        let name = self.required("MetricName", Report::string);
        let dimensions = match self.has("Dimensions") {
            true => self.optional("Dimensions", dimensions),
            false => Some(Vec::new()),
        };
        Some(Metric::new(namespace?, name?, dimensions?))
    }
}

fn period(report: &mut Report, what: &str, node: &Node) -> Option<Period> {
    let seconds = report.integer(what, node, 1..=u32::MAX)?;
    let period = Period::new(seconds);
    if period.is_none() {
        report.add(node.position, format!("{PERIOD_REFUSED}, but is {seconds}"));
    }
    period
}

fn at_least_one(report: &mut Report, what: &str, node: &Node) -> Option<u32> {
    report.integer(what, node, 1..=u32::MAX)
}

fn dimensions(report: &mut Report, what: &str, node: &Node) -> Option<Vec<Dimension>> {
    report
        .list(what, node)?
        .iter()
        .map(|node| dimension(report, what, node))
        .collect()
}

fn dimension(report: &mut Report, what: &str, node: &Node) -> Option<Dimension> {
    report.table(what, node)?;
    let mut member = |member: &str| match node.get(member) {
        Some(node) => report.string(member, node),
        None => {
            report.add(node.position, format!("a dimension has no `{member}`"));
            None
        }
    };
    let (name, value) = (member("Name"), member("Value"));
    Some(Dimension::new(name?, value?))
}

/// A string that is one of `names`.
fn named<T, const N: usize>(
    report: &mut Report,
    what: &str,
    node: &Node,
    find: impl Fn(&str) -> Option<T>,
    names: [&str; N],
) -> Option<T> {
    const LISTED_MAX: usize = 10;
    let text = report.string(what, node)?;
    let found = find(&text);
    if found.is_none() {
        let hint = did_you_mean(&text, names);
        let allowed = if N <= LISTED_MAX {
            one_of(names)
        } else {
            "a name that CloudWatch knows".to_owned()
        };
        report.add(
            node.position,
            format!("`{what}` is `{text}`, but must be {allowed}{hint}"),
        );
    }
    found
}

#[cfg(test)]
mod tests;
