//! What is recorded, closed and kept.

use super::*;
use crate::metric::{BasicStatistic, Dimension};

fn metric() -> Arc<Metric> {
    Arc::new(Metric::new(
        "CWBridge",
        "CPUUtilization",
        vec![Dimension::new("host", "a")],
    ))
}

fn sample(at: i64, value: f64) -> Sample {
    let content = Content::Value(value);
    Sample {
        metric: metric(),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        at: Timestamp::from_seconds(at),
        content,
    }
}

fn store() -> DatapointStore {
    let mut store = DatapointStore::default();
    store.keep_history(HashMap::from([(
        metric(),
        Need {
            seconds: 600,
            values: false,
        },
    )]));
    store
}

/// Records a live sample, or a late one when `now` is later than the sample, and returns what was dropped.
fn record(store: &mut DatapointStore, now: i64, samples: Vec<Sample>) -> Vec<DropReason> {
    let mut dropped = Vec::new();
    store.record(
        &Reading {
            at: Timestamp::from_seconds(now),
            samples,
        },
        &mut dropped,
    );
    dropped
}

const SUM: Statistic = Statistic::Basic(BasicStatistic::Sum);

/// The sums of `range` minutes back from `now`, newest first, of the first series that has any.
fn sums(store: &mut DatapointStore, now: i64, range: i64) -> Vec<Option<f64>> {
    let series: Vec<SeriesId> = store.series(&metric(), None).collect();
    let now = Timestamp::from_seconds(now);
    let mut of = |series| -> Vec<Option<f64>> {
        let end = |k: i64| now.floor(60) - k * 60;
        (0..range)
            .map(|k| store.period(series, &SUM, (end(k + 1), end(k)), now).value)
            .collect()
    };
    let all: Vec<_> = series.into_iter().map(&mut of).collect();
    let some = |sums: &&Vec<Option<f64>>| sums.iter().any(Option::is_some);
    all.iter()
        .find(some)
        .cloned()
        .unwrap_or_else(|| vec![None; range as usize])
}

#[test]
fn a_slot_is_closed_once_its_minute_is_over() {
    let mut store = store();
    record(&mut store, 60, vec![sample(60, 1.0)]);
    record(&mut store, 119, vec![sample(119, 3.0)]);
    assert_eq!(store.close(Timestamp::from_seconds(119)), []);
    let closed = store.close(Timestamp::from_seconds(120));
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].start, Timestamp::from_seconds(60));
    assert_eq!(
        closed[0].statistics,
        StatisticSet {
            sample_count: 2.0,
            sum: 4.0,
            minimum: 1.0,
            maximum: 3.0
        }
    );
    assert_eq!(
        closed[0].values.as_ref().unwrap().values(),
        [(1.0, 1.0), (3.0, 1.0)]
    );
    assert_eq!(sums(&mut store, 120, 2), [Some(4.0), None]);
}

#[test]
fn late_samples_are_a_further_datapoint_and_change_the_history() {
    let mut store = store();
    record(&mut store, 60, vec![sample(60, 1.0)]);
    store.close(Timestamp::from_seconds(180));
    record(&mut store, 185, vec![sample(70, 5.0), sample(130, 7.0)]);
    let late = store.close(Timestamp::from_seconds(185));
    let seen: Vec<_> = late
        .iter()
        .map(|datapoint| (datapoint.start.seconds(), datapoint.statistics.sum))
        .collect();
    assert_eq!(seen, [(60, 5.0), (120, 7.0)]);
    assert_eq!(sums(&mut store, 185, 3), [Some(7.0), Some(6.0), None]);
}

#[test]
fn a_clock_that_was_ahead_for_a_while_costs_only_what_was_closed_then() {
    let mut store = store();
    record(&mut store, 60, vec![sample(60, 1.0)]);
    for ahead in [7_500, 7_565] {
        record(&mut store, ahead, vec![sample(ahead, 1.0)]);
        store.close(Timestamp::from_seconds(ahead));
    }
    assert_eq!(
        store.rewind(Timestamp::from_seconds(130)),
        1,
        "the slot 7560 was open"
    );
    assert_eq!(record(&mut store, 130, vec![sample(130, 2.0)]), []);
    store.close(Timestamp::from_seconds(180));
    assert_eq!(
        sums(&mut store, 180, 2),
        [Some(2.0), None],
        "what was ahead is forgotten, and with it what it pushed out"
    );
    assert_eq!(
        record(&mut store, 7_510, vec![sample(7_510, 1.0)]),
        [DropReason::ClockSteppedBack]
    );
}

#[test]
fn a_live_sample_of_a_closed_slot_is_dropped() {
    let mut store = store();
    record(&mut store, 119, vec![sample(119, 1.0)]);
    store.close(Timestamp::from_seconds(120));
    assert_eq!(
        record(&mut store, 100, vec![sample(100, 1.0)]),
        [DropReason::ClockSteppedBack]
    );
    assert_eq!(record(&mut store, 120, vec![sample(120, 1.0)]), []);
}

#[test]
fn what_cloudwatch_refuses_is_dropped_for_its_reason() {
    let mut store = store();
    let now = 30 * 86_400;
    let samples = vec![
        sample(now, f64::NAN),
        sample(now, 2.0 * VALUE_MAX),
        sample(now - AGE_MAX - 1, 1.0),
        sample(now + AHEAD_MAX + 1, 1.0),
    ];
    let (value, time) = (DropReason::ValueOutOfRange, DropReason::TimeOutOfRange);
    assert_eq!(record(&mut store, now, samples), [value, value, time, time]);
    assert_eq!(store.close_all(), []);
}

#[test]
fn a_statistic_set_hides_the_values_of_its_slot() {
    let mut store = store();
    let set = StatisticSet {
        sample_count: 3.0,
        sum: 6.0,
        minimum: 1.0,
        maximum: 3.0,
    };
    record(
        &mut store,
        60,
        vec![
            sample(60, 9.0),
            Sample {
                content: Content::StatisticSet(set),
                ..sample(60, 0.0)
            },
        ],
    );
    let closed = store.close_all();
    assert_eq!(closed[0].values, None);
    assert_eq!(
        closed[0].statistics,
        StatisticSet {
            sample_count: 4.0,
            sum: 15.0,
            minimum: 1.0,
            maximum: 9.0
        }
    );
}

#[test]
fn units_are_separate_series() {
    let mut store = store();
    let other = Sample {
        unit: Unit::NONE,
        ..sample(60, 2.0)
    };
    record(&mut store, 60, vec![sample(60, 1.0), other]);
    store.close_all();
    let minute = (Timestamp::from_seconds(60), Timestamp::from_seconds(120));
    let mut sum = |unit| {
        let series: Vec<_> = store.series(&metric(), unit).collect();
        let of = |series| store.period(series, &SUM, minute, minute.1).value;
        series.into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(sum(None), [Some(1.0), Some(2.0)]);
    assert_eq!(sum(Some(Unit::NONE)), [Some(2.0)]);
    assert_eq!(sum(Unit::from_name("Seconds")), []);
}

#[test]
fn an_extended_statistic_reads_samples_as_far_as_they_are_known() {
    let mut store = store();
    let need = Need {
        seconds: 600,
        values: true,
    };
    store.keep_history(HashMap::from([(metric(), need)]));
    let values = Sample {
        content: Content::Values(vec![(3.0, 2.0), (1.0, 1.0)]),
        ..sample(125, 0.0)
    };
    let set = |sum, maximum| Sample {
        content: Content::StatisticSet(StatisticSet {
            sample_count: 2.0,
            sum,
            minimum: 4.0,
            maximum,
        }),
        ..sample(190, 0.0)
    };
    record(
        &mut store,
        240,
        vec![sample(60, 2.0), values, set(8.0, 4.0)],
    );
    store.close(Timestamp::from_seconds(240));
    let p50 = Statistic::from_name("p50").unwrap();
    let series = store.series(&metric(), None).next().unwrap();
    let mut of = |start, end| {
        let period = (Timestamp::from_seconds(start), Timestamp::from_seconds(end));
        store
            .period(series, &p50, period, Timestamp::from_seconds(300))
            .value
    };
    assert_eq!(of(60, 120), Some(2.0));
    assert_eq!(of(60, 240), Some(3.0), "1 2 3 3 4 4");
    assert_eq!(of(240, 300), None);
    record(&mut store, 250, vec![set(9.0, 5.0)]);
    store.close(Timestamp::from_seconds(250));
    let mut of = |start, end| {
        let period = (Timestamp::from_seconds(start), Timestamp::from_seconds(end));
        store
            .period(series, &p50, period, Timestamp::from_seconds(300))
            .value
    };
    assert_eq!(of(180, 240), None, "a set hides its samples");
    assert_eq!(of(60, 120), Some(2.0));
}

#[test]
fn negative_samples_have_no_extended_statistic() {
    let mut store = store();
    let need = Need {
        seconds: 600,
        values: true,
    };
    store.keep_history(HashMap::from([(metric(), need)]));
    record(&mut store, 60, vec![sample(60, -1.0), sample(60, 2.0)]);
    store.close_all();
    let series = store.series(&metric(), None).next().unwrap();
    let period = (Timestamp::from_seconds(60), Timestamp::from_seconds(120));
    let p90 = Statistic::from_name("p90").unwrap();
    assert_eq!(store.period(series, &p90, period, period.1).value, None);
    assert_eq!(
        store.period(series, &SUM, period, period.1).value,
        Some(1.0)
    );
}

fn kept(start: i64, resolution: Resolution) -> Datapoint {
    Datapoint {
        metric: metric(),
        unit: Unit::PERCENT,
        resolution,
        start: Timestamp::from_seconds(start),
        statistics: StatisticSet::of(1.0, 1.0),
        values: None,
    }
}

/// Published by the minute before the program ended, and by the second since.
#[test]
fn a_metric_takes_up_another_resolution_after_a_restart() {
    let mut store = store();
    for minute in 0..5 {
        store.restore(
            &kept(60 * minute, Resolution::Standard),
            Timestamp::from_seconds(300),
        );
    }
    let fine = |at| Sample {
        resolution: Resolution::High,
        ..sample(at, 7.0)
    };
    record(&mut store, 330, vec![fine(330)]);
    let closed = store.close(Timestamp::from_seconds(331));
    assert_eq!(closed[0].start, Timestamp::from_seconds(330));
    let series = store.series(&metric(), None).next().unwrap();
    assert_eq!(
        store.complete_since(series),
        Timestamp::from_seconds(330),
        "what was before is unknown"
    );
}

/// Closed under a clock that was ahead, and set back before the program ended.
#[test]
fn datapoints_of_a_wrong_clock_are_not_taken_up() {
    let mut store = store();
    store.restore(&kept(0, Resolution::Standard), Timestamp::from_seconds(60));
    store.restore(
        &kept(600, Resolution::Standard),
        Timestamp::from_seconds(60),
    );
    assert_eq!(store.open_until(), None);
    let dropped = record(&mut store, 610, vec![sample(610, 1.0)]);
    assert_eq!(
        dropped,
        [DropReason::ClockSteppedBack],
        "it was published once"
    );
    assert_eq!(sums(&mut store, 660, 2), [None, None]);
}
