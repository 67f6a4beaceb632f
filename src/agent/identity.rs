//! Who this host is, again and again: its Auto Scaling group and its tags change, and a spot instance is interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::{self, Instance, Notices};
use crate::metric::Timestamp;
use crate::stats::{About, Stats};

use super::prepare::Here;

/// EC2 tells an interruption two minutes before.
const NOTICES_INTERVAL: Duration = Duration::from_secs(30);
/// So many of those intervals pass until it is asked anew who this is.
const REFRESHED_EVERY: u32 = 10;

/// Asks for as long as the program runs; off EC2 nobody is asked.
pub(super) async fn watch(here: watch::Sender<Option<Arc<Here>>>, stats: Arc<Stats>) {
    let mut known = here.subscribe();
    let first = known.wait_for(Option::is_some).await;
    let Some(first) = first.ok().and_then(|here| here.clone()) else {
        return;
    };
    let Some(mut instance) = first.instance.clone() else {
        return;
    };
    let mut told = Notices::default();
    for round in 1_u32.. {
        let notices = aws::notices().await;
        tell(&told, &notices);
        stats.instance.set(about(&instance, &notices));
        told = notices;
        tokio::time::sleep(NOTICES_INTERVAL).await;
        if round % REFRESHED_EVERY != 0 {
            continue;
        }
        // What is not answered has not changed.
        let Ok(now) = aws::instance().await else {
            continue;
        };
        if now != instance && now.id == instance.id {
            info!(
                group = now.auto_scaling_group,
                tags = now.tags.len(),
                "what EC2 says of this instance has changed"
            );
            here.send_replace(Some(Arc::new(first.with(now.clone()))));
            instance = now;
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
