//! What is sampled, what is published of it, and what can be judged.

mod agent;

use super::source::{FORGOTTEN_AFTER, METRICS_EVER_MAX, METRICS_MAX, acceptable};
use super::*;
use crate::alarm::StateValue;
use crate::config::resolve;
use crate::definition::{BUILT_IN, parse, substitute};
use crate::host::{Collected, Core, Cpu, Gathered, Modes, Value};
use crate::metric::Timestamp;
use crate::pipeline::Pipeline;
use expect_test::{Expect, expect};

fn here(instance_id: Option<&str>) -> Placeholders {
    Placeholders {
        instance_id: instance_id.map(str::to_owned),
        hostname: "web-1".to_owned(),
        ..Placeholders::default()
    }
}

fn sources(config: &str, instance_id: Option<&str>) -> Sources {
    let config = resolve("c", config).0;
    Sources::new(&config.publish, &here(instance_id), &config.collectors)
}

fn facts() -> Facts {
    Facts {
        core_names: vec!["cpu0".to_owned(), "cpu1".to_owned()],
        values: disks(10.0, 20.0),
        ..Facts::default()
    }
}

/// How full two disks are, and the memory.
fn disks(first: f64, second: f64) -> Vec<Value> {
    let value = |name, path: &[(&'static str, &str)], value| Value {
        name,
        unit: "Percent",
        labels: path
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).to_owned()))
            .collect(),
        value,
        is_minor: false,
    };
    vec![
        value(
            "disk_used_percent",
            &[("device", "xvda1"), ("fstype", "xfs"), ("path", "/")],
            first,
        ),
        value(
            "disk_used_percent",
            &[("device", "xvdb"), ("fstype", "ext4"), ("path", "/data")],
            second,
        ),
        value("mem_used_percent", &[], 43.75),
    ]
}

fn look(at: i64, utilization: Option<f64>) -> Look {
    let core = |id, utilization| Core {
        id,
        seconds: Modes([0.0; 8]),
        guests: [0.0; 2],
        utilization,
        usage: None,
    };
    let cpu = Cpu {
        seconds: Modes([0.0; 8]),
        utilization,
        usage: None,
        cores: vec![core(0, utilization), core(2, Some(7.0))],
        boot_time: 0,
        context_switches: 0,
        forks: 0,
        interrupts: 0,
        processes_running: None,
        processes_blocked: None,
    };
    let mut gathered = Gathered::default();
    gathered.values = disks(10.0, 20.0);
    Look {
        at: Timestamp::from_seconds(at),
        cpu: Some(cpu),
        time: std::time::Duration::ZERO,
        cpu_took: None,
        collected: Arc::new([]),
        new: vec![Arc::new(Collected {
            gathered,
            ..Collected::default()
        })],
    }
}

/// A look that saw these values.
fn look_of(at: i64, values: Vec<Value>) -> Look {
    let mut gathered = Gathered::default();
    gathered.values = values;
    Look {
        new: vec![Arc::new(Collected {
            gathered,
            ..Collected::default()
        })],
        ..look(at, None)
    }
}

/// How full the disk at a path with this number is.
fn numbered_disk(number: usize) -> Value {
    Value {
        labels: crate::family::labels([("path", format!("/{number}"))]),
        ..disks(1.0, 1.0).remove(0)
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
            .published(&facts())
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
            warning: `CWBridge CPUUtilization {cpu=${cpu}, host=web-1}` is configured twice; the first entry counts
        "#]],
    );
}

#[test]
fn without_the_cpu_nothing_is_promised() {
    let mut sources = sources("[collectors]\nonly = [\"meminfo\"]", None);
    assert_eq!(
        (sources.published(&facts()), sources.warnings().len()),
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
    let mut sources = sources("", Some("i-1"));
    let reason = sources.mirror(vec![alarm]).remove(0).not_here.unwrap();
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
    let mut sources = sources("[publish]\nnamespace = \"Mine\"", None);
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
    let mut sources = sources("", None);
    let mut reason = |alarm: Alarm| sources.mirror(vec![alarm]).remove(0).not_here.unwrap();
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

/// Everything that is seen comes to a metric without its dimension, and to one of its own with it.
#[test]
fn disks_are_published_one_by_one_and_together() {
    let metric = |rest: &str| {
        format!("[[publish.metric]]\nnames = [\"disk_used_percent\", \"mem_used_percent\"]\n{rest}")
    };
    check(
        &metric(""),
        Some("i-1"),
        expect![[r#"
        CWBridge disk_used_percent {InstanceId=i-1, device=xvda1, fstype=xfs, path=/} Standard Value(10.0)
        CWBridge disk_used_percent {InstanceId=i-1, device=xvdb, fstype=ext4, path=/data} Standard Value(20.0)
        CWBridge mem_used_percent {InstanceId=i-1} Standard Value(43.75)
        AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
        published: CWBridge disk_used_percent {InstanceId=i-1, device=xvda1, fstype=xfs, path=/}
        published: CWBridge disk_used_percent {InstanceId=i-1, device=xvdb, fstype=ext4, path=/data}
        published: CWBridge mem_used_percent {InstanceId=i-1}
    "#]],
    );
    check(
        &metric("dimensions = [[\"InstanceId\"], []]\nrename = { mem_used_percent = \"Memory\" }"),
        Some("i-1"),
        expect![[r#"
            CWBridge disk_used_percent {InstanceId=i-1} Standard Value(10.0)
            CWBridge disk_used_percent {InstanceId=i-1} Standard Value(20.0)
            CWBridge disk_used_percent Standard Value(10.0)
            CWBridge disk_used_percent Standard Value(20.0)
            CWBridge Memory {InstanceId=i-1} Standard Value(43.75)
            CWBridge Memory Standard Value(43.75)
            AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
            published: CWBridge disk_used_percent {InstanceId=i-1}
            published: CWBridge disk_used_percent
            published: CWBridge Memory {InstanceId=i-1}
            published: CWBridge Memory
        "#]],
    );
    let disk = "[[publish.metric]]\nnames = [\"disk_used_percent\"]\n";
    check(
        &format!("{disk}dimensions = [[\"InstanceId\", \"path\"]]\nexclude = {{ path = \"^/$\" }}"),
        Some("i-1"),
        expect![[r#"
            CWBridge disk_used_percent {InstanceId=i-1, path=/data} Standard Value(20.0)
            AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
            published: CWBridge disk_used_percent {InstanceId=i-1, path=/data}
        "#]],
    );
}

#[test]
fn a_group_that_is_not_known_is_said() {
    check(
        "[[publish.metric]]\nnames = [\"mem_used_percent\"]\ndimensions = [[\"AutoScalingGroupName\"], [\"InstanceId\"]]",
        Some("i-1"),
        expect![[r#"
            CWBridge mem_used_percent {InstanceId=i-1} Standard Value(43.75)
            AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
            published: CWBridge mem_used_percent {InstanceId=i-1}
            warning: `mem_used_percent` by `[AutoScalingGroupName]` is not published: dimension `AutoScalingGroupName` needs `${aws:AutoScalingGroupName}`, which has no value on this host
        "#]],
    );
}

#[test]
fn metrics_of_one_name_do_not_become_countless() {
    let config = "[[publish.metric]]\nnames = [\"disk_used_percent\"]\ndimensions = [[\"path\"]]";
    let mut sources = sources(config, None);
    let look = look_of(0, (0..METRICS_MAX + 7).map(numbered_disk).collect());
    for _ in 0..2 {
        assert_eq!(sources.reading(&look).samples.len(), METRICS_MAX);
    }
}

/// What is not seen any more makes room, up to so many while the program runs.
#[test]
fn metrics_that_are_gone_make_room_for_others() {
    let config = "[[publish.metric]]\nnames = [\"disk_used_percent\"]\ndimensions = [[\"path\"]]";
    let mut sources = sources(config, None);
    let mut seen = |at: i64, numbers: std::ops::Range<usize>| {
        let look = look_of(at, numbers.map(numbered_disk).collect());
        sources.reading(&look).samples.len()
    };
    let mut first = 0;
    for round in 0..12_i64 {
        let at = round * FORGOTTEN_AFTER;
        let expected = if first < METRICS_EVER_MAX {
            METRICS_MAX
        } else {
            0
        };
        assert_eq!(seen(at, first..first + METRICS_MAX), expected, "{round}");
        if round == 0 {
            assert_eq!(seen(FORGOTTEN_AFTER - 1, 600..700), 0, "none is gone yet");
        }
        first += METRICS_MAX;
    }
}

#[test]
fn a_dimension_without_a_value_is_left_out_where_it_may_be() {
    check(
        "[[publish.metric]]\nnames = [\"mem_used_percent\"]\ndimensions = [[\"InstanceId\", \"AutoScalingGroupName?\"], [\"InstanceId\"], [\"AutoScalingGroupName\"]]",
        Some("i-1"),
        expect![[r#"
            CWBridge mem_used_percent {InstanceId=i-1} Standard Value(43.75)
            AWS/EC2 CPUUtilization {InstanceId=i-1} Basic Value(5.0)
            published: CWBridge mem_used_percent {InstanceId=i-1}
            warning: `mem_used_percent` by `[AutoScalingGroupName]` is not published: dimension `AutoScalingGroupName` needs `${aws:AutoScalingGroupName}`, which has no value on this host
        "#]],
    );
}

#[test]
fn values_of_dimensions_are_made_such_as_cloudwatch_takes() {
    for (value, taken) in [
        ("/data", "/data"),
        ("/caf\u{e9}", "/caf\\u{e9}"),
        ("/a\nb", "/a\\nb"),
    ] {
        assert_eq!(acceptable(value), taken);
    }
}
