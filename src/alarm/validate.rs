//! What CloudWatch refuses although every member has its type, in its own words where they are known: SPEC section 18.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::metric::{Metric, Period};

use super::{
    Actions, Alarm, Comparison, CompositeAlarm, EvaluationWindow, MetricAlarm, Rule, Source,
    alarm_name,
};

/// Why CloudWatch would not take a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The request member at fault.
    pub member: &'static str,
    pub text: String,
}

/// What is known of the account and Region that an alarm is put into; what is not known is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub region: Option<String>,
    /// The twelve digits.
    pub id: Option<String>,
    /// The alarms that there are.
    pub alarms: Option<BTreeSet<String>>,
}

/// The answer to a period that [`Period::new`] does not accept.
pub const PERIOD_REFUSED: &str = "Period must be 10, 20, 30 or a multiple of 60";

/// The answer to more datapoints to alarm than evaluation periods; a reader says it where it finds them.
pub const DATAPOINTS_REFUSED: &str =
    "DatapointsToAlarm must be less than or equal to EvaluationPeriods";

/// What an alarm can act on.
const VENDORS: [&str; 9] = [
    "aiops",
    "automate",
    "autoscaling",
    "ec2",
    "lambda",
    "sns",
    "ssm",
    "ssm-incidents",
    "swf",
];

/// Those of them that a composite alarm can act on (SPEC section 7.2).
const COMPOSITE_VENDORS: [&str; 5] = ["aiops", "lambda", "sns", "ssm", "ssm-incidents"];

/// What acts on the instance that a metric belongs to.
const INSTANCE_VENDORS: [&str; 2] = ["automate", "swf"];

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
const ACTIONS_MAX: usize = 5;
const DIMENSIONS_MAX: usize = 30;

/// How far back a Metrics Insights query reaches, in seconds (SPEC section 10).
const QUERY_SPAN_MAX: i64 = 3 * 3_600;

/// What a band around a result of metric math cannot be made with (SPEC section 9).
const BAND_ON_MATH_PERIODS: RangeInclusive<i64> = 60..=3_600;
const BAND_ON_MATH_QUERIES_MAX: usize = 10;

/// Nor with these; `SEARCH` is refused of every alarm.
const BAND_ON_MATH_REFUSED: [&str; 2] = ["METRICS", "DB_PERF_INSIGHTS"];

/// The periods that a wall clock can have (SPEC section 13).
const WALL_CLOCK_PERIODS: [i64; 5] = [60, 300, 3_600, DAY, WEEK];

impl Alarm {
    /// Everything that CloudWatch would refuse.
    pub fn validate(&self, account: &Account) -> Vec<Refusal> {
        let mut refusals = Refusals(Vec::new());
        refusals.common(
            &self.name,
            self.description.as_deref(),
            &self.actions,
            account,
        );
        match &self.rule {
            Rule::Metric(alarm) => refusals.metric(alarm, &self.actions),
            Rule::Composite(alarm) => refusals.composite(alarm, self, account),
            Rule::PromQl(_) => refusals.several_series(&self.actions),
            Rule::Log(alarm) if alarm.query.aggregation.has_groups() => {
                refusals.several_series(&self.actions);
            }
            Rule::Log(_) => {}
        }
        refusals.0
    }
}

/// What CloudWatch would refuse of the members that every alarm has.
pub fn validate_common(
    name: &str,
    description: Option<&str>,
    actions: &Actions,
    account: &Account,
) -> Vec<Refusal> {
    let mut refusals = Refusals(Vec::new());
    refusals.common(name, description, actions, account);
    refusals.0
}

/// What CloudWatch would refuse of the namespace of samples.
pub fn validate_namespace(namespace: &str) -> Vec<Refusal> {
    let mut refusals = Refusals(Vec::new());
    refusals.namespace(namespace);
    refusals.0
}

struct Refusals(Vec<Refusal>);

impl Refusals {
    fn add(&mut self, member: &'static str, text: impl Into<String>) {
        self.0.push(Refusal {
            member,
            text: text.into(),
        });
    }

    fn length(&mut self, member: &'static str, text: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if !(least..=most).contains(&length) {
            self.add(
                member,
                format!("{length} characters found, but {least} to {most} are allowed"),
            );
        }
    }

    fn common(
        &mut self,
        name: &str,
        description: Option<&str>,
        actions: &Actions,
        account: &Account,
    ) {
        self.length("AlarmName", name, 1, 255);
        if name.chars().any(|c| c.is_ascii_control()) {
            self.add(
                "AlarmName",
                "AlarmName must not contain ASCII Control characters",
            );
        }
        self.length("AlarmDescription", description.unwrap_or(""), 0, 1024);
        for (member, parameter, list) in lists(actions) {
            for arn in list {
                self.action(member, arn, account);
            }
            if list.len() > ACTIONS_MAX {
                let values = list.join(", ");
                let text = format!(
                    "1 validation error detected: Value '[{values}]' at '{parameter}' failed to satisfy constraint: Member must have length less than or equal to {ACTIONS_MAX}"
                );
                self.add(member, text);
            }
        }
    }

    /// CloudWatch looks at the vendor and the Region of an action and not at whether its target exists.
    fn action(&mut self, member: &'static str, arn: &str, account: &Account) {
        if arn.contains("${") {
            // What stands there in the end is not known.
            return;
        }
        let mut parts = arn.split(':');
        let (Some("arn"), Some(_), Some(vendor)) = (parts.next(), parts.next(), parts.next())
        else {
            return self.add(member, format!("Invalid arn syntax: {arn}"));
        };
        if !VENDORS.contains(&vendor) {
            return self.add(member, format!("Unsupported AWS vendor {vendor}"));
        }
        let region = parts.next().unwrap_or_default();
        if let Some(own) = &account.region
            && matches!(vendor, "sns" | "automate")
            && region != own
        {
            self.add(
                member,
                format!("Invalid region {region} specified. Only {own} is supported."),
            );
        }
    }

    fn metric(&mut self, alarm: &MetricAlarm, actions: &Actions) {
        self.span(alarm);
        self.wall_clock(alarm);
        for stat in alarm.stats() {
            self.metric_names(&stat.metric);
        }
        let vendors = |of: &[&str]| uses(actions, of);
        if matches!(alarm.comparison, Comparison::Band { .. })
            && let Some(member) = vendors(&["autoscaling"])
        {
            self.add(
                member,
                "autoscaling actions not supported when ThresholdMetricId is set",
            );
        }
        if matches!(alarm.source, Source::Math(_) | Source::Query { .. })
            && let Some(member) = vendors(&INSTANCE_VENDORS)
        {
            self.add(
                member,
                "EC2 actions need an alarm on one metric, but this one has `Metrics`",
            );
        }
        if let Source::Math(math) = &alarm.source
            && let Some(functions) = math.functions_with_band()
        {
            self.band_on_math(alarm.period, math.queries().len(), &functions);
        }
        if let Source::Query { query, .. } = &alarm.source {
            self.query(alarm, query, actions);
        }
    }

    /// How far back an alarm may look.
    fn span(&mut self, alarm: &MetricAlarm) {
        let span = i64::from(alarm.evaluation_periods).saturating_mul(alarm.period.seconds());
        let short = alarm.period < Period::new(3_600).expect("an hour is a multiple of 60");
        if short && span > DAY {
            let text = "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) for alarms using period < 3600";
            self.add("EvaluationPeriods", text);
        } else if span > WEEK {
            let text = "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800) for alarms using period >= 3600";
            self.add("EvaluationPeriods", text);
        }
    }

    fn wall_clock(&mut self, alarm: &MetricAlarm) {
        let seconds = alarm.period.seconds();
        let on_clock = matches!(alarm.evaluation_window, EvaluationWindow::WallClock { .. });
        if on_clock && !WALL_CLOCK_PERIODS.contains(&seconds) {
            let text = format!(
                "a wall-clock window has a period of 60, 300, 3600, 86400 or 604800 seconds, but it is {seconds}"
            );
            self.add("Period", text);
        }
    }

    /// What holds for bands around a result of metric math (SPEC section 9).
    fn band_on_math(&mut self, period: Period, queries: usize, functions: &[&str]) {
        if queries > BAND_ON_MATH_QUERIES_MAX {
            let text = format!(
                "a band around metric math allows {BAND_ON_MATH_QUERIES_MAX} queries, but there are {queries}"
            );
            self.add("Metrics", text);
        }
        if !BAND_ON_MATH_PERIODS.contains(&period.seconds()) {
            let (least, most) = (BAND_ON_MATH_PERIODS.start(), BAND_ON_MATH_PERIODS.end());
            let text = format!(
                "a band around metric math needs a period of {least} to {most} seconds, but it is {period}"
            );
            self.add("Metrics", text);
        }
        let is_one = |function: &&&str| **function == "ANOMALY_DETECTION_BAND";
        if functions.iter().filter(is_one).count() > 1 {
            self.add("Metrics", "only one `ANOMALY_DETECTION_BAND` is allowed");
        }
        let refused = BAND_ON_MATH_REFUSED.into_iter();
        for function in refused.filter(|function| functions.contains(function)) {
            let text = format!("a band around metric math must not use `{function}`");
            self.add("Metrics", text);
        }
    }

    /// What holds for Metrics Insights alone.
    fn query(&mut self, alarm: &MetricAlarm, query: &str, actions: &Actions) {
        let periods = match alarm.evaluation_window {
            EvaluationWindow::Sliding => i64::from(alarm.evaluation_periods),
            EvaluationWindow::WallClock { .. } => i64::from(alarm.evaluation_periods) + 1,
        };
        if periods.saturating_mul(alarm.period.seconds()) > QUERY_SPAN_MAX {
            let text = format!(
                "a Metrics Insights query reaches back 3 hours at most, but the alarm looks at {periods} periods of {} seconds",
                alarm.period
            );
            self.add("EvaluationPeriods", text);
        }
        let words: Vec<String> = query
            .split_whitespace()
            .map(str::to_ascii_uppercase)
            .collect();
        if words.windows(2).any(|pair| pair == ["GROUP", "BY"]) {
            self.several_series(actions);
        }
    }

    /// What holds for every alarm on several series.
    fn several_series(&mut self, actions: &Actions) {
        if let Some(member) = uses(actions, &["autoscaling"]) {
            self.add(
                member,
                "Autoscaling actions are not available for Multi Time Series alarms",
            );
        }
        let by_contributor = |arn: &String| matches!(arn.split(':').nth(2), Some("sns" | "lambda"));
        if actions.insufficient_data.iter().any(by_contributor) {
            let text = "InsufficientData actions are not supported for contributor-level action types in Multi Time Series alarms";
            self.add("InsufficientDataActions", text);
        }
    }

    fn namespace(&mut self, namespace: &str) {
        self.length("Namespace", namespace, 1, 255);
        if namespace.starts_with(':') {
            let text = format!("`{namespace}` starts with `:`, which a namespace must not");
            self.add("Namespace", text);
        }
    }

    fn metric_names(&mut self, metric: &Metric) {
        self.namespace(&metric.namespace);
        self.length("MetricName", &metric.name, 1, 255);
        let dimensions = metric.dimensions();
        if dimensions.len() > DIMENSIONS_MAX {
            let found = dimensions.len();
            let text =
                format!("{found} dimensions found, but at most {DIMENSIONS_MAX} are allowed");
            self.add("Dimensions", text);
        }
        for dimension in dimensions {
            self.length("Dimensions", &dimension.name, 1, 255);
            self.length("Dimensions", &dimension.value, 1, 1024);
        }
    }

    fn composite(&mut self, composite: &CompositeAlarm, alarm: &Alarm, account: &Account) {
        for text in composite.rule.limits_exceeded() {
            self.add("AlarmRule", text);
        }
        let children = composite.rule.children();
        if children.iter().any(|child| child.name() == alarm.name) {
            self.add("AlarmRule", "A composite alarm cannot have a child relation with itself via its AlarmRule, as it would introduce a circular dependency");
        }
        let absent = |name: &&str| {
            let known = account.alarms.as_ref();
            *name != alarm.name && known.is_some_and(|known| !known.contains(*name))
        };
        let absent: Vec<String> = children
            .iter()
            .map(|child| child.name())
            .filter(absent)
            .map(|name| account.arn(name))
            .collect();
        if !absent.is_empty() {
            let text = format!(
                "Could not save the composite alarm as alarms [{}] in the alarm rule do not exist",
                absent.join(", ")
            );
            self.add("AlarmRule", text);
        }
        if let Some(suppressor) = &composite.suppressor
            && suppressor.alarm.starts_with("arn:")
            && alarm_name(&suppressor.alarm) == suppressor.alarm
        {
            self.add(
                "ActionsSuppressor",
                "ActionsSuppressor must be a valid CloudWatch Alarm ARN or an Alarm name",
            );
        }
        let others = VENDORS
            .into_iter()
            .filter(|vendor| !COMPOSITE_VENDORS.contains(vendor));
        let others: Vec<&str> = others.collect();
        if let Some(member) = uses(&alarm.actions, &others) {
            self.add(
                member,
                "a composite alarm acts on SNS, Lambda, Systems Manager and investigations alone",
            );
        }
    }
}

impl Account {
    fn arn(&self, alarm: &str) -> String {
        let or_unknown = |part: &Option<String>| part.clone().unwrap_or_default();
        format!(
            "arn:aws:cloudwatch:{}:{}:alarm:{alarm}",
            or_unknown(&self.region),
            or_unknown(&self.id)
        )
    }
}

/// The lists of actions, by their request member and as validation errors name them.
fn lists(actions: &Actions) -> [(&'static str, &'static str, &[String]); 3] {
    [
        ("OKActions", "oKActions", &actions.ok),
        ("AlarmActions", "alarmActions", &actions.alarm),
        (
            "InsufficientDataActions",
            "insufficientDataActions",
            &actions.insufficient_data,
        ),
    ]
}

/// The first list with an action of one of these vendors.
fn uses(actions: &Actions, vendors: &[&str]) -> Option<&'static str> {
    let is_one = |arn: &String| {
        arn.split(':')
            .nth(2)
            .is_some_and(|vendor| vendors.contains(&vendor))
    };
    lists(actions)
        .into_iter()
        .find_map(|(member, _, list)| list.iter().any(is_one).then_some(member))
}
