//! What the journal keeps of the pipeline, and the pipeline as it is rebuilt from that.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::alarm::{Alarm, MuteRule, Transition};
use crate::clock;
use crate::definition::{alarm_snapshot, read_alarm_snapshot, reason_data};
use crate::journal;
use crate::keeper::Handle;
use crate::metric::{Metric, Timestamp};
use crate::pipeline::{Pipeline, Snapshot};
use crate::sources::Sources;

use super::drive::Prepared;

/// The datapoints that may be read are those that an alarm needs, and this much more, in seconds: a slot may begin before.
const SLOT_MAX: i64 = 60;

/// A pipeline that is ready for the first look.
pub(super) struct Begun {
    pub(super) pipeline: Pipeline,
    pub(super) sources: Sources,
    /// What is to be set at the first look. Alarms that were there before are judged up to then.
    pub(super) alarms: Vec<Alarm>,
    pub(super) mute_rules: Vec<MuteRule>,
    /// Whether it goes on from where an earlier one ended.
    pub(super) restored: bool,
}

/// Waits until it is known what is to be judged, and how that stood when the program ended. `None` if that never comes.
pub(super) async fn begin(
    prepared: &mut oneshot::Receiver<Prepared>,
    keeper: &Handle,
) -> Option<Begun> {
    let Prepared {
        sources,
        alarms,
        mute_rules,
        options,
    } = prepared.await.ok()?;
    let mut pipeline = Pipeline::new(options);
    let snapshot = keeper.snapshot().await.and_then(|kept| read(&kept));
    if let Some(snapshot) = &snapshot {
        let was_there =
            |alarm: &&Alarm| snapshot.alarms.iter().any(|known| known.name == alarm.name);
        let known = alarms.iter().filter(was_there).cloned().collect();
        pipeline.set_alarms(known, snapshot.at);
        pipeline.set_mute_rules(mute_rules.clone(), snapshot.at);
        let datapoints = keeper.datapoints(needed(&pipeline, snapshot.at)).await;
        let downtime = (clock::now() - snapshot.at).max(0);
        info!(until = %snapshot.at, downtime, datapoints = datapoints.len(), alarms = snapshot.alarms.len(), "going on from the journal; the downtime counts as missing data");
        pipeline.restore(snapshot, datapoints);
    }
    Some(Begun {
        pipeline,
        sources,
        alarms,
        mute_rules,
        restored: snapshot.is_some(),
    })
}

fn needed(pipeline: &Pipeline, at: Timestamp) -> HashMap<Arc<Metric>, Timestamp> {
    let needs = pipeline.history_needed().into_iter();
    needs
        .map(|(metric, need)| (metric, at - need.seconds - SLOT_MAX))
        .collect()
}

/// What is written instead of what was known before.
pub(super) fn snapshot(pipeline: &Pipeline) -> Option<journal::Snapshot> {
    let Snapshot {
        watched_since,
        at,
        alarms,
    } = pipeline.snapshot()?;
    Some(journal::Snapshot {
        at,
        pipeline: watched_since.milliseconds().to_string(),
        alarms: alarms
            .iter()
            .map(|alarm| (alarm.name.clone(), alarm_snapshot(alarm)))
            .collect(),
    })
}

/// An alarm that cannot be read is new.
fn read(kept: &journal::Snapshot) -> Option<Snapshot> {
    let Ok(watched_since) = kept.pipeline.parse() else {
        warn!("what the journal says of the time before cannot be read; every alarm begins anew");
        return None;
    };
    let mut alarms = Vec::new();
    for (name, text) in &kept.alarms {
        match read_alarm_snapshot(name, text) {
            Some(alarm) => alarms.push(alarm),
            None => warn!(
                alarm = name,
                "what the journal says of this alarm cannot be read; it begins anew"
            ),
        }
    }
    Some(Snapshot {
        watched_since: Timestamp::from_milliseconds(watched_since),
        at: kept.at,
        alarms,
    })
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
