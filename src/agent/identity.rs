//! Who this host is, again and again: its Auto Scaling group and its tags change, and a spot instance is interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::{self, Instance, Notices};
use crate::clock;
use crate::metric::Timestamp;
use crate::stats::{About, Stats};

use super::Plan;
use super::prepare::Here;

/// EC2 tells an interruption two minutes before.
const NOTICES_INTERVAL: Duration = Duration::from_secs(30);
/// So many of those intervals pass until it is asked anew who this is.
const REFRESHED_EVERY: u32 = 10;

/// Asks the instance metadata service, and EC2 where a plan needs tags.
pub(super) async fn run(
    here: watch::Sender<Option<Arc<Here>>>,
    stats: Arc<Stats>,
    is_ec2: bool,
    planned: watch::Receiver<Plan>,
) {
    let current = planned.clone();
    let ask = || {
        let plan = current.borrow().clone();
        async move { ask(&plan).await }
    };
    watch((here, planned), stats, is_ec2, ask, aws::notices).await;
}

/// Who this is, with tags where something is known by them.
pub(super) async fn ask(plan: &Plan) -> Result<Instance, String> {
    match plan.wants_tags() {
        true => aws::instance_with_tags(plan.region.clone(), clock::now()).await,
        false => aws::instance().await,
    }
}

/// Asks for as long as the program runs. Off EC2 nobody is asked; `is_ec2` says whether it is one by its firmware, so that it is
/// asked on where there was no answer. Another plan may need other things, and is asked for at once.
async fn watch<P, A, N>(
    (here, mut planned): (watch::Sender<Option<Arc<Here>>>, watch::Receiver<P>),
    stats: Arc<Stats>,
    is_ec2: bool,
    ask: impl Fn() -> A,
    ask_notices: impl Fn() -> N,
) where
    A: Future<Output = Result<Instance, String>>,
    N: Future<Output = Option<Notices>>,
{
    let mut known = here.subscribe();
    let first = known.wait_for(Option::is_some).await;
    let Some(first) = first.ok().and_then(|here| here.clone()) else {
        return;
    };
    let mut instance = first.instance.clone();
    if instance.is_none() && !is_ec2 {
        return;
    }
    let mut told = Notices::default();
    for round in 1_u32.. {
        if let Some(instance) = &instance {
            // What is not answered has not changed.
            let notices = ask_notices().await.unwrap_or_else(|| told.clone());
            tell(&told, &notices);
            stats.instance.set(about(instance, &notices));
            told = notices;
        }
        let is_new = tokio::select! {
            () = tokio::time::sleep(NOTICES_INTERVAL) => false,
            Ok(()) = planned.changed() => true,
        };
        if instance.is_some() && round % REFRESHED_EVERY != 0 && !is_new {
            continue;
        }
        let mut now = match ask().await {
            Ok(now) if now.unanswered.is_none() => now,
            _ => continue,
        };
        if let Some(known) = &instance {
            now.keep_tags_of(known);
        }
        let is_same = instance.as_ref().is_none_or(|known| known.id == now.id);
        if is_same && instance.as_ref() != Some(&now) {
            info!(
                id = now.id,
                group = now.auto_scaling_group,
                tags = now.tags.len(),
                "what EC2 says of this instance has changed"
            );
            here.send_replace(Some(Arc::new(first.with(now.clone()))));
            instance = Some(now);
        }
    }
}

fn tell(before: &Notices, now: &Notices) {
    if let Some((action, at)) = now
        .interruption
        .as_ref()
        .filter(|_| before.interruption.is_none())
    {
        warn!(action, %at, "EC2 is about to interrupt this spot instance");
    }
    if let Some(at) = now.rebalance.filter(|_| before.rebalance.is_none()) {
        warn!(%at, "EC2 recommends to rebalance: this spot instance may be interrupted soon");
    }
}

fn about(instance: &Instance, notices: &Notices) -> About {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    About {
        labels: vec![
            ("account", text(&instance.account)),
            ("auto_scaling_group", text(&instance.auto_scaling_group)),
            ("availability_zone", text(&instance.availability_zone)),
            ("image_id", text(&instance.image_id)),
            ("instance_id", instance.id.clone()),
            ("instance_type", text(&instance.instance_type)),
            ("life_cycle", text(&instance.life_cycle)),
            ("region", text(&instance.region)),
        ],
        interruption: notices
            .interruption
            .as_ref()
            .map(|(action, at)| (action.clone(), at.seconds())),
        rebalance: notices.rebalance.map(Timestamp::seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Placeholders;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    /// The dimensions follow the group; an answer that is not whole, or does not come, changes nothing.
    #[tokio::test(start_paused = true)]
    async fn the_group_is_followed_and_silence_is_no_change() {
        let instance = |group: Option<&str>, unanswered: Option<&str>| Instance {
            id: "i-1".to_owned(),
            auto_scaling_group: group.map(str::to_owned),
            unanswered: unanswered.map(str::to_owned),
            ..Instance::default()
        };
        let answers = RefCell::new(VecDeque::from([
            Err("no answer".to_owned()),
            Ok(instance(Some("a"), None)),
            Ok(instance(None, Some("tags: timeout"))),
            Err("no answer".to_owned()),
            Ok(instance(Some("b"), None)),
            Ok(instance(None, None)),
        ]));
        let spot = Notices {
            rebalance: Some(Timestamp::from_seconds(7)),
            ..Notices::default()
        };
        let notices = RefCell::new(VecDeque::from([Some(spot), None]));
        let first = Here::nowhere(Placeholders::default());
        let (here, mut changes) = watch::channel(Some(Arc::new(first)));
        let stats = Arc::new(Stats::default());
        let ask = || {
            let answer = answers.borrow_mut().pop_front();
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        };
        let ask_notices = || {
            let answer = notices.borrow_mut().pop_front();
            std::future::ready(answer.unwrap_or_default())
        };
        let (_planned, planned_in) = watch::channel(());
        let wires = (here, planned_in);
        let watched = super::watch(wires, Arc::clone(&stats), true, ask, ask_notices);
        let groups = async {
            let mut groups = Vec::new();
            for _ in 0..3 {
                changes.changed().await.unwrap();
                let here = changes.borrow_and_update().clone().unwrap();
                groups.push(here.placeholders.auto_scaling_group.clone());
            }
            groups
        };
        let groups = tokio::select! {
            () = watched => panic!("it goes on"),
            groups = groups => groups,
        };
        assert_eq!(groups, [Some("a".to_owned()), Some("b".to_owned()), None]);
        assert_eq!(stats.instance.get().rebalance, Some(7));
    }
}
