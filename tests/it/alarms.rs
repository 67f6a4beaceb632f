//! Alarm files, judged over time as `run` judges them.

use std::fs;
use std::sync::Arc;

use cwbridge::alarm::{Alarm, Certainty, Rule, StateValue, Status};
use cwbridge::config;
use cwbridge::definition::{BUILT_IN, Placeholders, parse, substitute};
use cwbridge::metric::{Content, Reading, Resolution, Sample, Timestamp, Unit};
use cwbridge::pipeline::Pipeline;
use cwbridge::sources::Sources;

use crate::world::data;

fn here() -> Placeholders {
    Placeholders {
        instance_id: Some("i-0123456789abcdef0".to_owned()),
        hostname: "web-1".to_owned(),
    }
}

fn alarm(text: &str) -> Alarm {
    let (mut definitions, findings) = parse("alarms.json", text);
    assert_eq!(findings, []);
    let alarm = substitute(definitions.remove(0).alarm, &here());
    let sources = Sources::new(&config::resolve("", "").unwrap().publish, &here());
    sources.mirror(vec![alarm]).remove(0)
}

/// A sample of 20 percent every second for `minutes`, as the daemon takes them; then what is known of the alarm.
fn after_cool_minutes(alarm: Alarm, minutes: i64) -> Arc<Status> {
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("{alarm:?} is mirrored")
    };
    let metric = Arc::clone(&rule.metric);
    let mut pipeline = Pipeline::default();
    pipeline.set_alarms(vec![alarm], Timestamp(0));
    for at in (0..=minutes * 60).map(Timestamp) {
        let sample = Sample {
            metric: Arc::clone(&metric),
            unit: Unit::PERCENT,
            resolution: Resolution::Standard,
            at,
            content: Content::Value(20.0),
        };
        pipeline.advance(&Reading {
            at,
            samples: vec![sample],
        });
    }
    pipeline.statuses().remove(0)
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
        status.reason,
        "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching]."
    );
    assert_eq!(
        status.transitioned_at,
        Some(Timestamp(60)),
        "from its first evaluation on"
    );
    assert!(evaluation.points.iter().all(|point| point.value.is_none()));
}
