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
use crate::definition::{Placeholders, parse};
use crate::metric::{Content, Dimension, Metric, Reading, Resolution, Sample, Unit};
use crate::pipeline::Pipeline;
use crate::stats::Stats;

const INSTANCE: &str = "i-0123456789abcdef0";
const CROSSED: &str = "Threshold Crossed: 1 out of the last 1 datapoints [90.0 (01/01/70 00:01:00)] was greater than the threshold (50.0) (minimum 1 datapoint for OK -> ALARM transition).";

fn wanted(select: Select, prefix: Option<&str>, configured: &[&str]) -> Wanted {
    let here = Placeholders {
        instance_id: Some(INSTANCE.to_owned()),
        hostname: "web-1".to_owned(),
    };
    let publish = resolve("c", "").0.publish;
    Wanted {
        config: config::Mirror {
            select,
            name_prefix: prefix.map(str::to_owned),
            interval: Duration::from_mins(5),
            search_interval: Duration::from_hours(1),
        },
        sources: Sources::new(&publish, &here, true),
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
    assert_eq!(kept(&world.dir).alarms.len(), 4, "for the next start");

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

/// Of a search that fails on its second page nothing is taken: what is missing may be on it.
#[tokio::test]
async fn half_an_answer_is_none() {
    let (world, mut mirror) = World::new("half");
    let wanted = wanted(Select::Host, None, &[]);
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

/// One alarm on CPU above 50, judged from one value a minute.
fn judged(values: &[f64]) -> (Pipeline, Alarm) {
    let text = on("cpu", "CWBridge", "CPUUtilization", INSTANCE).to_string();
    let alarm = parse("a", &text).alarms.remove(0).alarm;
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![alarm.clone()], Timestamp::from_seconds(0));
    for (minute, value) in values.iter().enumerate() {
        feed(&mut pipeline, minute as i64 * 60, *value);
    }
    (pipeline, alarm)
}

fn on_five_minutes() -> Alarm {
    let mut request = on("cpu", "CWBridge", "CPUUtilization", INSTANCE);
    request["EvaluationPeriods"] = json!(5);
    let parsed = parse("a", &request.to_string());
    parsed.alarms.into_iter().next().unwrap().alarm
}

fn feed(pipeline: &mut Pipeline, at: i64, value: f64) {
    let dimensions = vec![Dimension::new("InstanceId", INSTANCE)];
    let at = Timestamp::from_seconds(at);
    let sample = Sample {
        metric: Arc::new(Metric::new("CWBridge", "CPUUtilization", dimensions)),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        at,
        content: Content::Value(value),
    };
    pipeline.advance(&Reading {
        at,
        samples: vec![sample],
    });
}

fn view(alarm: &Alarm, state: StateValue, since: i64) -> View {
    View {
        alarm: Some(alarm.clone()),
        state,
        since: Timestamp::from_seconds(since),
        reason: CROSSED.to_owned(),
        datapoints: vec![],
        evaluation_state: None,
    }
}

fn views(asked_at: i64, view: View) -> Views {
    Views {
        asked_at: Timestamp::from_seconds(asked_at),
        alarms: [("cpu".to_owned(), view)].into(),
    }
}

fn compared(statuses: &[Arc<Status>], views: &Views, waiting_since: Option<i64>) -> Comparison {
    let mut comparisons = Comparisons::default();
    let waiting_since = waiting_since.map(Timestamp::from_seconds);
    comparisons.update(statuses, views, waiting_since);
    comparisons.by_name["cpu"].clone()
}

#[track_caller]
fn disagrees(pipeline: &Pipeline, views: &Views, waiting_since: Option<i64>, expected: &str) {
    let comparison = compared(&pipeline.statuses(), views, waiting_since);
    let Some(Agreement::Disagrees(disagreement)) = comparison.agreement else {
        panic!("{comparison:?}");
    };
    assert_eq!(disagreement.to_string(), expected);
}

/// It was found to be in ALARM at 10 minutes and is judged until 20.
fn hot() -> (Pipeline, Alarm) {
    let values: Vec<f64> = (0..=20)
        .map(|minute| if minute < 9 { 10.0 } else { 90.0 })
        .collect();
    judged(&values)
}

#[test]
fn the_same_state_agrees() {
    let (pipeline, alarm) = hot();
    let views = views(1_210, view(&alarm, StateValue::Alarm, 660));
    let comparison = compared(&pipeline.statuses(), &views, None);
    assert_eq!(comparison.agreement, Some(Agreement::Agrees));
}

#[test]
fn a_state_that_changed_since_is_no_disagreement() {
    let (pipeline, alarm) = hot();
    let views = views(599, view(&alarm, StateValue::Ok, 60));
    let comparison = compared(&pipeline.statuses(), &views, None);
    assert_eq!(comparison.agreement, Some(Agreement::NotAskedSince));
}

#[test]
fn each_reason_is_told() {
    let (pipeline, alarm) = hot();
    let late = |view| views(1_210, view);
    let ok = view(&alarm, StateValue::Ok, 60);
    disagrees(&pipeline, &late(ok.clone()), None, "different data");
    // Right after the transition, and also later while datapoints wait.
    disagrees(
        &pipeline,
        &views(660, ok.clone()),
        None,
        "data not yet arrived",
    );
    disagrees(
        &pipeline,
        &late(ok.clone()),
        Some(1_140),
        "data not yet arrived",
    );
    disagrees(&pipeline, &late(ok.clone()), Some(1_200), "different data");
    // CloudWatch was in ALARM meanwhile and left it: it has the data.
    let left = view(&alarm, StateValue::Ok, 630);
    disagrees(&pipeline, &views(660, left), None, "different data");
    let by_hand = View {
        reason: "testing".to_owned(),
        ..ok.clone()
    };
    disagrees(
        &pipeline,
        &late(by_hand),
        None,
        "the state was set by hand in CloudWatch (it says `testing`)",
    );
    let failed = View {
        evaluation_state: Some("EVALUATION_ERROR".to_owned()),
        ..ok.clone()
    };
    disagrees(
        &pipeline,
        &late(failed),
        None,
        "CloudWatch could not evaluate it (EVALUATION_ERROR)",
    );
    let mut other = on("cpu", "CWBridge", "CPUUtilization", INSTANCE);
    other["Threshold"] = json!(95.0);
    let other = parse("a", &other.to_string()).alarms.remove(0).alarm;
    let defined = view(&other, StateValue::Ok, 60);
    disagrees(
        &pipeline,
        &late(defined),
        None,
        "CloudWatch has another definition",
    );
    let data = r#"{"evaluatedDatapoints":[{"timestamp":"1970-01-01T00:19:00.000+0000","value":20.5},{"timestamp":"1970-01-01T00:18:00.000+0000","value":90.0},{"timestamp":"1970-01-01T00:17:00.000+0000"}]}"#;
    let seen = View {
        datapoints: evaluated_datapoints(data),
        ..ok
    };
    disagrees(
        &pipeline,
        &late(seen),
        None,
        "different data (at 1970-01-01T00:19:00Z CloudWatch had 20.5, this host 90.0)",
    );
}

#[test]
fn what_is_not_certain_here_is_the_likely_reason() {
    // Begun at 20 minutes: what was before is not known.
    let alarm = on_five_minutes();
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![alarm.clone()], Timestamp::from_seconds(0));
    feed(&mut pipeline, 1_200, 90.0);
    feed(&mut pipeline, 1_260, 90.0);
    feed(&mut pipeline, 1_320, 90.0);
    pipeline.advance(&Reading {
        at: Timestamp::from_seconds(1_380),
        samples: vec![],
    });
    assert_eq!(pipeline.statuses()[0].state, StateValue::InsufficientData);
    let views = views(1_600, view(&alarm, StateValue::Alarm, 1_000));
    disagrees(&pipeline, &views, None, "history incomplete here");
}

#[test]
fn a_composite_alarm_is_another_because_of_what_it_follows() {
    let (_, cpu) = hot();
    let above = parse("a", &follows("above", "ALARM(cpu)").to_string());
    let above = above.alarms.into_iter().next().unwrap().alarm;
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![cpu.clone(), above.clone()], Timestamp::from_seconds(0));
    (0..=20).for_each(|minute| feed(&mut pipeline, minute * 60, 90.0));
    let mut views = views(1_210, view(&cpu, StateValue::Ok, 60));
    let reason = "arn:aws:cloudwatch:us-east-1:111122223333:alarm:above was created and its alarm rule evaluates to OK";
    let above = View {
        reason: reason.to_owned(),
        ..view(&above, StateValue::Ok, 60)
    };
    views.alarms.insert("above".to_owned(), above);
    let mut comparisons = Comparisons::default();
    comparisons.update(&pipeline.statuses(), &views, None);
    let Some(Agreement::Disagrees(disagreement)) = &comparisons.by_name["above"].agreement else {
        panic!("{comparisons:?}");
    };
    assert_eq!(
        disagreement.to_string(),
        "an alarm that it follows disagrees (`cpu`)"
    );
}

#[test]
fn the_lead_is_told_of_what_both_entered_since_cloudwatch_is_asked() {
    let (pipeline, alarm) = hot();
    let statuses = pipeline.statuses();
    let mut comparisons = Comparisons::default();
    // When it is asked first it is in ALARM already: nobody saw who was first.
    comparisons.update(
        &statuses,
        &views(900, view(&alarm, StateValue::Alarm, 660)),
        None,
    );
    assert_eq!(comparisons.by_name["cpu"].lead, None);

    let mut comparisons = Comparisons::default();
    comparisons.update(
        &statuses,
        &views(300, view(&alarm, StateValue::Ok, 60)),
        None,
    );
    let mut entered = view(&alarm, StateValue::Alarm, 0);
    entered.since = Timestamp::from_milliseconds(661_500);
    comparisons.update(&statuses, &views(900, entered), None);
    assert_eq!(comparisons.by_name["cpu"].lead_seconds(), Some(61.5));
    // Back there and by hand: it stays what it was.
    let by_hand = View {
        reason: "testing".to_owned(),
        ..view(&alarm, StateValue::Ok, 1_000)
    };
    comparisons.update(&statuses, &views(1_100, by_hand), None);
    assert_eq!(comparisons.by_name["cpu"].lead_seconds(), Some(61.5));
}

#[test]
fn an_alarm_that_is_new_here_goes_on_from_its_state_in_cloudwatch() {
    let alarm = on_five_minutes();
    let mut pipeline = Pipeline::default();
    feed(&mut pipeline, 60_000, 90.0);
    let now = Timestamp::from_seconds(60_000);
    pipeline.set_alarms(vec![alarm.clone()], now);
    pipeline.take_over(
        &[view(&alarm, StateValue::Alarm, 660).snapshot(&alarm)],
        now,
    );
    let status = pipeline.status("cpu").unwrap();
    assert_eq!(
        (status.state, status.transitioned_at, &*status.reason),
        (
            StateValue::Alarm,
            Some(Timestamp::from_seconds(660)),
            CROSSED
        )
    );
    feed(&mut pipeline, 60_060, 90.0);
    feed(&mut pipeline, 60_120, 90.0);
    let status = pipeline.status("cpu").unwrap();
    assert_eq!(status.state, StateValue::Alarm);
    assert_eq!(
        status.evaluation.unwrap().certainty,
        Certainty::HistoryIncomplete
    );
    assert!(status.transitions.values().all(|count| *count == 0));
}
