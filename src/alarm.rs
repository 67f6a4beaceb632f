//! What an alarm is, and what it means to judge one.
//!
//! The types here are definitions; `range` turns a metric's history into the datapoints that an alarm looks at, `decision`
//! turns those into a state, `reason` words it as CloudWatch does, and `evaluator` does so for every alarm when it is due.

mod decision;
mod evaluator;
mod number;
mod range;
mod reason;
mod validate;

use std::fmt;
use std::sync::Arc;

use crate::metric::{Metric, Period, Statistic, Unit};

pub use decision::{Basis, Decision, Verdict, decide};
pub use evaluator::{Certainty, Evaluation, Evaluator, Status, Transition};
pub use number::in_reason as number_in_reason;
pub use range::{Point, evaluation_interval, evaluation_range};
pub use reason::{EvaluatedDatapoint, ReasonData};
pub use validate::{DATAPOINTS_REFUSED, PERIOD_REFUSED, Refusal};

/// The state of an alarm, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateValue {
    Ok,
    Alarm,
    InsufficientData,
}

impl StateValue {
    pub const ALL: [Self; 3] = [Self::Ok, Self::Alarm, Self::InsufficientData];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl fmt::Display for StateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a statistic is compared with the threshold; the statistic is the left operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonOperator {
    GreaterThanThreshold,
    GreaterThanOrEqualToThreshold,
    LessThanThreshold,
    LessThanOrEqualToThreshold,
}

impl ComparisonOperator {
    pub const ALL: [Self; 4] = [
        Self::GreaterThanThreshold,
        Self::GreaterThanOrEqualToThreshold,
        Self::LessThanThreshold,
        Self::LessThanOrEqualToThreshold,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::GreaterThanThreshold => "GreaterThanThreshold",
            Self::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
            Self::LessThanThreshold => "LessThanThreshold",
            Self::LessThanOrEqualToThreshold => "LessThanOrEqualToThreshold",
        }
    }

    /// As state reasons put it: `greater than or equal to` (SPEC section 6.2).
    pub fn words(self) -> &'static str {
        match self {
            Self::GreaterThanThreshold => "greater than",
            Self::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Self::LessThanThreshold => "less than",
            Self::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }

    pub fn is_breaching(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanThreshold => value > threshold,
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
        }
    }
}

/// What a missing datapoint counts as, by its CloudWatch value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TreatMissingData {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl TreatMissingData {
    pub const ALL: [Self; 4] = [
        Self::Breaching,
        Self::NotBreaching,
        Self::Ignore,
        Self::Missing,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|treatment| treatment.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

/// An alarm as it was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub name: String,
    pub description: Option<String>,
    pub actions: Actions,
    pub rule: Rule,
}

/// The ARNs that CloudWatch calls when the alarm enters a state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actions {
    pub enabled: bool,
    pub ok: Vec<String>,
    pub alarm: Vec<String>,
    pub insufficient_data: Vec<String>,
}

/// How an alarm's state is found.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    Metric(MetricAlarm),
    /// It cannot be found here, for the reason given.
    NotMirrored(String),
}

/// An alarm on one statistic of one metric against a fixed threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricAlarm {
    pub metric: Arc<Metric>,
    pub statistic: Statistic,
    /// Only samples of this unit are read.
    pub unit: Option<Unit>,
    pub period: Period,
    /// N in "M out of N".
    pub evaluation_periods: u32,
    /// M in "M out of N", where the definition sets it: the state reason depends on that.
    pub datapoints_to_alarm: Option<u32>,
    pub comparison_operator: ComparisonOperator,
    pub threshold: f64,
    pub treat_missing_data: Option<TreatMissingData>,
}

impl MetricAlarm {
    /// M: every evaluation period, unless set.
    pub fn minimum_to_alarm(&self) -> u32 {
        self.datapoints_to_alarm.unwrap_or(self.evaluation_periods)
    }

    /// `missing` unless set, `ignore` for DynamoDB's metrics (SPEC section 5.6).
    pub fn treatment(&self) -> TreatMissingData {
        self.treat_missing_data
            .unwrap_or(match self.metric.namespace.as_str() {
                "AWS/DynamoDB" => TreatMissingData::Ignore,
                _ => TreatMissingData::Missing,
            })
    }

    pub fn is_breaching(&self, value: f64) -> bool {
        self.comparison_operator.is_breaching(value, self.threshold)
    }
}
