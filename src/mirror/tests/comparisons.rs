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
    disagrees(
        &pipeline,
        &late(ok.clone()),
        None,
        "nothing here explains it",
    );
    // Right after the transition, and also later while datapoints wait.
    disagrees(
        &pipeline,
        &views(660, ok.clone()),
        None,
        "data not yet arrived",
    );
    // From before the transition; what waits in normal operation explains nothing.
    let arrives = "data not yet arrived";
    disagrees(&pipeline, &late(ok.clone()), Some(540), arrives);
    disagrees(
        &pipeline,
        &late(ok.clone()),
        Some(1_140),
        "nothing here explains it",
    );
    // CloudWatch was in ALARM meanwhile and left it: it has the data.
    let left = view(&alarm, StateValue::Ok, 630);
    disagrees(
        &pipeline,
        &views(660, left),
        None,
        "nothing here explains it",
    );
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
    for (state, expected) in [
        ("PARTIAL_DATA", "CloudWatch evaluated a part of the data"),
        ("IN_WARM_UP", "CloudWatch lets it warm up"),
    ] {
        let told = View {
            evaluation_state: Some(state.to_owned()),
            ..ok.clone()
        };
        disagrees(&pipeline, &late(told), None, expected);
    }
}

#[test]
fn the_newest_datapoint_that_differs_is_named() {
    let (pipeline, alarm) = hot();
    let ok = view(&alarm, StateValue::Ok, 60);
    let data = r#"{"evaluatedDatapoints":[{"timestamp":"1970-01-01T00:19:00.000+0000","value":20.5},{"timestamp":"1970-01-01T00:18:00.000+0000","value":90.0},{"timestamp":"1970-01-01T00:17:00.000+0000"}]}"#;
    let seen = View {
        datapoints: evaluated_datapoints(data),
        ..ok
    };
    disagrees(
        &pipeline,
        &views(1_210, seen),
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

/// Of another alarm that has the same name nothing can be said, in whatever state it is.
#[test]
fn an_alarm_with_another_definition_is_not_compared() {
    let (pipeline, _) = hot();
    let mut request = on("cpu", "CWBridge", "CPUUtilization", INSTANCE);
    let mut compare = |member: &str, value: serde_json::Value| {
        request[member] = value;
        let alarm = parse("a", &request.to_string()).alarms.remove(0).alarm;
        let views = views(1_210, view(&alarm, StateValue::Alarm, 660));
        compared(&pipeline.statuses(), &views, None)
    };
    // What CloudWatch would do by itself.
    for (member, value) in [
        ("TreatMissingData", json!("missing")),
        ("DatapointsToAlarm", json!(1)),
    ] {
        assert_eq!(compare(member, value).agreement, Some(Agreement::Agrees));
    }
    let other = compare("Threshold", json!(95.0));
    assert_eq!(other.agreement, Some(Agreement::OtherDefinition));
    assert_eq!(other.lead, None);
}

#[test]
fn a_composite_rule_means_the_same_however_it_is_written() {
    let rule = |text: &str| {
        let text = follows("above", text).to_string();
        parse("a", &text).alarms.remove(0).alarm.rule
    };
    let arn = "arn:aws:cloudwatch:us-east-1:111122223333:alarm:cpu";
    let one = rule("ALARM(cpu) OR NOT OK(other)");
    assert!(one.means(&rule(&format!("ALARM(\"{arn}\")   OR  NOT (OK(other))"))));
    assert!(!one.means(&rule("ALARM(cpu) AND NOT OK(other)")));
    assert!(!one.means(&rule("OK(cpu) OR NOT OK(other)")));
}

/// CloudWatch goes to and fro while the state here stays: that is not the same event twice.
#[test]
fn each_transition_counts_once_for_the_lead() {
    let (pipeline, alarm) = hot();
    let statuses = pipeline.statuses();
    let mut comparisons = Comparisons::default();
    for (at, state, since) in [
        (300, StateValue::Ok, 60),
        (700, StateValue::Alarm, 660),
        (800, StateValue::Ok, 760),
        (900, StateValue::Alarm, 860),
    ] {
        comparisons.update(&statuses, &views(at, view(&alarm, state, since)), None);
    }
    assert_eq!(comparisons.by_name["cpu"].lead_seconds(), Some(60.0));
}

/// What a composite alarm follows may stand otherwise here than in CloudWatch.
#[test]
fn a_composite_alarm_that_is_taken_over_is_judged_by_what_it_follows() {
    let (mut pipeline, cpu) = hot();
    let above = parse("a", &follows("above", "ALARM(cpu)").to_string());
    let above = above.alarms.into_iter().next().unwrap().alarm;
    let now = Timestamp::from_seconds(1_200);
    pipeline.set_alarms(vec![cpu, above.clone()], now);
    pipeline.take_over(&[view(&above, StateValue::Ok, 60).snapshot(&above)], now);
    feed(&mut pipeline, 1_201, 90.0);
    assert_eq!(pipeline.status("above").unwrap().state, StateValue::Alarm);
}

#[test]
fn an_alarm_that_warms_up_in_cloudwatch_warms_up_here() {
    let mut request = on("cpu", "CWBridge", "CPUUtilization", INSTANCE);
    request["WarmUpConfiguration"] = json!({"WarmUpPeriodDurationInMinutes": 60, "OnlyStartEvaluatingAfterWarmUpPeriodEnds": true});
    let parsed = parse("a", &request.to_string());
    assert_eq!(parsed.findings, []);
    let alarm = Alarm {
        arn: Some("arn:aws:cloudwatch:us-east-1:111122223333:alarm:cpu".to_owned()),
        ..parsed.alarms.into_iter().next().unwrap().alarm
    };
    let warming = View {
        evaluation_state: Some("IN_WARM_UP".to_owned()),
        reason: "Unchecked: Initial alarm creation".to_owned(),
        ..view(&alarm, StateValue::InsufficientData, 600)
    };
    let mut pipeline = Pipeline::default();
    let now = Timestamp::from_seconds(1_200);
    feed(&mut pipeline, 1_200, 90.0);
    pipeline.set_alarms(vec![alarm.clone()], now);
    pipeline.take_over(&[warming.snapshot(&alarm)], now);
    (21..=69).for_each(|minute| feed(&mut pipeline, minute * 60, 90.0));
    assert_eq!(
        pipeline.status("cpu").unwrap().state,
        StateValue::InsufficientData
    );
    (70..=72).for_each(|minute| feed(&mut pipeline, minute * 60, 90.0));
    assert_eq!(pipeline.status("cpu").unwrap().state, StateValue::Alarm);
}

/// An ARN that becomes known is no other definition.
#[test]
fn what_is_only_told_otherwise_keeps_its_verdict() {
    let (mut pipeline, alarm) = hot();
    let before = pipeline.status("cpu").unwrap();
    let told = Alarm {
        arn: Some("arn:aws:cloudwatch:us-east-1:111122223333:alarm:cpu".to_owned()),
        description: Some("busy".to_owned()),
        ..alarm
    };
    pipeline.set_alarms(vec![told], Timestamp::from_seconds(1_200));
    let after = pipeline.status("cpu").unwrap();
    assert_eq!(
        (after.history, after.evaluation),
        (before.history, before.evaluation)
    );
    assert!(after.arn.ends_with("alarm:cpu"));
}

#[test]
fn news_is_what_lasts() {
    let (pipeline, alarm) = hot();
    let statuses = pipeline.statuses();
    let (mut comparisons, mut news) = (Comparisons::default(), News::default());
    let mut look = |asked_at: i64, view: View, waiting: Option<i64>| {
        let waiting = waiting.map(Timestamp::from_seconds);
        comparisons.update(&statuses, &views(asked_at, view), waiting);
        let news = news.of(&comparisons.by_name);
        news.iter()
            .map(|(name, told)| format!("{name} {told:?}"))
            .collect::<String>()
    };
    let ok = view(&alarm, StateValue::Ok, 60);
    let mut told = vec![
        look(1_210, ok.clone(), None),
        look(1_270, ok.clone(), Some(540)),
        look(1_330, ok.clone(), None),
        look(1_390, ok.clone(), None),
        look(1_450, ok.clone(), None),
        look(1_510, ok.clone(), Some(540)),
        look(1_570, ok, None),
    ];
    told.push(look(1_630, view(&alarm, StateValue::Alarm, 1_600), None));
    let unexplained = "cpu Disagrees(Ok, Disagreement { why: Unknown, detail: None })";
    assert_eq!(
        told,
        [
            "",
            "",
            "",
            unexplained,
            "",
            "",
            "",
            "cpu AgreesAgain(Alarm)"
        ]
    );
}
