//! What the journal keeps of the pipeline, and the pipeline as it is rebuilt from that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::alarm::{
    Alarm, AlarmSnapshot, HISTORY_ITEMS_MAX, HistoryEvent, HistoryItem, INITIAL_REASON, MuteRule,
    ReasonData, StateSnapshot, StateValue, Transition,
};
use crate::clock;
use crate::config::Notify;
use crate::definition::{alarm_snapshot, read_alarm_snapshot, reason_data};
use crate::journal::{self, Past};
use crate::keeper::Handle;
use crate::metric::{Metric, Timestamp};
use crate::pipeline::{Pipeline, Snapshot};
use crate::sources::Sources;

use super::drive::Prepared;

/// The datapoints that may be read are those that an alarm needs, and this much more, in seconds: a slot may begin before.
const SLOT_MAX: i64 = 60;

/// How long judging waits for the journal. Meanwhile looks are kept.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(30);

/// A pipeline that is ready for the first look.
pub(super) struct Begun {
    pub(super) pipeline: Pipeline,
    pub(super) sources: Sources,
    /// What is to be set at the first look. Alarms that were there before are judged up to then.
    pub(super) alarms: Vec<Alarm>,
    /// From where those go on that the journal does not have.
    pub(super) states: Vec<AlarmSnapshot>,
    pub(super) mute_rules: Vec<MuteRule>,
    pub(super) targets: Arc<[Notify]>,
    /// Whether it goes on from where an earlier one ended.
    pub(super) restored: bool,
}

/// Waits until it is known what is to be judged, and how that stood when the program ended. `None` if that never comes.
pub(super) async fn begin(
    prepared: &mut oneshot::Receiver<Prepared>,
    keeper: &Handle,
) -> Option<Begun> {
    let prepared = prepared.await.ok()?;
    let waited = humantime::format_duration(RESTORE_TIMEOUT);
    let snapshot = match timeout(RESTORE_TIMEOUT, keeper.past(HISTORY_ITEMS_MAX)).await {
        Ok(past) => past.and_then(read),
        Err(_) => {
            warn!(%waited, "the journal does not answer; every alarm begins anew");
            None
        }
    };
    let mut pipeline = Pipeline::new(prepared.options.clone());
    let restored = snapshot.is_some();
    if let Some(mut snapshot) = snapshot {
        let restoring = restore(&mut pipeline, &prepared, &snapshot, keeper);
        if timeout(RESTORE_TIMEOUT, restoring).await.is_err() {
            warn!(%waited, "the journal takes too long; the alarms go on, and what their metrics were before is unknown");
            snapshot.watched_since = snapshot.at;
        }
        pipeline.restore(&snapshot);
    }
    let Prepared {
        sources,
        alarms,
        mute_rules,
        mut states,
        targets,
        ..
    } = prepared;
    states.retain(|state| pipeline.status(&state.name).is_none());
    Some(Begun {
        pipeline,
        sources,
        alarms,
        states,
        mute_rules,
        targets,
        restored,
    })
}

/// Takes up the alarms that were there, and the datapoints that they look at.
async fn restore(
    pipeline: &mut Pipeline,
    prepared: &Prepared,
    snapshot: &Snapshot,
    keeper: &Handle,
) {
    let was_there = |alarm: &&Alarm| snapshot.alarms.iter().any(|known| known.name == alarm.name);
    let known = prepared.alarms.iter().filter(was_there).cloned().collect();
    pipeline.set_alarms(known, snapshot.at);
    pipeline.set_mute_rules(prepared.mute_rules.clone(), snapshot.at);
    let now = clock::now();
    // Nothing may be sampled twice of what was closed before the clock was set back, now or then.
    let closed_ahead = now.min(snapshot.at) - SLOT_MAX;
    let needed = needed(pipeline, snapshot.at);
    let (mut pages, mut datapoints) = (keeper.datapoints(needed, Some(closed_ahead)).await, 0);
    while let Some(page) = pages.recv().await {
        datapoints += page.len();
        for datapoint in &page {
            pipeline.take_up(datapoint, snapshot.at);
        }
    }
    let downtime = (now - snapshot.at).max(0);
    info!(until = %snapshot.at, downtime, datapoints, alarms = snapshot.alarms.len(), "going on from the journal; the downtime counts as missing data");
}

fn needed(pipeline: &Pipeline, at: Timestamp) -> HashMap<Arc<Metric>, Timestamp> {
    let needs = pipeline.history_needed().into_iter();
    needs
        .map(|(metric, need)| (metric, at - need.seconds - SLOT_MAX))
        .collect()
}

/// What is written instead of what was known before; the alarms only if they may be otherwise.
pub(super) fn snapshot(pipeline: &Pipeline, with_alarms: bool) -> Option<journal::Snapshot> {
    let (watched_since, at) = pipeline.watched()?;
    let alarms = match with_alarms {
        true => Some(pipeline.snapshot()?.alarms),
        false => None,
    };
    let text = |alarm: &AlarmSnapshot| (alarm.name.clone(), alarm_snapshot(alarm));
    Some(journal::Snapshot {
        at,
        pipeline: watched_since.milliseconds().to_string(),
        alarms: alarms.map(|alarms| alarms.iter().map(text).collect()),
    })
}

/// An alarm that cannot be read is new.
fn read(past: Past) -> Option<Snapshot> {
    let Past {
        snapshot,
        complete_since,
        transitions,
    } = past;
    let Ok(watched_since) = snapshot.pipeline.parse() else {
        warn!("what the journal says of the time before cannot be read; every alarm begins anew");
        return None;
    };
    let mut alarms = Vec::new();
    let mut told: HashMap<&str, Vec<&journal::Transition>> = HashMap::new();
    for transition in &transitions {
        told.entry(&transition.alarm).or_default().push(transition);
    }
    for (name, text) in snapshot.alarms.iter().flatten() {
        let Some(mut alarm) = read_alarm_snapshot(name, text) else {
            warn!(
                alarm = name,
                "what the journal says of this alarm cannot be read; it begins anew"
            );
            continue;
        };
        let told = told.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        alarm.history = history(&alarm, told);
        alarms.push(alarm);
    }
    Some(Snapshot {
        watched_since: Timestamp::from_milliseconds(watched_since).max(complete_since),
        at: snapshot.at,
        alarms,
    })
}

/// What is told of an alarm's past: its transitions, as far as they are kept.
fn history(alarm: &AlarmSnapshot, transitions: &[&journal::Transition]) -> Vec<HistoryItem> {
    let mut items = vec![HistoryItem {
        at: alarm.created_at,
        event: HistoryEvent::Created,
    }];
    let (mut reason, mut reason_data) = (Arc::from(INITIAL_REASON), None);
    for transition in transitions {
        let states = [&transition.from, &transition.to].map(|name| StateValue::from_name(name));
        let [Some(from), Some(to)] = states else {
            continue;
        };
        let old = StateSnapshot {
            state: from,
            reason,
            reason_data,
        };
        let given = transition.reason_data.clone();
        reason = Arc::from(transition.reason.as_str());
        reason_data = given.map(|data| Arc::new(ReasonData::Given(data)));
        let new = StateSnapshot {
            state: to,
            reason: Arc::clone(&reason),
            reason_data: reason_data.clone(),
        };
        items.push(HistoryItem {
            at: transition.at,
            event: HistoryEvent::StateUpdate { old, new },
        });
    }
    let surplus = items.len().saturating_sub(HISTORY_ITEMS_MAX);
    items.split_off(surplus)
}

/// A transition as the journal has it.
pub(super) fn record(transition: &Transition) -> journal::Transition {
    journal::Transition {
        alarm: transition.alarm.name.clone(),
        at: transition.at,
        from: transition.from.name().to_owned(),
        to: transition.to.name().to_owned(),
        reason: transition.reason.to_string(),
        reason_data: transition.reason_data.as_deref().map(reason_data),
        certainty: transition.certainty.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{BUILT_IN, Placeholders, parse};
    use crate::keeper::stuck;
    use crate::pipeline::Pipeline;

    fn prepared() -> Prepared {
        let here = Placeholders {
            instance_id: None,
            hostname: "web-1".to_owned(),
            ..Placeholders::default()
        };
        let config = crate::config::resolve("c", "").0;
        Prepared {
            sources: Sources::new(&config.publish, &here, &config.collectors),
            alarms: alarms(),
            configured: 1,
            states: vec![],
            mute_rules: vec![],
            targets: Arc::default(),
            options: crate::alarm::Options::default(),
        }
    }

    fn alarms() -> Vec<Alarm> {
        let definitions = parse("a", BUILT_IN).alarms.into_iter();
        definitions.map(|definition| definition.alarm).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_journal_that_does_not_answer_is_waited_for_half_a_minute() {
        let (keeper, _disk) = stuck();
        let (send, mut receive) = oneshot::channel();
        send.send(prepared()).unwrap();
        let start = tokio::time::Instant::now();
        let begun = begin(&mut receive, &keeper).await.unwrap();
        assert!(!begun.restored);
        assert_eq!(start.elapsed(), RESTORE_TIMEOUT);
    }

    /// Everything in the journal's words, and back.
    #[test]
    fn what_is_told_of_the_past_is_what_was_told_before() {
        let start = Timestamp::from_seconds(1_700_000_040);
        let mut before = Pipeline::default();
        before.set_alarms(alarms(), start);
        before.advance(&crate::metric::Reading {
            at: start,
            samples: vec![],
        });
        let mut transitions = Vec::new();
        for (seconds, state) in [(60, StateValue::Alarm), (120, StateValue::Ok)] {
            let data = Some(r#"{"version":"1.0"}"#);
            let events = before.set_state("cpu-high", state, "a reason", data, start + seconds);
            transitions.extend(events.unwrap().transitions.iter().map(record));
        }
        let kept = snapshot(&before, true).unwrap();
        let past = |complete_since| Past {
            snapshot: kept.clone(),
            complete_since,
            transitions: transitions.clone(),
        };
        assert_eq!(read(past(start)), before.snapshot());
        let read = read(past(start + 30)).unwrap();
        assert_eq!(read.watched_since, start + 30, "it was pruned");
    }
}
