//! What holds for every alarm and every sample.

use proptest::prelude::*;

use super::*;

fn treatment() -> impl Strategy<Value = TreatMissingData> {
    prop::sample::select(TreatMissingData::ALL.to_vec())
}

fn any_rule() -> impl Strategy<Value = MetricAlarm> {
    let period = prop::sample::select(vec![10, 60, 180]);
    (treatment(), 1..5_u32, 1..5_u32, period).prop_map(|(treatment, n, m, period)| MetricAlarm {
        evaluation_periods: n,
        datapoints_to_alarm: Some(m.min(n)),
        period: Period::new(period).unwrap(),
        ..treated(treatment)
    })
}

/// Samples with gaps of up to an hour between them.
fn any_samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let gap = prop_oneof![4 => 1..13_i64, 1 => 12..720_i64].prop_map(|gap| gap * 5);
    let value = prop::sample::select(vec![10.0, 90.0]);
    prop::collection::vec((gap, value), 1..40).prop_map(|steps| {
        let mut at = 0;
        let step = |(gap, value)| {
            at += gap;
            (at, value)
        };
        steps.into_iter().map(step).collect()
    })
}

fn run(
    rule: &MetricAlarm,
    readings: impl IntoIterator<Item = Reading>,
) -> (Vec<Transition>, Vec<Datapoint>) {
    let mut pipeline = pipeline(rule.clone());
    let (mut transitions, mut datapoints) = (Vec::new(), Vec::new());
    for reading in readings {
        let mut outcome = pipeline.advance(&reading);
        transitions.append(&mut outcome.events.transitions);
        datapoints.append(&mut outcome.datapoints);
    }
    datapoints.append(&mut pipeline.finish());
    (transitions, datapoints)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_does_not_matter_how_often_one_looks(rule in any_rule(), samples in any_samples()) {
        let end = samples.last().unwrap().0 + 7_200;
        let sparse = samples.iter().map(|&(at, value)| live(at, value)).chain([reading(end, vec![])]);
        let mut rest = samples.iter().peekable();
        let every_five_seconds = (0..=end).step_by(5).map(|at| match rest.next_if(|sample| sample.0 == at) {
            Some(&(at, value)) => live(at, value),
            None => reading(at, vec![]),
        });
        // The first reading sets what counts as watched, so both have one at 0.
        let sparse = [reading(0, vec![])].into_iter().chain(sparse);
        prop_assert_eq!(run(&rule, sparse), run(&rule, every_five_seconds));
    }

    #[test]
    fn every_sample_is_counted_once_wherever_the_clock_stands(
        steps in prop::collection::vec(prop_oneof![6 => 0..70_i64, 1 => -300..0_i64, 1 => 60..9_000_i64], 1..80),
        late in 0..200_i64,
        resolution in prop::sample::select(vec![Resolution::High, Resolution::Standard, Resolution::Basic]),
    ) {
        let mut pipeline = pipeline(rule());
        let (mut at, mut given, mut dropped, mut counted) = (86_400, 0, 0, StatisticSet::EMPTY);
        for step in steps {
            at += step;
            let samples = [sample(at, 1.0), sample(at - late, 1.0)].map(|sample| Sample { resolution, ..sample });
            given += samples.len();
            let outcome = pipeline.advance(&reading(at, samples.into()));
            dropped += outcome.dropped.len();
            outcome.datapoints.iter().for_each(|datapoint| counted.merge(&datapoint.statistics));
        }
        pipeline.finish().iter().for_each(|datapoint| counted.merge(&datapoint.statistics));
        prop_assert_eq!(counted.sample_count + dropped as f64, given as f64);
    }

    #[test]
    fn a_higher_threshold_never_turns_ok_into_alarm(rule in any_rule(), samples in any_samples()) {
        let higher = MetricAlarm { comparison: above(95.0), ..rule.clone() };
        let (mut low, mut high) = (pipeline(rule), pipeline(higher));
        for (at, value) in samples {
            low.advance(&live(at, value));
            high.advance(&live(at, value));
            let states = (low.statuses()[0].state, high.statuses()[0].state);
            prop_assert!(states != (StateValue::Ok, StateValue::Alarm), "at {at}: {states:?}");
        }
    }

    /// A program that is stopped and started again between two readings does what one does that was not.
    #[test]
    fn a_restart_changes_nothing(rule in any_rule(), samples in any_samples(), stop in 0..40_usize) {
        let readings: Vec<Reading> = samples.iter().map(|&(at, value)| live(at, value)).collect();
        let end = reading(samples.last().unwrap().0 + 7_200, vec![]);
        let stop = stop.min(readings.len());
        let (mut before, mut transitions) = (pipeline(rule.clone()), Vec::new());
        let mut datapoints = Vec::new();
        before.advance(&reading(0, vec![]));
        for reading in &readings[..stop] {
            let mut outcome = before.advance(reading);
            datapoints.append(&mut outcome.datapoints);
            transitions.append(&mut outcome.events.transitions);
        }
        let snapshot = before.snapshot().unwrap();
        datapoints.append(&mut before.finish());
        let mut after = pipeline(rule.clone());
        for datapoint in &datapoints {
            after.take_up(datapoint, snapshot.at);
        }
        after.restore(&snapshot);
        for reading in readings[stop..].iter().chain([&end]) {
            transitions.append(&mut after.advance(reading).events.transitions);
        }
        let (whole, _) = run(&rule, [reading(0, vec![])].into_iter().chain(readings).chain([end]));
        prop_assert_eq!(transitions, whole);
    }
}
