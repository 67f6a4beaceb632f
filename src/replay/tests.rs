use super::*;
use crate::alarm::StateValue;
use crate::definition::parse;
use crate::metric::{Metric, Resolution, Statistic, Unit};

const ALARM: &str = "{AlarmName: a, Namespace: n, MetricName: m, Statistic: Average, Period: 60, EvaluationPeriods: 2, Threshold: 50,
  ComparisonOperator: GreaterThanThreshold, TreatMissingData: notBreaching}";

fn alarms() -> Vec<Alarm> {
    let parsed = parse("a.yaml", ALARM);
    assert_eq!(parsed.findings, []);
    parsed.alarms.into_iter().map(|found| found.alarm).collect()
}

fn metric() -> Arc<Metric> {
    Arc::new(Metric::new("n", "m", vec![]))
}

fn only() -> Only {
    Only {
        metric: metric(),
        unit: Unit::NONE,
        statistic: None,
    }
}

fn reads() -> Reads {
    Reads {
        metrics: [((*metric()).clone(), Unit::PERCENT)].into(),
        only: Ok(only()),
    }
}

fn copied(table: &mut Table, batch: &mut Batch) -> Vec<Sample> {
    let mut all = Vec::new();
    let copied = table.each(batch, |row| {
        all.push(row.clone());
        Ok::<(), ()>(())
    });
    copied.unwrap();
    all
}

fn rows(csv: &str) -> Vec<Result<Sample, String>> {
    let mut csv = Csv::new(csv.as_bytes(), reads()).unwrap();
    let (mut table, mut all) = (Table::default(), Vec::new());
    while let Some(mut batch) = csv.batch(None) {
        all.extend(copied(&mut table, &mut batch).into_iter().map(Ok));
        all.extend(batch.wrong.iter().map(|wrong| Err(wrong.to_string())));
    }
    all
}

#[test]
fn rows_are_read_with_any_offset_and_gaps() {
    let read = rows(
        "timestamp,value\n2026-01-05T00:00:00Z,1\n2026-01-05T02:01:00+02:00,2.5\n1767571320,\n1767571380,NaN\n1767571440.5,4\n",
    );
    let values: Vec<(i64, Content)> = read
        .into_iter()
        .map(|row| row.unwrap())
        .map(|row| (row.at.milliseconds() - 1_767_571_200_000, row.content))
        .collect();
    let expected = [(0, 1.0), (60_000, 2.5), (240_500, 4.0)];
    assert_eq!(
        values,
        expected.map(|(at, value)| (at, Content::Value(value)))
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let wrong: Vec<String> =
        rows("timestamp,value\n2026-01-05 00:00:00,1\nsoon,1\n1767571200,hot\n1767571200\n")
            .into_iter()
            .filter_map(Result::err)
            .collect();
    assert_eq!(
        wrong[..3],
        [
            "2: `2026-01-05 00:00:00` has no time zone; `2026-01-05 00:00:00Z` is in UTC",
            "3: `soon` is no instant; `2026-01-05T00:00:00Z` and seconds since 1970 are",
            "4: `value` is `hot`, but must be a number",
        ]
    );
    assert!(wrong[3].contains("fields"), "{}", wrong[3]);
    let several = Reads {
        only: Err("the alarms read several metrics"),
        ..reads()
    };
    let header = |text: &str| {
        Csv::new(text.as_bytes(), several.clone())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        header("time,value\n"),
        "1: the header has `time`, but only `timestamp`, `value`, `metric` and `unit` are known"
    );
    assert!(header("timestamp,value\n").contains("the alarms read several metrics"));
}

#[test]
fn json_of_aws_and_of_prometheus_is_read() {
    let values = |text: &str| -> Vec<(i64, Content)> {
        let rows = json_rows(text, &only()).unwrap();
        rows.into_iter()
            .map(|row| (row.at.seconds(), row.content))
            .collect()
    };
    let expected = vec![(60, Content::Value(1.5)), (120, Content::Value(2.0))];
    assert_eq!(
        values(
            r#"{"MetricDataResults": [{"Id": "m", "Label": "m", "Timestamps": ["1970-01-01T00:02:00+00:00", "1970-01-01T00:01:00Z"], "Values": [2.0, 1.5], "StatusCode": "Complete"}], "Messages": []}"#
        ),
        expected
    );
    assert_eq!(
        values(
            r#"{"Label": "m", "Datapoints": [{"Timestamp": "1970-01-01T00:02:00Z", "Average": 2, "Unit": "Percent"}, {"Timestamp": "1970-01-01T00:01:00Z", "Average": 1.5, "Unit": "Percent"}]}"#
        ),
        expected
    );
    assert_eq!(
        values(
            r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[60, "1.5"], [120, "2"], [180, "NaN"]]}]}}"#
        ),
        expected
    );
    let wrong = |text: &str| json_rows(text, &only()).unwrap_err().to_string();
    assert!(wrong("[]").contains("neither what"));
    assert!(
        wrong(r#"{"data": {"resultType": "vector", "result": []}}"#)
            .contains("a `matrix` is wanted")
    );
}

/// Two hot hours, the second soon after the first, in two days.
#[test]
fn a_history_comes_to_what_the_alarm_did() {
    let start = Timestamp::from_seconds(0);
    let mut replay = Replay::new(alarms(), vec![], start, None);
    let mut transitions = Vec::new();
    for minute in 0..2 * 1_440_i64 {
        let is_hot = (600..660).contains(&minute) || (700..760).contains(&minute);
        let row = Sample {
            at: start + 60 * minute,
            metric: metric(),
            unit: Unit::NONE,
            resolution: Resolution::Standard,
            content: Content::Value(if is_hot { 90.0 } else { 10.0 }),
        };
        transitions.append(&mut replay.row(&row));
    }
    transitions.append(&mut replay.end(start + 2 * 86_400));
    let told: Vec<(i64, StateValue)> = transitions
        .iter()
        .map(|transition| (transition.at.seconds() / 60, transition.to))
        .collect();
    assert_eq!(
        told,
        [
            (1, StateValue::Ok),
            (602, StateValue::Alarm),
            (661, StateValue::Ok),
            (702, StateValue::Alarm),
            (761, StateValue::Ok)
        ]
    );
    let summary = &replay.summaries()["a"];
    assert_eq!(
        (summary.alarms, summary.flaps, summary.longest),
        (2, 1, 59 * 60)
    );
    assert_eq!(summary.seconds(StateValue::Alarm), 2 * 59 * 60);
    assert_eq!(summary.total(), 2 * 86_400);
    assert!((summary.alarms_a_week() - 7.0).abs() < 1e-9);
    assert_eq!(replay.evaluated, 2 * 1_440);
}

#[test]
fn rows_out_of_order_are_late_samples() {
    let at = |minute: i64| Sample {
        at: Timestamp::from_seconds(60 * minute),
        metric: metric(),
        unit: Unit::NONE,
        resolution: Resolution::Standard,
        content: Content::Value(90.0),
    };
    let mut replay = Replay::new(alarms(), vec![], Timestamp::from_seconds(0), None);
    for minute in [0, 3, 1, 2, 4] {
        replay.row(&at(minute));
    }
    replay.end(Timestamp::from_seconds(300));
    assert_eq!((replay.disordered, replay.dropped), (2, 0));
    assert_eq!(replay.summaries()["a"].alarms, 1);
}

/// Alarms with one metric, drawn over these values, a minute apart.
fn drawn(values: &[f64]) -> Vec<Chart> {
    let start = Timestamp::from_seconds(1_767_571_200);
    let mut replay = Replay::new(alarms(), vec![], start, None);
    replay.draw(start);
    for (i, value) in (0..).zip(values) {
        replay.row(&Sample {
            at: start + 60 * i,
            metric: metric(),
            unit: Unit::NONE,
            resolution: Resolution::Standard,
            content: Content::Value(*value),
        });
    }
    let minutes = i64::try_from(values.len()).unwrap();
    replay.end(start + 60 * minutes);
    replay.charts()
}

#[test]
fn a_picture_shows_samples_datapoints_threshold_and_states() {
    let picture = svg(&drawn(&[10.0, 20.0, 60.0, 70.0, 70.0, 20.0, 20.0]));
    expect_test::expect_file!["chart.svg"].assert_eq(&picture);
}

/// However long the history, a picture has so many columns and no more; none of the peaks is lost.
#[test]
fn a_long_history_makes_no_larger_picture() {
    let mut values = vec![10.0; 100_000];
    for peak in values.iter_mut().skip(50_000).take(3) {
        *peak = 99.0;
    }
    let long = svg(&drawn(&values));
    let short = svg(&drawn(&values[..2_000]));
    assert!(
        long.len() < 3 * short.len(),
        "{} {}",
        long.len(),
        short.len()
    );
    assert!(long.contains("ALARM from 2026-02-"), "{long}");
}

#[test]
fn a_grid_shows_how_often() {
    let grid = Heat {
        title: "a & b".to_owned(),
        rows: (
            "threshold".to_owned(),
            vec!["40".to_owned(), "50".to_owned()],
        ),
        columns: ("period".to_owned(), vec!["60".to_owned(), "300".to_owned()]),
        alarms: vec![Some(100), Some(10), Some(0), None],
    };
    expect_test::expect_file!["grid.svg"].assert_eq(&heat_svg(&[grid]));
}

#[test]
fn settings_are_swept_in_every_combination() {
    let axes = [
        "threshold=0.1..0.3:0.1",
        "evaluation_periods=1..2",
        "datapoints_to_alarm=2",
    ]
    .map(|text| axis(text).unwrap());
    let swept = variants(&alarms()[0], &axes).unwrap();
    let told: Vec<String> = swept
        .iter()
        .map(|variant| match &variant.alarm {
            Ok(alarm) => format!("{:?} {}", variant.places, alarm.name),
            Err(refusal) => format!("{:?} {refusal}", variant.places),
        })
        .collect();
    expect_test::expect![[r#"
        [0, 0, 0] datapoints_to_alarm is above evaluation_periods
        [0, 1, 0] a threshold=0.1 evaluation_periods=2 datapoints_to_alarm=2
        [1, 0, 0] datapoints_to_alarm is above evaluation_periods
        [1, 1, 0] a threshold=0.2 evaluation_periods=2 datapoints_to_alarm=2
        [2, 0, 0] datapoints_to_alarm is above evaluation_periods
        [2, 1, 0] a threshold=0.3 evaluation_periods=2 datapoints_to_alarm=2"#]]
    .assert_eq(&told.join("\n"));
    for wrong in [
        "threshold",
        "colour=1",
        "threshold=a",
        "threshold=1..1e9:0.1",
        "threshold=2..1",
        "threshold=1..2:0",
        "period=61",
        "evaluation_periods=0",
        "treat_missing_data=good",
        "threshold=",
    ] {
        assert!(axis(wrong).is_err(), "{wrong}");
    }
    let many = axis("threshold=1..9999").unwrap();
    assert!(variants(&alarms()[0], &[many.clone(), many]).is_err());
}

#[test]
fn incidents_are_told_early_late_or_not_at_all() {
    let at = |minute: i64| Timestamp::from_seconds(minute * 60);
    let known = incidents(&b"start,end\n6000,7200\n60000,60600\n120000,120600\n"[..]).unwrap();
    let mut caught = Caught::new(known.into());
    for minute in [98, 110, 500, 1_005] {
        caught.alarm(at(minute));
    }
    assert_eq!(
        (caught.all(), caught.caught(), caught.false_alarms),
        (3, 2, 1)
    );
    // The first was told two minutes before it began, the second five minutes after: in between lies the median.
    assert_eq!(caught.early(), Some(-90));
    // What went off long before tells nobody anything, though it is still on.
    caught.alarm(at(1_900));
    assert_eq!((caught.caught(), caught.false_alarms), (2, 2));
}

#[test]
fn rows_out_of_order_and_in_milliseconds_are_told_with_their_line() {
    let wrong = |csv: &str| -> String {
        let wrong = rows(csv).into_iter().filter_map(Result::err);
        wrong.map(|line| line + "\n").collect()
    };
    expect_test::expect![[r#"
        4: the row is of 2026-01-05T00:00:00Z, and line 2 of 2026-01-05T00:11:00Z: rows must be in the order of time, and none more than 600 s late
        5: `1767571860000` is beyond the year 9999; seconds since 1970 are wanted, and these look like milliseconds
        6: `2026-01-05` has no time zone; `2026-01-05T00:00:00Z` is in UTC
    "#]].assert_eq(&wrong(
        "timestamp,value\n1767571860,1\n1767571800,2\n1767571200,3\n1767571860000,4\n2026-01-05,5\n",
    ));
}

#[test]
fn a_column_of_metrics_takes_the_units_of_the_alarms_and_tells_what_nobody_reads() {
    let text = "timestamp,metric,unit,value\n60,n m,,1\n120,n m,Bytes,2\n180,n other,,3\n";
    let mut csv = Csv::new(text.as_bytes(), reads()).unwrap();
    let mut batch = csv.batch(None).unwrap();
    assert_eq!(batch.unread, ["n other"]);
    let copied = copied(&mut Table::default(), &mut batch);
    let units: Vec<Unit> = copied.iter().map(|row| row.unit).collect();
    assert_eq!(
        units,
        [Unit::PERCENT, Unit::from_name("Bytes").unwrap(), Unit::NONE]
    );
    let twice = Csv::new(&b"timestamp,value,value\n"[..], reads()).unwrap_err();
    assert_eq!(twice.of("a.csv"), "a.csv:1: the header has `value` twice");
}

/// A batch is filled again once nobody reads it, and nothing of what was in it before is left.
#[test]
fn a_used_batch_has_nothing_of_before() {
    let text: String = (0..5_000)
        .map(|row| format!("{},{row}\n", row * 60))
        .collect();
    let text = format!("timestamp,value\n60,none\n{text}");
    let mut csv = Csv::new(text.as_bytes(), reads()).unwrap();
    let (mut table, mut all) = (Table::default(), Vec::new());
    let mut first = csv.batch(None).unwrap();
    assert_eq!((first.wrong.len(), first.new_metrics()), (1, 1));
    all.append(&mut copied(&mut table, &mut first));
    let mut second = csv.batch(Some(first)).unwrap();
    assert_eq!((second.wrong.len(), second.new_metrics()), (0, 0));
    all.append(&mut copied(&mut table, &mut second));
    assert!(csv.batch(Some(second)).is_none());
    let values: Vec<Content> = all.into_iter().map(|row| row.content).collect();
    let expected = (0..5_000).map(|row| Content::Value(f64::from(row)));
    assert!(values.into_iter().eq(expected));
}

#[test]
fn half_an_answer_of_aws_and_another_statistic_are_told() {
    let maximum = Only {
        statistic: Statistic::from_name("Maximum"),
        ..only()
    };
    let wrong = |text: &str| json_rows(text, &maximum).unwrap_err().of("a.json") + "\n";
    let told = [
        r#"{"MetricDataResults": [{"Timestamps": ["1970-01-01T00:02:00Z"], "Values": [1, 2]}]}"#,
        r#"{"MetricDataResults": [{"Timestamps": [], "Values": [], "StatusCode": "PartialData"}]}"#,
        r#"{"MetricDataResults": [], "NextToken": "abc"}"#,
        r#"{"MetricDataResults": [{"Timestamps": ["yesterday"], "Values": [1]}]}"#,
        r#"{"MetricDataResults": [{"Timestamps": []}]}"#,
        r#"{"Datapoints": [{"Timestamp": "1970-01-01T00:02:00Z", "Minimum": 1}]}"#,
        r#"{"Datapoints": [{"Timestamp": "1970-01-01T00:02:00Z", "Maximum": 1, "Unit": "Furlongs"}]}"#,
        r#"{"status": "error", "error": "parse error"}"#,
        r#"{"data": {"resultType": "matrix", "result": [{"values": [[60, "x"]]}]}}"#,
        "{",
    ]
    .map(wrong);
    expect_test::expect![[r#"
        a.json: MetricDataResults[0] has 1 `Timestamps` and 2 `Values`
        a.json: MetricDataResults[0]: it is not all: `StatusCode` is `PartialData`
        a.json: it is not all: `NextToken` says that there is more, which `aws cloudwatch get-metric-data` without `--no-paginate` fetches
        a.json: MetricDataResults[0].Timestamps[0]: `yesterday` is no instant; `2026-01-05T00:00:00Z` and seconds since 1970 are
        a.json: missing field `Values`
        a.json: Datapoints[0]: it has no `Maximum`, which the alarm reads
        a.json: Datapoints[0]: `Furlongs` is no unit
        a.json: the server refused: parse error
        a.json: data.result[0].values[0]: `x` is no number
        a.json:1: this is no JSON: EOF while parsing an object at line 1 column 1
    "#]].assert_eq(&told.concat());
    let read = |text: &str, statistic: &str| {
        let only = Only {
            statistic: Statistic::from_name(statistic),
            ..only()
        };
        json_rows(text, &only).unwrap().remove(0)
    };
    let text = r#"{"Datapoints": [{"Timestamp": "1970-01-01T00:02:00Z", "Maximum": 3, "SampleCount": 70, "Unit": "Percent", "ExtendedStatistics": {"p99": 2.5}}]}"#;
    let row = read(text, "Maximum");
    assert_eq!(
        (row.content, row.unit),
        (Content::Value(3.0), Unit::PERCENT)
    );
    assert_eq!(read(text, "p99").content, Content::Value(2.5));
    let Content::StatisticSet(set) = read(text, "SampleCount").content else {
        panic!("how many there were is not a value");
    };
    assert_eq!(set.sample_count, 70.0);
    // Of a time without data a server has no series.
    let none = r#"{"data": {"resultType": "matrix", "result": []}}"#;
    assert_eq!(json_rows(none, &only()), Ok(vec![]));
}

#[test]
fn settings_that_are_alike_are_not_swept() {
    for twice in [
        "threshold=1,1",
        "threshold=1,1.0",
        "threshold=0..1e-9:1e-10",
        "threshold=1e20..1e20+2:1",
    ] {
        assert!(axis(twice).is_err(), "{twice}");
    }
}

/// However large the values and however close together, a picture has an end and numbers in it.
#[test]
fn extreme_values_are_drawn() {
    for (threshold, value) in [
        (1e16, 10_000_000_000_000_002.0),
        (1e17, 1e17),
        (1e18, 1e18),
        (-1e308, 1.7e308),
        (0.0, 0.0),
        (5e-324, 0.0),
    ] {
        let mut alarms = alarms();
        if let crate::alarm::Rule::Metric(rule) = &mut alarms[0].rule {
            rule.comparison = crate::alarm::Comparison::Threshold {
                operator: crate::alarm::ComparisonOperator::GreaterThanThreshold,
                threshold,
            };
        }
        let start = Timestamp::from_seconds(0);
        let mut replay = Replay::new(alarms, vec![], start, None);
        replay.draw(start);
        for minute in 0..5 {
            replay.row(&Sample {
                at: Timestamp::from_seconds(minute * 60),
                metric: metric(),
                unit: Unit::NONE,
                resolution: Resolution::Standard,
                content: Content::Value(value),
            });
        }
        replay.end(Timestamp::from_seconds(300));
        let picture = svg(&replay.charts());
        assert!(
            !picture.contains("NaN") && !picture.contains("inf"),
            "{threshold} and {value}: {picture}"
        );
    }
}

#[test]
fn what_nobody_hears_of_and_what_is_not_judged_is_counted_apart() {
    let mut alarms = alarms();
    alarms[0].actions.enabled = false;
    let above = parse("b", "{AlarmName: b, AlarmRule: ALARM(elsewhere)}");
    alarms.push(above.alarms.into_iter().next().unwrap().alarm);
    let mut replay = Replay::new(alarms, vec![], Timestamp::from_seconds(0), None);
    for minute in 0..10 {
        replay.row(&Sample {
            at: Timestamp::from_seconds(minute * 60),
            metric: metric(),
            unit: Unit::NONE,
            resolution: Resolution::Standard,
            content: Content::Value(90.0),
        });
    }
    replay.end(Timestamp::from_seconds(600));
    let (a, b) = (&replay.summaries()["a"], &replay.summaries()["b"]);
    assert_eq!((a.alarms, a.withheld, &a.not_judged), (1, 1, &None));
    assert!(
        b.not_judged
            .as_ref()
            .is_some_and(|why| why.contains("elsewhere")),
        "{b:?}"
    );
}
