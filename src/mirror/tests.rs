//! What is asked for, and what is taken out of the answers.

mod comparisons;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::alarm::Status;
use crate::aws::{Asked, Failure, Page};
use crate::config::{Select, resolve};
use crate::definition::{Placeholders, evaluated_datapoints, parse};
use crate::metric::{Content, Dimension, Metric, Reading, Resolution, Sample, Unit};
use crate::pipeline::Pipeline;
use crate::stats::Stats;

const INSTANCE: &str = "i-0123456789abcdef0";
const CROSSED: &str = "Threshold Crossed: 1 out of the last 1 datapoints [90.0 (01/01/70 00:01:00)] was greater than the threshold (50.0) (minimum 1 datapoint for OK -> ALARM transition).";

fn wanted(select: Select, prefix: Option<&str>, configured: &[&str]) -> Wanted {
    let here = Placeholders {
        instance_id: Some(INSTANCE.to_owned()),
        hostname: "web-1".to_owned(),
        ..Placeholders::default()
    };
    let resolved = resolve("c", "").0;
    Wanted {
        config: config::Mirror {
            select,
            name_prefix: prefix.map(str::to_owned),
            interval: Duration::from_mins(5),
            search_interval: Duration::from_hours(1),
        },
        sources: Sources::new(&resolved.publish, &here, &resolved.collectors),
        publish: resolved.publish,
        names: vec![INSTANCE.to_owned(), "web-1".to_owned()],
        instance_id: here.instance_id,
        configured: configured.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn described(request: Value, state: &str, since: i64, reason: &str) -> (String, Described) {
    let name = request["AlarmName"].as_str().unwrap().to_owned();
    let described = Described {
        request,
        arn: format!("arn:aws:cloudwatch:us-east-1:111122223333:alarm:{name}"),
        state: state.to_owned(),
        state_since: since * 1_000,
        reason: reason.to_owned(),
        reason_data: None,
        evaluation_state: None,
    };
    (name, described)
}

fn on(name: &str, namespace: &str, metric: &str, instance: &str) -> Value {
    json!({
        "AlarmName": name, "Namespace": namespace, "MetricName": metric,
        "Dimensions": [{"Name": "InstanceId", "Value": instance}],
        "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 50.0,
        "ComparisonOperator": "GreaterThanThreshold",
    })
}

fn follows(name: &str, rule: &str) -> Value {
    json!({"AlarmName": name, "AlarmRule": rule})
}

fn page(requests: Vec<Value>) -> Vec<(String, Described)> {
    let ok = |request| described(request, "OK", 60, CROSSED);
    requests.into_iter().map(ok).collect()
}

fn account() -> Vec<(String, Described)> {
    page(vec![
        on("a-cpu", "CWBridge", "CPUUtilization", INSTANCE),
        on(
            "b-other",
            "CWBridge",
            "CPUUtilization",
            "i-00000000000000000",
        ),
        on("c-status", "AWS/EC2", "StatusCheckFailed", INSTANCE),
        follows("d-top", "ALARM(e-middle)"),
        follows("e-middle", "ALARM(a-cpu) AND OK(b-other)"),
        follows("f-alone", "ALARM(b-other)"),
        json!({"AlarmName": "g-new", "Trend": {"Of": INSTANCE}}),
        json!({"AlarmName": "h-new", "Trend": {"Of": "something else"}}),
    ])
}

#[track_caller]
fn selects(wanted: &Wanted, expected: Expect) {
    let mut selection = Selection::default();
    let mut account = account();
    let prefix = wanted.config.name_prefix.clone().unwrap_or_default();
    account.retain(|(name, _)| name.starts_with(&prefix) || wanted.configured.contains(name));
    // Over two pages, children after what follows them.
    let (second, first): (Vec<_>, Vec<_>) = account
        .into_iter()
        .partition(|(name, _)| name.as_str() < "d");
    selection.add(wanted, first, false);
    selection.add(wanted, second, false);
    selection.complete();
    let mut text: String = selection
        .names()
        .into_iter()
        .map(|name| name + "\n")
        .collect();
    for (name, why) in &selection.unreadable {
        text.extend([&**name, " cannot be read: ", why, "\n"]);
    }
    expected.assert_eq(&text);
}

#[test]
fn what_is_about_this_host_is_selected_with_what_follows_it() {
    selects(
        &wanted(Select::Host, None, &[]),
        expect![[r#"
        a-cpu
        c-status
        d-top
        e-middle
        g-new
        g-new cannot be read: alarm `g-new`: `EvaluationPeriods` is missing
    "#]],
    );
}

#[test]
fn everything_can_be_selected_and_what_the_files_name_is_in_any_case() {
    selects(
        &wanted(Select::All, None, &[]),
        expect![[r#"
        a-cpu
        b-other
        c-status
        d-top
        e-middle
        f-alone
        g-new
        h-new
        g-new cannot be read: alarm `g-new`: `EvaluationPeriods` is missing
        h-new cannot be read: alarm `h-new`: `EvaluationPeriods` is missing
    "#]],
    );
    selects(
        &wanted(Select::All, Some("a-"), &["b-other"]),
        expect![[r#"
            a-cpu
            b-other
        "#]],
    );
}

type Answer = std::future::Ready<Result<Page, Failure>>;

/// What only a query says is about this host where it names it.
#[test]
fn queries_that_name_this_host_are_selected_and_told() {
    let criteria = |query: &str| json!({"PromQLCriteria": {"Query": query}});
    let promql = |name: &str, query: &str| json!({"AlarmName": name, "EvaluationInterval": 60, "EvaluationCriteria": criteria(query)});
    let described = page(vec![
        promql("a", &format!("up{{id=\"{INSTANCE}\"}} == 0")),
        promql("b", "up{host=\"web-1\"} == 0"),
        promql("c", "up{host=\"web-11\"} == 0"),
        follows("d", "ALARM(b) SOMEHOW"),
        follows("e", "ALARM(c) SOMEHOW"),
    ]);
    let wanted = wanted(Select::Host, None, &[]);
    let mut selection = Selection::default();
    selection.add(&wanted, described, false);
    selection.complete();
    assert_eq!(
        selection.names().into_iter().collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(selection.unreadable.keys().collect::<Vec<_>>(), ["d"]);
}

/// CloudWatch's answers, one for each request, and what was asked.
#[derive(Clone, Default)]
struct Service {
    answers: Arc<Mutex<VecDeque<Result<Page, Failure>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn will_answer(&self, page: Vec<(String, Described)>, token: Option<&str>) {
        let page = Page {
            alarms: page,
            token: token.map(str::to_owned),
        };
        self.answers.lock().unwrap().push_back(Ok(page));
    }

    fn ask(&self, asked: Asked, token: Option<String>) -> Answer {
        let asked = match asked {
            Asked::Prefix(prefix) => format!("prefix {prefix:?} {token:?}"),
            Asked::Names(names) => format!("names {}", names.join(" ")),
        };
        self.asked.lock().unwrap().push(asked);
        std::future::ready(self.answers.lock().unwrap().pop_front().unwrap())
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

struct World {
    service: Service,
    found: watch::Receiver<Arc<Found>>,
    views: watch::Receiver<Option<Arc<Views>>>,
    stats: Arc<Stats>,
    dir: std::path::PathBuf,
}

impl World {
    fn new(name: &str) -> (Self, Mirror<impl Fn(Asked, Option<String>) -> Answer>) {
        let dir =
            std::env::temp_dir().join(format!("cwbridge-mirror-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (found, found_in) = watch::channel(Arc::default());
        let (views, views_in) = watch::channel(None);
        let world = Self {
            service: Service::default(),
            found: found_in,
            views: views_in,
            stats: Arc::new(Stats::default()),
            dir: dir.clone(),
        };
        let outputs = Outputs {
            found,
            views,
            dir: Some(dir),
        };
        let service = world.service.clone();
        let ask = move |asked, token| service.ask(asked, token);
        let mirror = Mirror::new(ask, outputs, Arc::clone(&world.stats));
        (world, mirror)
    }

    fn found(&self) -> Vec<String> {
        let found = self.found.borrow();
        found
            .alarms
            .iter()
            .map(|alarm| alarm.name.clone())
            .collect()
    }

    fn viewed(&self) -> Vec<String> {
        let views = self.views.borrow();
        let views = views.iter().flat_map(|views| views.alarms.keys());
        views.cloned().collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn all_pages_are_read_once_and_then_only_what_was_found() {
    let (world, mut mirror) = World::new("pages");
    let wanted = wanted(Select::Host, None, &["cpu-high"]);
    let mut all = account();
    world.service.will_answer(all.split_off(4), Some("2"));
    world.service.will_answer(all, None);
    mirror.round(&wanted).await;
    assert_eq!(
        world.service.asked(),
        ["prefix None None", "prefix None Some(\"2\")"]
    );
    assert_eq!(world.found(), ["a-cpu", "c-status", "d-top", "e-middle"]);
    assert_eq!(world.stats.mirror_requests.get()["accepted"], 2);
    let kept = kept(&world.dir);
    assert_eq!(kept.alarms.len(), 4, "for the next start");
    assert_eq!(kept.alarms, world.found.borrow().alarms, "with their ARNs");
    let states = kept.states.iter().map(|of| (of.state, of.transitioned_at));
    assert!(states.clone().all(|(state, _)| state == StateValue::Ok));

    // Meanwhile one was deleted, and that of the files was made.
    let mut now = account();
    now.truncate(1);
    now.extend(page(vec![on(
        "cpu-high",
        "CWBridge",
        "CPUUtilization",
        INSTANCE,
    )]));
    world.service.will_answer(now, None);
    mirror.round(&wanted).await;
    assert_eq!(
        world.service.asked(),
        ["names a-cpu c-status cpu-high d-top e-middle g-new"]
    );
    assert_eq!(
        world.found(),
        ["a-cpu"],
        "that of the files is judged as the files have it"
    );
    assert_eq!(world.viewed(), ["a-cpu", "cpu-high"]);
}

#[tokio::test]
async fn what_is_known_stays_while_nothing_is_answered() {
    let (world, mut mirror) = World::new("refused");
    let wanted = wanted(Select::Host, None, &[]);
    world.service.will_answer(account(), None);
    mirror.round(&wanted).await;
    let throttled = Failure::Throttled("Rate exceeded".to_owned());
    world
        .service
        .answers
        .lock()
        .unwrap()
        .push_back(Err(throttled));
    mirror.round(&wanted).await;
    assert_eq!(world.found().len(), 4);
    assert_eq!(world.viewed().len(), 5);
    assert_eq!(world.stats.mirror_requests.get()["throttled"], 1);
}

/// An account that cannot be looked through does not keep what is known from being looked at.
#[tokio::test]
async fn while_searches_fail_the_known_alarms_are_asked_for() {
    let (world, mut mirror) = World::new("searches");
    let mut wanted = wanted(Select::Host, None, &[]);
    wanted.config.search_interval = Duration::ZERO;
    world.service.will_answer(account(), None);
    mirror.round(&wanted).await;
    world.service.asked();
    wanted.config.search_interval = Duration::from_hours(1);
    let throttled = Failure::Throttled("Rate exceeded".to_owned());
    world
        .service
        .answers
        .lock()
        .unwrap()
        .push_back(Err(throttled));
    world.service.will_answer(
        page(vec![on("a-cpu", "CWBridge", "CPUUtilization", INSTANCE)]),
        None,
    );
    mirror.round(&wanted).await;
    assert_eq!(
        world.service.asked(),
        [
            "prefix None None",
            "names a-cpu c-status d-top e-middle g-new"
        ]
    );
    assert_eq!(world.found(), ["a-cpu"]);
    // And the search is put off.
    world.service.will_answer(
        page(vec![on("a-cpu", "CWBridge", "CPUUtilization", INSTANCE)]),
        None,
    );
    mirror.round(&wanted).await;
    assert_eq!(world.service.asked(), ["names a-cpu"]);
}

#[tokio::test]
async fn an_account_without_end_is_given_up() {
    let (world, mut mirror) = World::new("endless");
    for _ in 0..2_000 {
        world.service.will_answer(vec![], Some("again"));
    }
    mirror.round(&wanted(Select::Host, None, &[])).await;
    assert_eq!(world.service.asked().len(), 1_000);
    assert_eq!(world.viewed(), Vec::<String>::new());
}

/// Nobody was asked, so that nothing was answered.
#[tokio::test]
async fn where_nothing_is_known_nothing_is_asked_and_nothing_answered() {
    let (world, mut mirror) = World::new("nothing");
    let wanted = wanted(Select::Host, None, &[]);
    world.service.will_answer(vec![], None);
    mirror.round(&wanted).await;
    world
        .stats
        .mirrored_at
        .store(0, std::sync::atomic::Ordering::Relaxed);
    mirror.round(&wanted).await;
    assert_eq!(world.service.asked(), ["prefix None None"]);
    let answered = world
        .stats
        .mirrored_at
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(answered, 0);
}

/// Of a search that fails on its second page nothing is taken: what is missing may be on it.
#[tokio::test]
async fn half_an_answer_is_none() {
    let (world, mut mirror) = World::new("half");
    let mut wanted = wanted(Select::Host, None, &[]);
    wanted.config.interval = Duration::ZERO;
    world.service.will_answer(account(), Some("2"));
    let failure = Failure::Throttled("Rate exceeded".to_owned());
    world
        .service
        .answers
        .lock()
        .unwrap()
        .push_back(Err(failure));
    mirror.round(&wanted).await;
    assert_eq!((world.found(), world.viewed()), (vec![], vec![]));
    world.service.asked();
    world.service.will_answer(account(), None);
    mirror.round(&wanted).await;
    assert_eq!(
        world.service.asked(),
        ["prefix None None"],
        "and it is searched again"
    );
}

#[tokio::test]
async fn with_a_prefix_the_alarms_of_the_files_are_asked_for_by_name() {
    let (world, mut mirror) = World::new("prefix");
    let wanted = wanted(Select::All, Some("a-"), &["b-other", "a-cpu"]);
    let mut all = account();
    let rest = all.split_off(1);
    world.service.will_answer(all, None);
    world.service.will_answer(rest[..1].to_vec(), None);
    mirror.round(&wanted).await;
    assert_eq!(
        world.service.asked(),
        ["prefix Some(\"a-\") None", "names b-other"]
    );
    assert_eq!(world.viewed(), ["a-cpu", "b-other"]);
    assert!(world.found().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_no_more_is_forgotten() {
    let (world, mirror) = World::new("forgotten");
    let (wanted_out, wanted_in) = watch::channel(Some(Arc::new(wanted(Select::Host, None, &[]))));
    world.service.will_answer(account(), None);
    let running = tokio::spawn(mirror.run(wanted_in, |_| Duration::ZERO));
    let mut found = world.found.clone();
    found.changed().await.unwrap();
    assert_eq!(world.found().len(), 4);
    wanted_out.send_replace(None);
    found.changed().await.unwrap();
    assert!(world.found().is_empty());
    assert!(kept(&world.dir).alarms.is_empty());
    drop(wanted_out);
    running.await.unwrap();
}
