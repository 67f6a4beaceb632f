//! The content of `StateReasonData`: SPEC section 6.4.

use crate::metric::{Period, Statistic, Timestamp, Unit};

use super::{Point, StateValue};

/// `StateReasonData` has at most 4000 characters (SPEC section 6.4); more datapoints, at 45 or more each, never fit.
const DATAPOINTS_MAX: usize = 88;

/// What an alarm was in when it entered its state.
#[derive(Clone, Debug, PartialEq)]
pub enum ReasonData {
    Datapoints(DatapointsData),
    /// Of a composite alarm: the children that brought it about.
    TriggeringAlarms(Vec<TriggeringAlarm>),
    QueryResults(QueryResultsData),
    /// As it was given with SetAlarmState.
    Given(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct DatapointsData {
    pub query_date: Timestamp,
    /// The oldest datapoint used; `None` when there was none.
    pub start_date: Option<Timestamp>,
    /// Only if the alarm sets one.
    pub unit: Option<Unit>,
    /// `None` where the datapoints are computed from several statistics; then their samples cannot be counted.
    pub statistic: Option<Statistic>,
    pub period: Period,
    /// `None` for a band.
    pub threshold: Option<f64>,
    /// The newest ones first: the datapoints used or, where none exists, the missing ones.
    pub evaluated: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggeringAlarm {
    pub arn: String,
    pub state: StateValue,
    /// When it entered that state.
    pub at: Timestamp,
}

/// Of a log alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResultsData {
    pub threshold: f64,
    pub to_evaluate: usize,
    pub to_alarm: usize,
    /// Newest first.
    pub results: Vec<Point>,
}

/// What stands in reason data beside the datapoints.
pub(super) struct Frame {
    pub(super) query_date: Timestamp,
    pub(super) unit: Option<Unit>,
    pub(super) statistic: Option<Statistic>,
    pub(super) period: Period,
    pub(super) threshold: Option<f64>,
    pub(super) n: usize,
}

impl Frame {
    /// The data of an evaluation that used the newest `used` of the existing `points`, which come newest first; of the newest
    /// datapoints if there are many.
    pub(super) fn data(self, points: &[Point], used: usize) -> ReasonData {
        let existing = points.iter().filter(|point| point.value.is_some());
        let used = existing.take(used);
        let start_date = used.clone().last().map(|point| point.start);
        let evaluated: Vec<Point> = match start_date {
            Some(_) => used.take(DATAPOINTS_MAX).copied().collect(),
            None => {
                let missing = points.iter().take(self.n.min(DATAPOINTS_MAX));
                missing.copied().collect()
            }
        };
        ReasonData::Datapoints(DatapointsData {
            query_date: self.query_date,
            start_date,
            unit: self.unit,
            statistic: self.statistic,
            period: self.period,
            threshold: self.threshold,
            evaluated,
        })
    }
}
