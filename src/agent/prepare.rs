//! Finding out who this host is, saying what will be done, and doing the part that needs AWS.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, oneshot, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::alarm::{Alarm, MuteRule, Options, Status, alarm_name};
use crate::aws::{Failure, Instance, Metrics};
use crate::clock;
use crate::config::Notify;
use crate::cost::{estimate, metrics_alone, publish_interval};
use crate::definition::{BUILT_IN, Placeholders, parse, substitute};
use crate::host::{Facts, Host};
use crate::keeper::Handle;
use crate::metric::Datapoint;
use crate::mirror::Found;
use crate::pipeline::Pipeline;
use crate::publish::{Publisher, Schedule};
use crate::sources::Sources;
use crate::stats::Stats;

use super::drive::Prepared;
use super::mirroring::{Wires, mirrored};
use super::{LOOK_INTERVAL, LOOK_OFFSET, Plan, identity};

/// How long an EC2 instance waits to be told who it is, within what looks are held for.
const IDENTITY_WAIT: Duration = Duration::from_secs(30);
const IDENTITY_PAUSE: Duration = Duration::from_secs(2);

/// Alarms that are named one by one when the program starts.
pub(super) const NAMED_MAX: usize = 20;

/// Prepares, and then publishes until nothing more comes.
pub(super) async fn publish(
    plan: Plan,
    facts: Arc<Facts>,
    known: Known,
    source: Source,
    stats: Arc<Stats>,
) {
    let here = Arc::new(Here::find(&plan, &facts).await);
    let found = Arc::clone(&known.mirror.found.borrow());
    let prepared = here.prepare(&plan, &found);
    let published = prepared.sources.published(&facts);
    let interval = u64::try_from(publish_interval(&published)).unwrap_or(u64::MAX);
    let schedule = Schedule::of(&here.key(), Duration::from_secs(interval));
    info!(
        metrics = published.len(),
        first = ?published.iter().take(NAMED_MAX).map(|(metric, _)| metric.to_string()).collect::<Vec<_>>(),
        region = here.region.as_deref().unwrap_or("none"),
        endpoint = plan.endpoint_url().unwrap_or("of the region"),
        every = %humantime::format_duration(schedule.interval),
        cost = %estimate(&published),
        "will publish to CloudWatch"
    );
    let entries = prepared.sources.published_by_entry(&facts);
    for (names, metrics) in entries.values().filter(|_| entries.len() > 1) {
        let (metrics, dollars) = (metrics.len(), metrics_alone(metrics.len()));
        info!(?names, metrics, cost = %format_args!("about ${dollars:.2} a month"), "of these");
    }
    known
        .mirror
        .wanted
        .send_replace(here.wanted(&plan, &prepared));
    // Only `drive` takes it, and that ends only when everything does.
    let _ = known.prepared.send(prepared);
    known.here.send_replace(Some(Arc::clone(&here)));
    let late = Arc::new(Late {
        here: known.here.subscribe(),
        endpoint_url: plan.config.publish.endpoint_url.clone(),
        metrics: OnceCell::new(),
    });
    let reachable = match late.metrics().await {
        Ok(metrics) => metrics.check_credentials().await,
        Err(failure) => Err(failure),
    };
    let put = move |batch: Vec<Arc<Datapoint>>| {
        let late = Arc::clone(&late);
        async move { late.metrics().await?.put(&batch).await }
    };
    let mut publisher = Publisher::new(source.keeper, put, schedule, stats);
    if let Err(failure) = reachable {
        publisher.failed(&failure);
    }
    publisher.run(source.ended).await;
}

/// CloudWatch as a place to put datapoints, as soon as it is known in which region that is.
struct Late {
    here: watch::Receiver<Option<Arc<Here>>>,
    endpoint_url: Option<String>,
    metrics: OnceCell<Metrics>,
}

impl Late {
    async fn metrics(&self) -> Result<&Metrics, Failure> {
        let connect = || async {
            let here = self.here.borrow().clone();
            let unknown = || Failure::NotSent("it is not known yet which host this is".to_owned());
            let here = here.ok_or_else(unknown)?;
            Ok(Metrics::connect(here.region()?, self.endpoint_url.as_deref()).await)
        };
        self.metrics.get_or_try_init(connect).await
    }
}

/// What placeholders stand for on an instance.
pub fn on_instance(host: &Placeholders, instance: &Instance) -> Placeholders {
    Placeholders {
        instance_id: Some(instance.id.clone()),
        image_id: instance.image_id.clone(),
        instance_type: instance.instance_type.clone(),
        auto_scaling_group: instance.auto_scaling_group.clone(),
        tags: instance.tags.clone(),
        ..host.clone()
    }
}

/// Asks an instance that is one by its firmware who it is. What is sampled meanwhile is held, and published under its own
/// dimensions.
async fn patiently(plan: &Plan) -> Result<Instance, String> {
    let until = Instant::now() + IDENTITY_WAIT;
    let mut is_told = false;
    loop {
        let why = match identity::ask(plan).await {
            Ok(instance) if instance.unanswered.is_none() => return Ok(instance),
            Ok(instance) if Instant::now() >= until => return Ok(instance),
            Ok(instance) => instance.unanswered.unwrap_or_default(),
            Err(why) => why,
        };
        if Instant::now() >= until {
            warn!(
                why,
                "this is an EC2 instance, but its metadata service does not answer: metrics are published by `host` until it does; in a container raise the hop limit with `aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2`"
            );
            return Err(why);
        }
        if !std::mem::replace(&mut is_told, true) {
            warn!(
                why,
                wait = %humantime::format_duration(IDENTITY_WAIT),
                "this is an EC2 instance, but its metadata service does not answer yet: what is sampled is held"
            );
        }
        tokio::time::sleep(IDENTITY_PAUSE).await;
    }
}

/// What is published, and whether more of it will come.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) keeper: Handle,
    pub(super) ended: watch::Receiver<bool>,
}

/// Where it goes what was found out.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) prepared: oneshot::Sender<Prepared>,
    pub(super) here: watch::Sender<Option<Arc<Here>>>,
    pub(super) mirror: Wires,
}

/// This host as AWS knows it.
#[derive(Debug)]
pub(super) struct Here {
    pub(super) placeholders: Placeholders,
    region: Option<String>,
    /// Why the instance metadata service did not answer, if it did not.
    no_instance: Option<String>,
    pub(super) instance: Option<Instance>,
}

impl Here {
    async fn find(plan: &Plan, facts: &Facts) -> Self {
        let instance = match (plan.instance_metadata, facts.is_ec2) {
            (false, _) => Err("it is switched off".to_owned()),
            (true, false) => identity::ask(plan).await,
            (true, true) => patiently(plan).await,
        };
        if let Err(why) = &instance {
            debug!(
                why,
                "the instance metadata service did not answer; this is taken not to be an EC2 instance"
            );
        }
        let placeholders = Placeholders {
            variable: Some(plan.variable),
            hostname: facts.hostname.clone(),
            ..Placeholders::default()
        };
        let none = Self {
            region: plan.region.clone(),
            no_instance: instance.as_ref().err().cloned(),
            ..Self::nowhere(placeholders)
        };
        if let Ok(Instance {
            no_tags: Some(why), ..
        }) = &instance
        {
            warn!(
                why,
                "neither the instance metadata nor EC2 tells the tags of this instance; `deploy/iam/tags.json` is the policy that lets EC2 tell them"
            );
        }
        match instance {
            Ok(instance) => none.with(instance),
            Err(_) => none,
        }
    }

    /// A host of which EC2 says nothing.
    pub(super) fn nowhere(placeholders: Placeholders) -> Self {
        Self {
            placeholders,
            region: None,
            no_instance: None,
            instance: None,
        }
    }

    /// The same host with what EC2 says of it.
    pub(super) fn with(&self, instance: Instance) -> Self {
        Self {
            placeholders: on_instance(&self.placeholders, &instance),
            region: self.region.clone().or_else(|| instance.region.clone()),
            no_instance: None,
            instance: Some(instance),
        }
    }

    /// What a plan comes to on this host, with what is mirrored; said in the log.
    pub(super) fn prepare(&self, plan: &Plan, found: &Found) -> Prepared {
        let prepared = self.prepare_quietly(plan, found);
        announce(&prepared.sources, &prepared.alarms);
        announce_mute_rules(&plan.mute_rules, &prepared.alarms);
        announce_targets(&plan.config.notify);
        prepared
    }

    pub(super) fn prepare_quietly(&self, plan: &Plan, found: &Found) -> Prepared {
        let mut sources = plan.sources(&self.placeholders);
        let mut alarms = alarms(plan.alarms.clone(), &mut sources, &self.placeholders);
        let configured = alarms.len();
        if plan.config.mirror.is_some() {
            let mirrored = mirrored(&alarms, found);
            alarms.append(&mut sources.mirror(mirrored));
        }
        Prepared {
            sources,
            alarms,
            configured,
            states: found.states.clone(),
            mute_rules: plan.mute_rules.clone(),
            targets: plan.config.notify.clone().into(),
            options: Options {
                region: self.region.clone(),
                account: self.instance.as_ref().and_then(|it| it.account.clone()),
                ..Options::default()
            },
        }
    }

    pub(super) fn region(&self) -> Result<&str, Failure> {
        self.region.as_deref().ok_or_else(|| {
            let why = self.no_instance.as_deref().unwrap_or("it knows no region");
            let setting = "set `region` under `[publish]`, or `AWS_REGION`, and start again";
            Failure::NotSent(format!(
                "there is no region; {setting} (instance metadata service: {why})"
            ))
        })
    }

    /// What tells this host from others.
    pub(super) fn key(&self) -> String {
        self.placeholders
            .instance_id
            .clone()
            .unwrap_or_else(|| self.placeholders.hostname.clone())
    }
}

fn alarms(
    configured: Option<Vec<Alarm>>,
    sources: &mut Sources,
    placeholders: &Placeholders,
) -> Vec<Alarm> {
    let fill = |alarm: Alarm| substitute(alarm, placeholders);
    let alarms = match configured {
        Some(alarms) => alarms.into_iter().map(fill).collect(),
        None => {
            let built_in = parse("the built-in alarm", BUILT_IN)
                .alarms
                .into_iter()
                .map(|definition| definition.alarm);
            built_in
                .map(|alarm| sources.built_in(&alarm).unwrap_or_else(|| fill(alarm)))
                .collect()
        }
    };
    sources.mirror(alarms)
}

fn announce(sources: &Sources, alarms: &[Alarm]) {
    for warning in sources.warnings() {
        warn!("{warning}");
    }
    let (mut mirrored, mut not_mirrored) = (Vec::new(), 0);
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(alarms.to_vec(), clock::now());
    let statuses = pipeline.statuses();
    for status in &statuses {
        let name = status.alarm.name.as_str();
        match &status.not_mirrored {
            None => mirrored.push(name),
            Some(reason) => {
                not_mirrored += 1;
                if not_mirrored <= NAMED_MAX {
                    warn!(alarm = name, reason, "alarm is not mirrored");
                }
            }
        }
    }
    let count = mirrored.len();
    mirrored.truncate(NAMED_MAX);
    info!(mirrored = count, not_mirrored, first = ?mirrored, "judging alarms");
    announce_unknown_suppressors(&statuses);
}

/// A rule that names no alarm of this host may be meant for others, and one with a misspelt name mutes nothing.
fn announce_mute_rules(mute_rules: &[MuteRule], alarms: &[Alarm]) {
    if mute_rules.is_empty() {
        return;
    }
    let is_known = |target: &&String| alarms.iter().any(|alarm| alarm.name == **target);
    let targets = mute_rules.iter().flat_map(|rule| &rule.targets);
    let (known, unknown): (Vec<&String>, Vec<&String>) = targets.partition(is_known);
    let (rules, targets) = (mute_rules.len(), known.len());
    info!(rules, targets, "mute rules withhold actions");
    for target in unknown.into_iter().take(NAMED_MAX) {
        warn!(
            alarm = target,
            "a mute rule names an alarm that is not judged here"
        );
    }
}

fn announce_targets(targets: &[Notify]) {
    for target in targets.iter().take(NAMED_MAX) {
        let (name, to) = (&target.name, target.to.kind());
        info!(
            target = name,
            to,
            when = target.when.name(),
            "will tell of state changes"
        );
    }
}

/// CloudWatch would withhold actions that are run here.
fn announce_unknown_suppressors(statuses: &[Arc<Status>]) {
    let unknown = |status: &&Arc<Status>| status.suppressor_unknown;
    for status in statuses.iter().filter(unknown).take(NAMED_MAX) {
        let suppressor = status.alarm.suppressor();
        let suppressor = suppressor.map(|suppressor| alarm_name(&suppressor.alarm));
        warn!(
            alarm = status.alarm.name,
            suppressor,
            "the actions suppressor is not judged here: actions are taken as not suppressed"
        );
    }
}

/// What looks take longer than their interval in a dry run, in seconds.
const DRY_RUN_MARGIN: i64 = 5;

/// Looks at the host until a minute ends, and returns what would be published until then, without sending it.
pub async fn dry_run(plan: Plan) -> anyhow::Result<Vec<Datapoint>> {
    let facts = plan.facts();
    let here = Here::find(&plan, &facts).await;
    let mut sources = here.prepare(&plan, &Found::default()).sources;
    let mut host = Host::new(plan.parts());
    let mut pipeline = Pipeline::default();
    let mut datapoints = Vec::new();
    // What counters rose by is known at the second look of a collector.
    let intervals = plan.config.collectors.enabled.iter();
    let longest = intervals
        .map(|collector| collector.interval.as_secs())
        .max();
    let least = i64::try_from(longest.unwrap_or(0)).unwrap_or(0) * 2 + DRY_RUN_MARGIN;
    let end = (clock::now() + least).ceil(60);
    info!(until = %end, cost = %estimate(&sources.published(&facts)), "dry run: nothing is sent");
    while clock::now() < end && !sources.published(&facts).is_empty() {
        datapoints.append(
            &mut pipeline
                .advance(&sources.reading(&host.look(clock::now())))
                .datapoints,
        );
        tokio::time::sleep(clock::until(
            clock::since_epoch(),
            LOOK_INTERVAL,
            LOOK_OFFSET,
        ))
        .await;
    }
    datapoints.append(&mut pipeline.finish());
    // Of the last minute alone.
    datapoints.retain(|datapoint| {
        let ends = datapoint.start + datapoint.resolution.seconds();
        ends > end - 60 && sources.is_published(datapoint)
    });
    Ok(datapoints)
}
