//! What PutMetricAlarm refuses, in its own words where they are known: SPEC section 18.

use crate::metric::Period;

use super::{Alarm, MetricAlarm, Rule};

/// Why CloudWatch would not take a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The request member at fault.
    pub member: &'static str,
    pub text: String,
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

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
const ACTIONS_MAX: usize = 5;
const DIMENSIONS_MAX: usize = 30;

impl Alarm {
    /// What CloudWatch would refuse although every member has its type: lengths, spans, actions.
    pub fn validate(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        length(&mut refusals, "AlarmName", &self.name, 1, 255);
        if self.name.chars().any(|c| c.is_ascii_control()) {
            refuse(
                &mut refusals,
                "AlarmName",
                "AlarmName must not contain ASCII Control characters",
            );
        }
        length(
            &mut refusals,
            "AlarmDescription",
            self.description.as_deref().unwrap_or(""),
            0,
            1024,
        );
        let lists = [
            ("OKActions", &self.actions.ok),
            ("AlarmActions", &self.actions.alarm),
            ("InsufficientDataActions", &self.actions.insufficient_data),
        ];
        for (member, list) in lists {
            for arn in list {
                action(&mut refusals, member, arn);
            }
            if list.len() > ACTIONS_MAX {
                refuse(
                    &mut refusals,
                    member,
                    format!(
                        "{} actions found, but Member must have length less than or equal to 5",
                        list.len()
                    ),
                );
            }
        }
        if let Rule::Metric(alarm) = &self.rule {
            alarm.validate(&mut refusals);
        }
        refusals
    }
}

impl MetricAlarm {
    fn validate(&self, refusals: &mut Vec<Refusal>) {
        self.validate_span(refusals);
        length(refusals, "Namespace", &self.metric.namespace, 1, 255);
        if self.metric.namespace.starts_with(':') {
            refuse(
                refusals,
                "Namespace",
                format!(
                    "`{}` starts with `:`, which a namespace must not",
                    self.metric.namespace
                ),
            );
        }
        length(refusals, "MetricName", &self.metric.name, 1, 255);
        let dimensions = self.metric.dimensions();
        if dimensions.len() > DIMENSIONS_MAX {
            refuse(
                refusals,
                "Dimensions",
                format!(
                    "{} dimensions found, but at most {DIMENSIONS_MAX} are allowed",
                    dimensions.len()
                ),
            );
        }
        for dimension in dimensions {
            length(refusals, "Dimensions", &dimension.name, 1, 255);
            length(refusals, "Dimensions", &dimension.value, 1, 1024);
        }
    }

    fn validate_span(&self, refusals: &mut Vec<Refusal>) {
        let span = i64::from(self.evaluation_periods).saturating_mul(self.period.seconds());
        let short = self.period < Period::new(3_600).expect("an hour is a multiple of 60");
        if short && span > DAY {
            let text = "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400) for alarms using period < 3600";
            refuse(refusals, "EvaluationPeriods", text);
        } else if span > WEEK {
            let text = "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800) for alarms using period >= 3600";
            refuse(refusals, "EvaluationPeriods", text);
        }
    }
}

fn length(
    refusals: &mut Vec<Refusal>,
    member: &'static str,
    text: &str,
    least: usize,
    most: usize,
) {
    let length = text.chars().count();
    if !(least..=most).contains(&length) {
        refuse(
            refusals,
            member,
            format!("{length} characters found, but {least} to {most} are allowed"),
        );
    }
}

fn refuse(refusals: &mut Vec<Refusal>, member: &'static str, text: impl Into<String>) {
    refusals.push(Refusal {
        member,
        text: text.into(),
    });
}

/// CloudWatch looks at the vendor of an action and not at whether its target exists.
fn action(refusals: &mut Vec<Refusal>, member: &'static str, arn: &str) {
    let mut parts = arn.split(':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("arn"), Some(_), Some(vendor)) if VENDORS.contains(&vendor) => {}
        (Some("arn"), Some(_), Some(vendor)) => {
            refuse(refusals, member, format!("Unsupported AWS vendor {vendor}"));
        }
        _ => refuse(refusals, member, format!("Invalid arn syntax: {arn}")),
    }
}
