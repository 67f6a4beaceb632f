//! What is sampled, what is published of it, and what can be judged.

use super::*;
use crate::alarm::StateValue;
use crate::config::resolve;
use crate::definition::{BUILT_IN, parse, substitute};
use crate::host::{Core, Modes};
use crate::pipeline::Pipeline;
use expect_test::{Expect, expect};

fn here(instance_id: Option<&str>) -> Placeholders {
    Placeholders {
        instance_id: instance_id.map(str::to_owned),
        hostname: "web-1".to_owned(),
    }
}

fn sources(config: &str, instance_id: Option<&str>) -> Sources {
    Sources::new(&resolve("c", config).0.publish, &here(instance_id), true)
}

fn look(at: i64, utilization: Option<f64>) -> Look {
    let core = |id, utilization| Core {
        id,
        seconds: Modes([0.0; 8]),
        guests: [0.0; 2],
        utilization,
    };
    let cpu = Cpu {
        seconds: Modes([0.0; 8]),
        utilization,
        cores: vec![core(0, utilization), core(2, Some(7.0))],
        boot_time: 0,
        context_switches: 0,
        forks: 0,
        interrupts: 0,
        processes_running: None,
        processes_blocked: None,
    };
    Look {
        at: Timestamp::from_seconds(at),
        cpu: Some(cpu),
        collected: Arc::new([]),
        new: vec![],
    }
}

/// What is sampled, what is published of that, and what was warned of.
#[track_caller]
fn check(config: &str, instance_id: Option<&str>, expected: Expect) {
    let mut sources = sources(config, instance_id);
    let reading = sources.reading(&look(0, Some(5.0)));
    let mut written: Vec<String> = reading
        .samples
        .iter()
        .map(|s| format!("{} {:?} {:?}\n", s.metric, s.resolution, s.content))
        .collect();
    written.extend(
        sources
            .published(2)
            .iter()
            .map(|(metric, _)| format!("published: {metric}\n")),
    );
    written.extend(
        sources
            .warnings()
            .iter()
            .map(|warning| format!("warning: {warning}\n")),
    );
    expected.assert_eq(&written.concat());
}

#[test]
fn off_ec2_the_metric_is_known_by_the_host_name() {
    check(
        "",
        None,
        expect![[r#"
        CWBridge CPUUtilization {host=web-1} Standard Value(5.0)
        published: CWBridge CPUUtilization {host=web-1}
    "#]],
    );
}

#[test]
fn on_ec2_it_is_known_by_the_instance_and_the_instances_own_metric_is_followed() {
    check(
        "",
        Some("i-1"),
        expect![[r#"
        CWBridge CPUUtilization {InstanceId=i-1} Standard Value(5.0)
        AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
        published: CWBridge CPUUtilization {InstanceId=i-1}
    "#]],
    );
    check(
        "[publish]\ndetailed_monitoring = true",
        Some("i-1"),
        expect![[r#"
            CWBridge CPUUtilization {InstanceId=i-1} Standard Value(5.0)
            AWS/EC2 CPUUtilization {InstanceId=i-1} Standard Value(5.0)
            published: CWBridge CPUUtilization {InstanceId=i-1}
        "#]],
    );
}

#[test]
fn dimensions_are_overridden_and_extended() {
    let config = "[publish]\ndimensions = { InstanceId = \"i-other\", Team = \"${hostname}-team\" }\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\n";
    check(
        &format!(
            "{config}dimensions = [[\"InstanceId\"], [\"host\", \"cpu\"]]\nhigh_resolution = true"
        ),
        None,
        expect![[r#"
            CWBridge CPUUtilization {InstanceId=i-other, Team=web-1-team} High Value(5.0)
            CWBridge CPUUtilization {InstanceId=i-other, Team=web-1-team, cpu=cpu0, host=web-1} High Value(5.0)
            CWBridge CPUUtilization {InstanceId=i-other, Team=web-1-team, cpu=cpu2, host=web-1} High Value(7.0)
            published: CWBridge CPUUtilization {InstanceId=i-other, Team=web-1-team}
            published: CWBridge CPUUtilization {InstanceId=i-other, Team=web-1-team, cpu=cpu0, host=web-1}
            published: CWBridge CPUUtilization {InstanceId=i-other, Team=web-1-team, cpu=cpu1, host=web-1}
        "#]],
    );
}

#[test]
fn what_cannot_be_published_is_said() {
    let metric =
        "[[publish.metric]]\nnames = [\"CPUUtilization\"]\ndimensions = [[\"InstanceId\"], [], []]";
    check(
        metric,
        None,
        expect![[r#"
            CWBridge CPUUtilization Standard Value(5.0)
            published: CWBridge CPUUtilization
            warning: `CPUUtilization` by `[InstanceId]` is not published: dimension `InstanceId` needs `${aws:InstanceId}`, which has no value on this host
            warning: `CWBridge CPUUtilization` is configured twice; the first entry counts
        "#]],
    );
}

#[test]
fn what_would_come_to_one_metric_twice_is_left_out() {
    let metric = |sets: &str| {
        format!(
            "[publish]\ndimensions = {{ cpu = \"cpu0\" }}\n[[publish.metric]]\nnames = [\"CPUUtilization\"]\ndimensions = {sets}"
        )
    };
    check(
        &metric("[[\"host\", \"InstanceId\"], [\"InstanceId\", \"host\"]]"),
        Some("i-1"),
        expect![[r#"
            CWBridge CPUUtilization {InstanceId=i-1, cpu=cpu0, host=web-1} Standard Value(5.0)
            AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
            published: CWBridge CPUUtilization {InstanceId=i-1, cpu=cpu0, host=web-1}
            warning: `CWBridge CPUUtilization {InstanceId=i-1, cpu=cpu0, host=web-1}` is configured twice; the first entry counts
        "#]],
    );
    check(
        &metric("[[\"host\"], [\"host\", \"cpu\"]]"),
        None,
        expect![[r#"
            CWBridge CPUUtilization {cpu=cpu0, host=web-1} Standard Value(5.0)
            published: CWBridge CPUUtilization {cpu=cpu0, host=web-1}
            warning: `CWBridge CPUUtilization {cpu=cpu0, host=web-1}` is configured twice; the first entry counts
        "#]],
    );
}

#[test]
fn without_the_cpu_nothing_is_promised() {
    let config = resolve("c", "").0;
    let sources = Sources::new(&config.publish, &here(None), false);
    assert_eq!(
        (sources.published(2), sources.warnings().len()),
        (vec![], 1)
    );
    assert_eq!(sources.built_in(&built_in()), None);
    assert!(sources.mirror(vec![built_in()])[0].not_here.is_some());
}

#[test]
fn of_an_ec2_metric_only_the_average_is_told() {
    let text = BUILT_IN
        .replace("CWBridge", "AWS/EC2")
        .replace("\"Average\"", "\"Maximum\"");
    let alarm = substitute(parse("a", &text).alarms.remove(0).alarm, &here(Some("i-1")));
    let reason = sources("", Some("i-1"))
        .mirror(vec![alarm])
        .remove(0)
        .not_here
        .unwrap();
    expect!["EC2 takes one sample a minute, this host one a second: of their `Maximum` only the Average would agree"].assert_eq(&reason);
}

#[test]
fn missing_utilization_is_no_sample() {
    assert_eq!(sources("", None).reading(&look(0, None)).samples, []);
}

fn built_in() -> Alarm {
    parse("built-in", BUILT_IN).alarms.remove(0).alarm
}

#[test]
fn the_built_in_alarm_follows_what_is_published() {
    let sources = sources("[publish]\nnamespace = \"Mine\"", None);
    let alarm = sources
        .mirror(vec![sources.built_in(&built_in()).unwrap()])
        .remove(0);
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("{alarm:?}")
    };
    let metric = rule.stat().unwrap().metric.to_string();
    assert_eq!(
        (metric.as_str(), alarm.not_here),
        ("Mine CPUUtilization {host=web-1}", None)
    );
}

#[test]
fn alarms_on_what_is_not_here_are_not_mirrored_and_say_why() {
    let sources = sources("", None);
    let reason = |alarm: Alarm| sources.mirror(vec![alarm]).remove(0).not_here.unwrap();
    expect!["this host has no metric `CWBridge CPUUtilization {InstanceId=${aws:InstanceId}}`; it has `CWBridge CPUUtilization {host=web-1}`"]
        .assert_eq(&reason(built_in()));
    expect!["`${aws:InstanceId}` in dimension `InstanceId` has no value on this host"]
        .assert_eq(&reason(substitute(built_in(), &here(None))));
}

/// Under basic monitoring EC2 publishes one datapoint every five minutes: an alarm on one-minute periods sees four
/// of five missing (PITFALLS 10).
#[test]
fn an_ec2_alarm_sees_a_datapoint_every_five_minutes() {
    let mut sources = sources("", Some("i-1"));
    let text = BUILT_IN
        .replace("CWBridge", "AWS/EC2")
        .replace("\"EvaluationPeriods\": 2", "\"EvaluationPeriods\": 1");
    let alarm = substitute(parse("a", &text).alarms.remove(0).alarm, &here(Some("i-1")));
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(sources.mirror(vec![alarm]), Timestamp::from_seconds(0));
    let transitions: Vec<_> = (0..900)
        .flat_map(|at| {
            pipeline
                .advance(&sources.reading(&look(at, Some(5.0))))
                .events
                .transitions
        })
        .map(|transition| (transition.at.seconds(), transition.to))
        .collect();
    let minutes: Vec<_> = transitions.iter().map(|(at, to)| (at / 60, *to)).collect();
    let (alarm, ok) = (StateValue::Alarm, StateValue::Ok);
    assert_eq!(
        minutes,
        [(1, alarm), (5, ok), (7, alarm), (10, ok), (12, alarm)],
        "a datapoint stays in the range for six minutes from its start"
    );
}

#[test]
fn the_instances_own_metric_is_followed_and_not_published() {
    let mut sources = sources("", Some("i-1"));
    let mut pipeline = Pipeline::default();
    pipeline.advance(&sources.reading(&look(0, Some(5.0))));
    let datapoints = pipeline.finish();
    let published = datapoints
        .iter()
        .filter(|datapoint| sources.is_published(datapoint));
    let names: Vec<String> = published
        .map(|datapoint| datapoint.metric.to_string())
        .collect();
    assert_eq!(
        (datapoints.len(), names),
        (
            2,
            vec!["CWBridge CPUUtilization {InstanceId=i-1}".to_owned()]
        )
    );
}
