//! What an alarm is, and what it means to judge one.
//!
//! The types here are definitions; `range` turns a metric's history into the datapoints that an alarm looks at, `decision`
//! turns those into a state, `reason` words it as CloudWatch does, and `evaluator` does so for every alarm when it is due.

mod actions;
mod aggregation;
mod certainty;
mod composite;
mod contributors;
mod decision;
mod evaluator;
mod graph;
mod history;
mod judge;
mod math_feed;
mod math_source;
mod metric_alarm;
mod mute;
mod number;
mod options;
mod outlook;
mod range;
mod reason;
mod reason_data;
mod schedule;
mod status;
mod suppression;
mod tracked;
mod validate;

use std::fmt;

pub use actions::{ActionRun, GateSnapshot, Muted, Occasion};
pub use aggregation::Aggregation;
pub use certainty::Certainty;
pub use composite::{AlarmRule, ChildRef, RuleError};
pub use contributors::{Answer, CONTRIBUTORS_MAX, Contributor, SINGLE};
pub use decision::{Basis, Decision, Verdict};
pub use evaluator::{Evaluator, Events, POINTS_SHOWN_MAX};
pub use history::{HISTORY_ITEMS_MAX, HistoryEvent, HistoryItem, StateSnapshot};
pub use judge::Watched;
pub use math_source::{MathSource, MetricDataQuery, QueryContent, band_metrics};
pub use metric_alarm::{
    Band, BandOperator, Comparison, ComparisonOperator, EvaluationWindow, LowSamplePercentile,
    MetricAlarm, MetricStat, Source, TreatMissingData, WarmUp,
};
pub use mute::{Cron, MuteDuration, MuteRule, MuteStatus, Schedule, ScheduleError, Window};
pub use number::JavaDouble;
pub use options::Options;
pub use outlook::{Next, Outlook, outlook};
pub use range::Point;
pub use reason::{INITIAL as INITIAL_REASON, is_computed};
pub use reason_data::{DatapointsData, QueryResultsData, ReasonData, TriggeringAlarm};
pub use schedule::evaluation_range;
pub use status::{Evaluation, EvaluationState, StateChange, Status, Transition};
pub use suppression::{SuppressedBy, Withheld};
pub use tracked::AlarmSnapshot;
pub use validate::{
    Account, DATAPOINTS_REFUSED, PERIOD_REFUSED, Refusal, validate_common, validate_namespace,
};

/// The state of an alarm, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateValue {
    Ok,
    Alarm,
    InsufficientData,
}

impl StateValue {
    pub const ALL: [Self; 3] = [Self::Ok, Self::Alarm, Self::InsufficientData];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

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

/// An alarm as it was defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    pub name: String,
    /// As CloudWatch gave it; `None` for an alarm that was not read from CloudWatch.
    pub arn: Option<String>,
    pub description: Option<String>,
    pub actions: Actions,
    pub rule: Rule,
    /// Why it cannot be judged on this host, though it could be elsewhere.
    pub not_here: Option<String>,
}

/// The ARNs that CloudWatch calls when the alarm enters a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actions {
    pub enabled: bool,
    pub ok: Vec<String>,
    pub alarm: Vec<String>,
    pub insufficient_data: Vec<String>,
}

impl Actions {
    /// Those of one state.
    pub fn of(&self, state: StateValue) -> &[String] {
        match state {
            StateValue::Ok => &self.ok,
            StateValue::Alarm => &self.alarm,
            StateValue::InsufficientData => &self.insufficient_data,
        }
    }
}

/// How an alarm's state is found (SPEC section 1).
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    Metric(MetricAlarm),
    Composite(CompositeAlarm),
    PromQl(PromQlAlarm),
    Log(LogAlarm),
}

impl Rule {
    /// Whether both come to the same state, whatever is left to CloudWatch's defaults in one of them.
    pub fn means(&self, other: &Self) -> bool {
        let whole = |rule: &MetricAlarm| MetricAlarm {
            treat_missing_data: Some(rule.treatment()),
            datapoints_to_alarm: Some(rule.minimum_to_alarm()),
            ..rule.clone()
        };
        match (self, other) {
            (Self::Metric(one), Self::Metric(other)) => whole(one) == whole(other),
            (Self::Composite(one), Self::Composite(other)) => one.rule.means(&other.rule),
            _ => self == other,
        }
    }
}

impl Alarm {
    /// The rule, if it is one on metrics.
    pub fn metric_rule(&self) -> Option<&MetricAlarm> {
        match &self.rule {
            Rule::Metric(rule) => Some(rule),
            _ => None,
        }
    }

    /// How long it is not judged after it was made, if it is one that waits.
    pub fn warm_up(&self) -> Option<WarmUp> {
        match &self.rule {
            Rule::Metric(rule) => rule.warm_up,
            Rule::Log(rule) => rule.warm_up,
            Rule::Composite(_) | Rule::PromQl(_) => None,
        }
    }

    /// Whether only its ARN or its description differs.
    fn is_but_told_otherwise(&self, other: &Self) -> bool {
        let told = Self {
            arn: self.arn.clone(),
            description: self.description.clone(),
            ..other.clone()
        };
        *self == told
    }

    /// What withholds its actions, if it is a composite alarm that has such.
    pub fn suppressor(&self) -> Option<&Suppressor> {
        match &self.rule {
            Rule::Composite(composite) => composite.suppressor.as_ref(),
            _ => None,
        }
    }

    /// Why the alarm cannot be judged from samples on this host: the reason given, or that its rule needs what only
    /// CloudWatch has.
    pub fn not_mirrored(&self) -> Option<String> {
        let needs = match &self.rule {
            Rule::Metric(alarm) => alarm.needs(),
            Rule::Composite(_) => None,
            Rule::PromQl(_) => {
                Some("PromQL alarms need a query engine that only CloudWatch has".to_owned())
            }
            Rule::Log(_) => {
                Some("log alarms need queries that only CloudWatch Logs can run".to_owned())
            }
        };
        self.not_here.clone().or(needs)
    }
}

/// An alarm on the states of others (SPEC section 7).
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeAlarm {
    pub rule: AlarmRule,
    pub suppressor: Option<Suppressor>,
}

/// An alarm that withholds the actions of a composite alarm while it is in ALARM (SPEC section 7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressor {
    /// Name or ARN.
    pub alarm: String,
    /// How many seconds actions wait for the suppressor to go to ALARM.
    pub wait_period: i64,
    /// How many seconds actions are withheld after it has left ALARM.
    pub extension_period: i64,
}

/// An alarm on whatever a PromQL query returns (SPEC section 11).
#[derive(Clone, Debug, PartialEq)]
pub struct PromQlAlarm {
    pub query: String,
    /// How many seconds a series must be returned until it is in ALARM.
    pub pending_period: i64,
    /// How many seconds it must be absent until it is OK again.
    pub recovery_period: i64,
    /// In seconds.
    pub evaluation_interval: i64,
}

/// An alarm on the results of a scheduled CloudWatch Logs query (SPEC section 12).
#[derive(Clone, Debug, PartialEq)]
pub struct LogAlarm {
    pub query: ScheduledQuery,
    /// N.
    pub results_to_evaluate: u32,
    /// M.
    pub results_to_alarm: u32,
    pub operator: ComparisonOperator,
    pub threshold: f64,
    pub treat_missing_data: Option<TreatMissingData>,
    pub warm_up: Option<WarmUp>,
}

/// What a log alarm looks at, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledQuery {
    pub text: String,
    pub log_groups: Vec<String>,
    pub aggregation: Aggregation,
    /// As it is written, such as `rate(5 minutes)`.
    pub schedule: String,
    /// How often the query runs by that, in seconds.
    pub interval: i64,
    /// How many seconds before it runs the window of the query begins and ends, where that is said.
    pub offsets: (Option<u32>, Option<u32>),
}

/// The name of the alarm that a name or an ARN stands for.
pub fn alarm_name(name_or_arn: &str) -> &str {
    let parts: Vec<&str> = name_or_arn.splitn(7, ':').collect();
    match parts[..] {
        ["arn", _, "cloudwatch", _, _, "alarm", name] if !name.is_empty() => name,
        _ => name_or_arn,
    }
}
