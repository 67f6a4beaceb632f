//! Alarm files, judged over time as `run` judges them.

use std::fs;
use std::sync::Arc;

use cwbridge::alarm::{Alarm, Certainty, Comparison, ComparisonOperator, Rule, StateValue, Status};
use cwbridge::config;
use cwbridge::definition::{BUILT_IN, Placeholders, parse, substitute};
use cwbridge::host::{Cpu, Look, Modes};
use cwbridge::metric::Timestamp;
use cwbridge::pipeline::Pipeline;
use cwbridge::sources::Sources;

use crate::world::data;

fn here() -> Placeholders {
    Placeholders {
        instance_id: Some("i-0123456789abcdef0".to_owned()),
        hostname: "web-1".to_owned(),
        ..Placeholders::default()
    }
}

fn sources() -> Sources {
    let config = config::resolve("", "").0;
    Sources::new(&config.publish, &here(), &config.collectors)
}

fn alarm(text: &str) -> Alarm {
    let mut parsed = parse("alarms.json", text);
    assert_eq!(parsed.findings, []);
    let alarm = substitute(parsed.alarms.remove(0).alarm, &here());
    sources().mirror(vec![alarm]).remove(0)
}

/// A host that is looked at every second for `minutes` and is 20 percent busy; then what is known of the alarm.
fn after_cool_minutes(alarm: Alarm, minutes: i64) -> Arc<Status> {
    let (mut sources, mut pipeline) = (sources(), Pipeline::default());
    pipeline.set_alarms(vec![alarm], Timestamp::from_seconds(0));
    for at in 0..=minutes * 60 {
        pipeline.advance(&sources.reading(&look(Timestamp::from_seconds(at), 20.0)));
    }
    pipeline.statuses().remove(0)
}

fn look(at: Timestamp, utilization: f64) -> Look {
    let cpu = Cpu {
        seconds: Modes([0.0; 8]),
        utilization: Some(utilization),
        usage: None,
        cores: vec![],
        boot_time: 0,
        context_switches: 0,
        forks: 0,
        interrupts: 0,
        processes_running: None,
        processes_blocked: None,
    };
    Look {
        at,
        cpu: Some(cpu),
        time: std::time::Duration::ZERO,
        cpu_took: None,
        collected: std::sync::Arc::new([]),
        new: vec![],
    }
}

/// What the article has its reader choose.
#[test]
fn the_built_in_alarm_is_the_articles() {
    let alarm = alarm(BUILT_IN);
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("{alarm:?} is mirrored")
    };
    let stat = rule.stat().unwrap();
    assert_eq!(
        stat.metric.to_string(),
        "CWBridge CPUUtilization {InstanceId=i-0123456789abcdef0}"
    );
    assert_eq!(
        (
            stat.statistic.name(),
            rule.period.seconds(),
            rule.evaluation_periods
        ),
        ("Average", 60, 2)
    );
    assert_eq!(
        (rule.comparison.clone(), rule.treatment().name()),
        (
            Comparison::Threshold {
                operator: ComparisonOperator::GreaterThanThreshold,
                threshold: 50.0
            },
            "breaching"
        )
    );
    assert!(
        alarm.actions.enabled && alarm.actions.alarm[0].starts_with("arn:aws:sns:"),
        "{:?}",
        alarm.actions
    );
}

/// An alarm on the instance's own metric is judged from this host's samples, and says so.
#[test]
fn an_alarm_on_the_instances_own_metric_is_measured_in_the_guest() {
    let text = BUILT_IN
        .replace("CWBridge", "AWS/EC2")
        .replace("\"Period\": 60", "\"Period\": 300");
    let status = after_cool_minutes(alarm(&text), 60);
    assert_eq!(
        (status.state, &status.evaluation.as_ref().unwrap().certainty),
        (StateValue::Ok, &Certainty::MeasuredInGuest)
    );
}

#[test]
fn the_articles_alarm_is_ok_on_a_cool_host() {
    let status = after_cool_minutes(alarm(BUILT_IN), 20);
    let evaluation = status.evaluation.as_ref().unwrap();
    assert_eq!(
        (status.state, &evaluation.certainty),
        (StateValue::Ok, &Certainty::Determined)
    );
    assert_eq!(evaluation.points[0].value, Some(20.0));
}

/// The article tells its reader to select the unit Seconds. The metric is published in Percent, so that the alarm never
/// sees a datapoint, and with missing data breaching sits in ALARM for ever.
#[test]
fn the_articles_alarm_with_its_unit_is_in_alarm_for_ever() {
    let text = fs::read_to_string(data("article-unit-seconds.json")).unwrap();
    let status = after_cool_minutes(alarm(&text), 24 * 60);
    let evaluation = status.evaluation.as_ref().unwrap();
    assert_eq!(
        (status.state, &evaluation.certainty),
        (StateValue::Alarm, &Certainty::Determined)
    );
    assert_eq!(
        &*status.reason,
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching]."
    );
    assert_eq!(
        status.transitioned_at,
        Some(Timestamp::from_seconds(60)),
        "from its first evaluation on"
    );
    assert!(evaluation.points.iter().all(|point| point.value.is_none()));
}
