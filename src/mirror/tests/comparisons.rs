//! CloudWatch's states against those found here.

use super::*;

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
