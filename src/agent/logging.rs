//! What goes to CloudWatch Logs, as the configuration in force has it.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

use crate::aws::Failure;
use crate::definition::Placeholders;
use crate::keeper::Handle;
use crate::logs::{self, Tee};
use crate::stats::Stats;

use super::Plan;
use super::prepare::Here;

/// What the program has, from its start to its end.
struct Logging {
    here: watch::Receiver<Option<Arc<Here>>>,
    planned: watch::Receiver<Plan>,
    keeper: Handle,
    stats: Arc<Stats>,
    tee: Tee,
}

/// Sends until `ended` says so.
pub(super) fn run(
    plan: &Plan,
    here: &watch::Receiver<Option<Arc<Here>>>,
    planned: &watch::Receiver<Plan>,
    (keeper, stats, ended): (&Handle, &Arc<Stats>, &watch::Receiver<bool>),
) -> impl Future<Output = ()> + use<> {
    let logging = Logging {
        here: here.clone(),
        planned: planned.clone(),
        keeper: keeper.clone(),
        stats: Arc::clone(stats),
        tee: plan.tee.clone(),
    };
    logging.run(ended.clone())
}

impl Logging {
    /// Sends until `ended` says so; begins anew when something else is configured, or more is known of the host that was missing.
    async fn run(mut self, mut ended: watch::Receiver<bool>) {
        let is_known = tokio::select! {
            known = self.here.wait_for(Option::is_some) => known.is_ok(),
            _ = ended.wait_for(|ended| *ended) => false,
        };
        let is_forgetful = {
            let plan = self.planned.borrow();
            plan.state_dir.is_none() && !plan.config.logs.is_empty()
        };
        if is_forgetful {
            warn!(
                "there is no place for the journal: what CloudWatch Logs does not have at the end of the program is lost, and files are sent anew after a restart"
            );
        }
        let mut goes_on = is_known;
        while goes_on {
            let inputs = self.inputs();
            let config = inputs.config.clone();
            let is_logged = config.record.as_ref().is_some_and(|it| it.daemon_log);
            self.tee.set(is_logged);
            let waiting = logs::waiting(&config, &inputs.placeholders);
            let (stop, stopped) = watch::channel(false);
            let running = logs::run(inputs, stopped);
            tokio::pin!(running);
            let mut is_idle = config.is_empty();
            goes_on = loop {
                tokio::select! {
                    () = &mut running, if !is_idle => is_idle = true,
                    _ = ended.wait_for(|ended| *ended) => break false,
                    Ok(()) = self.planned.changed() => {
                        if self.planned.borrow_and_update().config.logs != config {
                            break true;
                        }
                    }
                    Ok(()) = self.here.changed(), if waiting > 0 => {
                        if logs::waiting(&config, &self.placeholders()) < waiting {
                            break true;
                        }
                    }
                }
            };
            stop.send_replace(true);
            if !is_idle {
                running.await;
            }
        }
    }

    fn placeholders(&mut self) -> Placeholders {
        let here = self.here.borrow_and_update();
        let known = here.as_ref().map(|here| here.placeholders.clone());
        known.unwrap_or_default()
    }

    fn inputs(&mut self) -> logs::Inputs {
        let here = self.here.clone();
        let region = move || -> Result<String, Failure> {
            let here = here.borrow();
            let unknown = || Failure::NotSent("it is not known yet which host this is".to_owned());
            let here = here.as_ref().ok_or_else(unknown)?;
            here.region().map(str::to_owned)
        };
        let placeholders = self.placeholders();
        logs::Inputs {
            config: self.planned.borrow_and_update().config.logs.clone(),
            keeper: self.keeper.clone(),
            stats: Arc::clone(&self.stats),
            placeholders,
            region: Arc::new(region),
            tee: self.tee.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::aws::Instance;
    use crate::config::resolve;

    use super::*;

    /// What is called by something that the metadata tells late is sent from then on.
    #[tokio::test]
    async fn sending_begins_once_names_are_known() {
        let text = "[logs]\ngroup = \"/hosts\"\nstream = \"${aws:InstanceId}\"\n";
        let plan = Plan {
            config: resolve("test", text).0,
            alarms: None,
            mute_rules: Vec::new(),
            guard: None,
            state_dir: None,
            region: None,
            endpoint_url: None,
            variable: |_| None,
            instance_metadata: false,
            tee: Tee::default(),
        };
        let (_planned, planned_in) = watch::channel(plan);
        let nowhere = Here::nowhere(Placeholders::default());
        let known = nowhere.with(Instance {
            id: "i-1".to_owned(),
            ..Instance::default()
        });
        let (here, here_in) = watch::channel(Some(Arc::new(nowhere)));
        let (_ended, ended_in) = watch::channel(false);
        let stats = Arc::new(Stats::default());
        let logging = Logging {
            here: here_in,
            planned: planned_in,
            keeper: crate::keeper::in_memory(Arc::clone(&stats)),
            stats: Arc::clone(&stats),
            tee: Tee::default(),
        };
        let has_begun = || stats.logs.get().shipped.contains_key("record");
        let watched = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            assert!(!has_begun());
            here.send_replace(Some(Arc::new(known)));
            for _ in 0..1_000 {
                if has_begun() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            panic!("it did not begin");
        };
        tokio::select! {
            () = logging.run(ended_in) => panic!("it goes on"),
            () = watched => {}
        }
    }
}
