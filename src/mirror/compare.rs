//! CloudWatch's states against those found here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::alarm::{
    Certainty, HistoryEvent, INITIAL_REASON, JavaDouble, Rule, StateValue, Status, is_computed,
};
use crate::metric::Timestamp;

use super::{View, Views};

/// How long CloudWatch may take, after an alarm was judged here, until it has the datapoints and has judged it too, in
/// seconds, beside the interval at which it judges. What EC2 publishes comes minutes later.
const ARRIVAL: i64 = 120;
const ARRIVAL_FROM_EC2: i64 = 420;

/// Values that differ by less are the same: CloudWatch adds in another order.
const TOLERANCE: f64 = 1e-6;

/// Transitions that lie further apart are not the same event, in seconds.
const LEAD_MAX: i64 = 3_600;

/// What CloudWatch says of one alarm beside what was found here.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub state: StateValue,
    pub since: Timestamp,
    pub reason: String,
    pub asked_at: Timestamp,
    /// `None` for an alarm that is not judged here.
    pub agreement: Option<Agreement>,
    /// How many milliseconds before CloudWatch the state was found here, the last time that both entered the same one; negative
    /// if it was after it.
    pub lead: Option<i64>,
}

impl Comparison {
    /// How long before CloudWatch the state was found here.
    #[expect(clippy::cast_precision_loss, reason = "leads are short")]
    pub fn lead_seconds(&self) -> Option<f64> {
        self.lead.map(|lead| lead as f64 / 1_000.0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Agreement {
    Agrees,
    /// The state changed here after CloudWatch was asked.
    NotAskedSince,
    Disagrees(Disagreement),
}

/// Why CloudWatch's state is another, as far as can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Disagreement {
    pub why: Why,
    /// What is known of it, in words.
    pub detail: Option<String>,
}

/// ``different data (at 2026-11-27T10:01:00Z CloudWatch had 45.0, this host 52.0)``
impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why.name())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

/// The likely reason; of several that apply the first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    DifferentDefinition,
    SetByHand,
    NotEvaluated,
    Child,
    DataNotArrived,
    HistoryIncomplete,
    RangeUncertainty,
    Undetermined,
    ApproximateStatistic,
    DifferentData,
}

impl Why {
    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::DifferentDefinition => "different_definition",
            Self::SetByHand => "set_by_hand",
            Self::NotEvaluated => "not_evaluated",
            Self::Child => "child",
            Self::DataNotArrived => "data_not_arrived",
            Self::HistoryIncomplete => "history_incomplete",
            Self::RangeUncertainty => "range_uncertainty",
            Self::Undetermined => "undetermined",
            Self::ApproximateStatistic => "approximate_statistic",
            Self::DifferentData => "different_data",
        }
    }

    /// As the log, the API and the page write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DifferentDefinition => "CloudWatch has another definition",
            Self::SetByHand => "the state was set by hand in CloudWatch",
            Self::NotEvaluated => "CloudWatch could not evaluate it",
            Self::Child => "an alarm that it follows disagrees",
            Self::DataNotArrived => "data not yet arrived",
            Self::HistoryIncomplete => "history incomplete here",
            Self::RangeUncertainty => "range uncertainty",
            Self::Undetermined => "undetermined by AWS's documents",
            Self::ApproximateStatistic => "near the threshold of an approximate statistic",
            Self::DifferentData => "different data",
        }
    }
}

/// Every alarm that CloudWatch has, compared.
#[derive(Debug, Default)]
pub struct Comparisons {
    pub by_name: Arc<BTreeMap<String, Comparison>>,
    /// Since when CloudWatch is asked about each alarm, and the lead that was found last with the transition there.
    known: BTreeMap<String, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    since: Timestamp,
    lead: Option<i64>,
}

impl Comparisons {
    /// Compares anew. `waiting_since`: the start of the oldest datapoint that CloudWatch does not have.
    pub fn update(
        &mut self,
        statuses: &[Arc<Status>],
        views: &Views,
        waiting_since: Option<Timestamp>,
    ) {
        self.known.retain(|name, _| views.alarms.contains_key(name));
        for name in views.alarms.keys() {
            let since = views.asked_at;
            self.known
                .entry(name.clone())
                .or_insert(Known { since, lead: None });
        }
        let mut by_name = BTreeMap::new();
        let looked = Looked {
            asked_at: views.asked_at,
            waiting_since,
        };
        for status in statuses {
            let name = &status.alarm.name;
            let (Some(view), Some(known)) = (views.alarms.get(name), self.known.get_mut(name))
            else {
                continue;
            };
            let is_judged = status.not_mirrored.is_none();
            if is_judged {
                known.lead = lead(status, view, known.since).or(known.lead);
            }
            let comparison = Comparison {
                state: view.state,
                since: view.since,
                reason: view.reason.clone(),
                asked_at: views.asked_at,
                agreement: is_judged.then(|| looked.agreement(status, view)),
                lead: known.lead,
            };
            by_name.insert(name.clone(), comparison);
        }
        blame_children(statuses, &mut by_name);
        self.by_name = Arc::new(by_name);
    }
}

/// When CloudWatch was asked, and what it cannot know by then.
#[derive(Clone, Copy)]
struct Looked {
    asked_at: Timestamp,
    waiting_since: Option<Timestamp>,
}

impl Looked {
    fn agreement(self, status: &Status, view: &View) -> Agreement {
        if status.state == view.state {
            return Agreement::Agrees;
        }
        let changed_since = status.transitioned_at.is_some_and(|at| at >= self.asked_at);
        if changed_since {
            return Agreement::NotAskedSince;
        }
        let (why, detail) = self.why(status, view);
        Agreement::Disagrees(Disagreement { why, detail })
    }

    fn why(self, status: &Status, view: &View) -> (Why, Option<String>) {
        let theirs = view.alarm.as_ref();
        if theirs.is_some_and(|alarm| alarm.rule != status.alarm.rule) {
            return (Why::DifferentDefinition, None);
        }
        if !is_computed(&view.reason) {
            let said = format!("it says `{}`", view.reason);
            return (Why::SetByHand, Some(said));
        }
        if let Some(state) = &view.evaluation_state {
            return (Why::NotEvaluated, Some(state.clone()));
        }
        if self.is_on_its_way(status, view) {
            return (Why::DataNotArrived, None);
        }
        if let Some(detail) = different_datapoint(status, view) {
            return (Why::DifferentData, Some(detail));
        }
        let certainty = status
            .evaluation
            .as_ref()
            .map(|evaluation| &evaluation.certainty);
        let why = match certainty {
            Some(Certainty::HistoryIncomplete) | None => Why::HistoryIncomplete,
            Some(Certainty::DependsOnRange(_)) => Why::RangeUncertainty,
            Some(Certainty::Undetermined) => Why::Undetermined,
            Some(Certainty::NearThreshold) => Why::ApproximateStatistic,
            Some(Certainty::MeasuredInGuest | Certainty::Determined) => Why::DifferentData,
        };
        (why, None)
    }

    /// Whether CloudWatch may come to the same once it has what was judged here.
    fn is_on_its_way(self, status: &Status, view: &View) -> bool {
        let judged_until = status.evaluation.as_ref().map(|evaluation| evaluation.end);
        let lacks = |(waiting, until): (Timestamp, Timestamp)| waiting < until;
        let is_published = status
            .alarm
            .metric_rule()
            .is_some_and(|rule| rule.stats().iter().any(|stat| !is_ec2(&stat.metric)));
        if is_published && self.waiting_since.zip(judged_until).is_some_and(lacks) {
            return true;
        }
        let (interval, is_ec2) = match status.alarm.metric_rule() {
            Some(rule) => (
                rule.evaluation_interval(),
                rule.stats().iter().any(|stat| is_ec2(&stat.metric)),
            ),
            None => (0, false),
        };
        let arrival = interval + if is_ec2 { ARRIVAL_FROM_EC2 } else { ARRIVAL };
        // It has not changed there since it did here.
        let Some(here_since) = status.transitioned_at else {
            return false;
        };
        view.since < here_since && self.asked_at - here_since < arrival
    }
}

fn is_ec2(metric: &crate::metric::Metric) -> bool {
    metric.namespace == "AWS/EC2"
}

/// The newest datapoint that CloudWatch evaluated with another value.
fn different_datapoint(status: &Status, view: &View) -> Option<String> {
    let points = &status.evaluation.as_ref()?.points;
    let here = |at: Timestamp| points.iter().find(|point| point.start == at)?.value;
    let differs = |(at, theirs): &(Timestamp, f64)| {
        let ours = here(*at)?;
        let is_same = (ours - theirs).abs() <= TOLERANCE * ours.abs().max(theirs.abs());
        (!is_same).then_some((*at, *theirs, ours))
    };
    let found = view.datapoints.iter().filter_map(differs);
    let (at, theirs, ours) = found.max_by_key(|(at, ..)| *at)?;
    Some(format!(
        "at {at} CloudWatch had {}, this host {}",
        JavaDouble(theirs),
        JavaDouble(ours)
    ))
}

/// A composite alarm is another because what it follows is.
fn blame_children(statuses: &[Arc<Status>], by_name: &mut BTreeMap<String, Comparison>) {
    let mut blamed = Vec::new();
    for status in statuses {
        let name = &status.alarm.name;
        let (Rule::Composite(composite), Some(Comparison { agreement, .. })) =
            (&status.alarm.rule, by_name.get(name))
        else {
            continue;
        };
        let Some(Agreement::Disagrees(Disagreement { why, .. })) = agreement else {
            continue;
        };
        if matches!(why, Why::DifferentDefinition | Why::SetByHand) {
            continue;
        }
        let children = composite.rule.children();
        let disagrees = |name: &str| {
            let known = by_name.get(name).and_then(|known| known.agreement.as_ref());
            known.is_some_and(|known| *known != Agreement::Agrees)
        };
        if let Some(child) = children.iter().find(|child| disagrees(child.name())) {
            blamed.push((name.clone(), format!("`{}`", child.name())));
        }
    }
    for (name, child) in blamed {
        let agreement = Agreement::Disagrees(Disagreement {
            why: Why::Child,
            detail: Some(child),
        });
        if let Some(comparison) = by_name.get_mut(&name) {
            comparison.agreement = Some(agreement);
        }
    }
}

/// How long before CloudWatch its state was entered here, in milliseconds, if both entered it since CloudWatch is asked.
fn lead(status: &Status, view: &View, known_since: Timestamp) -> Option<i64> {
    if view.since < known_since || view.reason == INITIAL_REASON || !is_computed(&view.reason) {
        return None;
    }
    let entered = status.history.iter().filter_map(|item| match &item.event {
        HistoryEvent::StateUpdate { new, .. } if new.state == view.state => Some(item.at),
        _ => None,
    });
    let ahead = |at: Timestamp| view.since.milliseconds() - at.milliseconds();
    let entered = entered.filter(|at| *at >= known_since);
    let lead = entered.map(ahead).min_by_key(|ahead| ahead.abs())?;
    (lead.abs() <= LEAD_MAX * 1_000).then_some(lead)
}
