//! CloudWatch's own alarms between the tasks: what is asked for, what is judged, what is compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{OnceCell, watch};

use crate::alarm::Alarm;
use crate::aws::{Alarms, Asked};
use crate::mirror::{self, Found, Mirror, Outputs, Views, Wanted};
use crate::publish::spread;
use crate::stats::Stats;

use super::Plan;
use super::drive::Prepared;
use super::prepare::Here;

/// What others tell the mirror and hear of it.
#[derive(Clone, Debug)]
pub(super) struct Wires {
    /// `None` until it is known which host this is, and where nothing is wanted.
    pub(super) wanted: watch::Sender<Option<Arc<Wanted>>>,
    pub(super) found: watch::Receiver<Arc<Found>>,
    pub(super) views: watch::Receiver<Option<Arc<Views>>>,
}

impl Wires {
    /// Asks for something else, if it is: to look through an account anew costs requests.
    pub(super) fn want(&self, wanted: Option<Arc<Wanted>>) {
        self.wanted.send_if_modified(|before| {
            let is_same = match (&before, &wanted) {
                (Some(before), Some(wanted)) => before.is_as(wanted),
                (None, None) => true,
                _ => false,
            };
            *before = wanted;
            !is_same
        });
    }
}

/// The mirror, which asks whenever that is wanted. It begins with what was mirrored before the start.
pub(super) fn mirror(
    plan: &Plan,
    here: watch::Receiver<Option<Arc<Here>>>,
    stats: Arc<Stats>,
) -> (Wires, impl Future<Output = ()> + use<>) {
    let kept = match (&plan.config.mirror, &plan.state_dir) {
        (Some(_), Some(dir)) => mirror::kept(dir),
        _ => Found::default(),
    };
    let (wanted, wanted_in) = watch::channel(None);
    let (found, found_in) = watch::channel(Arc::new(kept));
    let (views, views_in) = watch::channel(None);
    let outputs = Outputs {
        found,
        views,
        dir: plan.state_dir.clone(),
    };
    let endpoint_url = plan.config.publish.endpoint_url.clone();
    let wires = Wires {
        wanted,
        found: found_in,
        views: views_in,
    };
    (wires, run(endpoint_url, here, wanted_in, outputs, stats))
}

/// A client is made when something is wanted for the first time.
async fn run(
    endpoint_url: Option<String>,
    mut here: watch::Receiver<Option<Arc<Here>>>,
    mut wanted: watch::Receiver<Option<Arc<Wanted>>>,
    outputs: Outputs,
    stats: Arc<Stats>,
) {
    let first = here.wait_for(Option::is_some).await;
    let first = first.ok().and_then(|here| here.clone());
    let is_wanted = wanted.wait_for(Option::is_some).await.is_ok();
    let (Some(first), true) = (first, is_wanted) else {
        return;
    };
    let (client, key) = (Arc::new(OnceCell::new()), first.key());
    let ask = move |asked: Asked, token: Option<String>| {
        let (client, now) = (Arc::clone(&client), here.borrow().clone());
        let (endpoint_url, first) = (endpoint_url.clone(), Arc::clone(&first));
        async move {
            // The region may be known later only.
            let connect = || async {
                let here = now.as_ref().unwrap_or(&first);
                let region = here.region()?;
                Ok(Alarms::connect_to_watch(region, endpoint_url.as_deref()).await)
            };
            client
                .get_or_try_init(connect)
                .await?
                .page(&asked, token)
                .await
        }
    };
    let phase = move |interval| spread(&key, interval);
    Mirror::new(ask, outputs, stats).run(wanted, phase).await;
}

impl Here {
    /// What is to be asked of CloudWatch's own alarms, if anything.
    pub(super) fn wanted(&self, plan: &Plan, prepared: &Prepared) -> Option<Arc<Wanted>> {
        let config = plan.config.mirror.clone()?;
        let configured = prepared.alarms.iter().take(prepared.configured);
        let instance_id = self.instance_id(plan);
        let host = Some(self.placeholders.hostname.clone()).filter(|name| !name.is_empty());
        Some(Arc::new(Wanted {
            config,
            sources: plan.sources(&self.placeholders),
            publish: plan.config.publish.clone(),
            names: instance_id.iter().cloned().chain(host).collect(),
            instance_id,
            configured: configured.map(|alarm| alarm.name.clone()).collect(),
        }))
    }

    /// As it was found out, or as it was configured where it cannot be.
    fn instance_id(&self, plan: &Plan) -> Option<String> {
        let mut constant = plan.config.publish.dimensions.iter();
        let configured = constant.find(|(name, _)| name == "InstanceId");
        let configured = configured.and_then(|(_, id)| self.placeholders.fill(id).ok());
        self.placeholders.instance_id.clone().or(configured)
    }
}

/// What is only in CloudWatch: of two alarms with the same name that of the files is judged.
pub(super) fn mirrored(configured: &[Alarm], found: &Found) -> Vec<Alarm> {
    let names: BTreeSet<&str> = configured.iter().map(|alarm| &*alarm.name).collect();
    let mirrored = found.alarms.iter();
    mirrored
        .filter(|alarm| !names.contains(&*alarm.name))
        .cloned()
        .collect()
}
