//! CloudWatch's states against those found here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::alarm::{
    Certainty, HistoryEvent, INITIAL_REASON, JavaDouble, Rule, StateSnapshot, StateValue, Status,
    is_computed,
};
use crate::metric::Timestamp;

use super::{View, Views, WARMING_UP};

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
    /// CloudWatch has another alarm of this name: its state says nothing about the one here.
    OtherDefinition,
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
    SetByHand,
    WarmingUp,
    PartialData,
    NotEvaluated,
    Child,
    DataNotArrived,
    HistoryIncomplete,
    RangeUncertainty,
    Undetermined,
    ApproximateStatistic,
    DifferentData,
    Unknown,
}

impl Why {
    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::SetByHand => "set_by_hand",
            Self::WarmingUp => "warming_up",
            Self::PartialData => "partial_data",
            Self::NotEvaluated => "not_evaluated",
            Self::Child => "child",
            Self::DataNotArrived => "data_not_arrived",
            Self::HistoryIncomplete => "history_incomplete",
            Self::RangeUncertainty => "range_uncertainty",
            Self::Undetermined => "undetermined",
            Self::ApproximateStatistic => "approximate_statistic",
            Self::DifferentData => "different_data",
            Self::Unknown => "unknown",
        }
    }

    /// As the log, the API and the page write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SetByHand => "the state was set by hand in CloudWatch",
            Self::WarmingUp => "CloudWatch lets it warm up",
            Self::PartialData => "CloudWatch evaluated a part of the data",
            Self::NotEvaluated => "CloudWatch could not evaluate it",
            Self::Child => "an alarm that it follows disagrees",
            Self::DataNotArrived => "data not yet arrived",
            Self::HistoryIncomplete => "history incomplete here",
            Self::RangeUncertainty => "range uncertainty",
            Self::Undetermined => "undetermined by AWS's documents",
            Self::ApproximateStatistic => "near the threshold of an approximate statistic",
            Self::DifferentData => "different data",
            Self::Unknown => "nothing here explains it",
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
    /// The transitions here and there by which it was found: each counts once.
    matched: Option<(Timestamp, Timestamp)>,
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
            self.known.entry(name.clone()).or_insert(Known {
                since,
                lead: None,
                matched: None,
            });
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
            let agreement = is_judged.then(|| looked.agreement(status, view)).flatten();
            if agreement.is_some() && agreement != Some(Agreement::OtherDefinition) {
                known.find_lead(status, view);
            }
            let comparison = Comparison {
                state: view.state,
                since: view.since,
                reason: view.reason.clone(),
                asked_at: views.asked_at,
                agreement,
                lead: known.lead,
            };
            by_name.insert(name.clone(), comparison);
        }
        blame_children(statuses, &mut by_name);
        self.by_name = Arc::new(by_name);
    }
}

/// What is worth a line in the log: told when it lasts from one look to the next, so that what changes to and fro is not.
#[derive(Debug, Default)]
pub struct News {
    /// What disagreed at the look before, and what was told of it.
    known: BTreeMap<String, (Why, Option<Why>)>,
}

/// What became of an alarm.
#[derive(Debug, PartialEq)]
pub enum Told {
    Disagrees(StateValue, Disagreement),
    AgreesAgain(StateValue),
}

impl News {
    /// What is new at a look.
    pub fn of(&mut self, by_name: &BTreeMap<String, Comparison>) -> Vec<(String, Told)> {
        let (mut news, mut now) = (Vec::new(), BTreeMap::new());
        for (name, comparison) in by_name {
            let before = self.known.get(name).copied();
            match &comparison.agreement {
                Some(Agreement::Disagrees(disagreement)) => {
                    let why = disagreement.why;
                    let told = before.and_then(|(_, told)| told);
                    let lasts = before.is_some_and(|(before, _)| before == why);
                    let is_news = lasts && told != Some(why);
                    if is_news {
                        let told = Told::Disagrees(comparison.state, disagreement.clone());
                        news.push((name.clone(), told));
                    }
                    let told = if is_news { Some(why) } else { told };
                    now.insert(name.clone(), (why, told));
                }
                Some(Agreement::Agrees) => {
                    if before.is_some_and(|(_, told)| told.is_some()) {
                        news.push((name.clone(), Told::AgreesAgain(comparison.state)));
                    }
                }
                Some(Agreement::NotAskedSince | Agreement::OtherDefinition) | None => {
                    now.extend(before.map(|before| (name.clone(), before)));
                }
            }
        }
        self.known = now;
        news
    }
}

/// When CloudWatch was asked, and what it cannot know by then.
#[derive(Clone, Copy)]
struct Looked {
    asked_at: Timestamp,
    waiting_since: Option<Timestamp>,
}

impl Looked {
    /// `None` for an alarm that was not judged yet.
    fn agreement(self, status: &Status, view: &View) -> Option<Agreement> {
        let theirs = view.alarm.as_ref();
        if theirs.is_some_and(|alarm| !alarm.rule.means(&status.alarm.rule)) {
            return Some(Agreement::OtherDefinition);
        }
        let is_metric = status.alarm.metric_rule().is_some();
        if is_metric && status.evaluation.is_none() {
            return None;
        }
        Some(self.of_states(status, view))
    }

    fn of_states(self, status: &Status, view: &View) -> Agreement {
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
        if !is_computed(&view.reason) {
            let said = format!("it says `{}`", view.reason);
            return (Why::SetByHand, Some(said));
        }
        match view.evaluation_state.as_deref() {
            Some(WARMING_UP) => return (Why::WarmingUp, None),
            Some("PARTIAL_DATA") => return (Why::PartialData, None),
            Some(state) => return (Why::NotEvaluated, Some(state.to_owned())),
            None => {}
        }
        if self.is_on_its_way(status, view) {
            return (Why::DataNotArrived, None);
        }
        let certainty = status
            .evaluation
            .as_ref()
            .map(|evaluation| &evaluation.certainty);
        let different = different_datapoint(status, view);
        let why = match certainty {
            Some(Certainty::HistoryIncomplete) => Why::HistoryIncomplete,
            Some(Certainty::DependsOnRange(_)) => Why::RangeUncertainty,
            Some(Certainty::Undetermined) => Why::Undetermined,
            Some(Certainty::NearThreshold) => Why::ApproximateStatistic,
            Some(Certainty::MeasuredInGuest) => Why::DifferentData,
            Some(Certainty::Determined) | None if different.is_some() => Why::DifferentData,
            Some(Certainty::Determined) | None => Why::Unknown,
        };
        (why, different.filter(|_| why == Why::DifferentData))
    }

    /// Whether CloudWatch may come to the same once it has what was judged here.
    fn is_on_its_way(self, status: &Status, view: &View) -> bool {
        let Some(here_since) = status.transitioned_at else {
            return false;
        };
        let is_published = status
            .alarm
            .metric_rule()
            .is_some_and(|rule| rule.stats().iter().any(|stat| !is_ec2(&stat.metric)));
        let is_held_back = |waiting: Timestamp| waiting < here_since;
        if is_published && self.waiting_since.is_some_and(is_held_back) {
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
        if matches!(why, Why::SetByHand) {
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

impl Known {
    /// Finds out how long before CloudWatch its state was entered here, if both entered it since CloudWatch is asked.
    fn find_lead(&mut self, status: &Status, view: &View) {
        let (here_after, there_after) = self.matched.unwrap_or((self.since, self.since));
        let is_first = self.matched.is_none();
        let is_new = |at: Timestamp, after: Timestamp| at > after || is_first && at == after;
        if !is_new(view.since, there_after) || !is_computed(&view.reason) {
            return;
        }
        // What an alarm enters when it is judged for the first time it entered in CloudWatch long ago.
        let is_initial = |old: &StateSnapshot| *old.reason == *INITIAL_REASON;
        let entered = status.history.iter().filter_map(|item| match &item.event {
            HistoryEvent::StateUpdate { old, new }
                if new.state == view.state && !is_initial(old) =>
            {
                Some(item.at)
            }
            _ => None,
        });
        let ahead = |at: &Timestamp| view.since.milliseconds() - at.milliseconds();
        let entered = entered.filter(|at| is_new(*at, here_after));
        let Some(here) = entered.min_by_key(|at| ahead(at).abs()) else {
            return;
        };
        if ahead(&here).abs() <= LEAD_MAX * 1_000 {
            self.lead = Some(ahead(&here));
            self.matched = Some((here, view.since));
        }
    }
}
