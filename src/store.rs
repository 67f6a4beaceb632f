//! Samples in, closed datapoints out, and as much history as the alarms need.
//!
//! A slot is open from its first sample until its time is over; closing it yields one datapoint. Late samples open their slot
//! again, and closing that yields a further datapoint with those samples alone, which is how CloudWatch takes them too; the
//! history holds both merged.

mod history;

use std::collections::HashMap;
use std::sync::Arc;

use crate::metric::{
    Content, Datapoint, Distribution, Metric, Period, Reading, Resolution, Sample, StatisticSet,
    Timestamp, Unit, VALUE_MAX,
};

use history::History;

/// How far back and ahead CloudWatch takes samples (SPEC section 2.2).
const LATE_MAX: i64 = 14 * 86_400;
const AHEAD_MAX: i64 = 2 * 3_600;

/// Why a sample was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// A live sample of a slot that is closed already: the clock was set back.
    ClockSteppedBack,
    /// NaN, infinite, or beyond ±2^360.
    ValueOutOfRange,
    /// More than two weeks old or two hours ahead.
    TimeOutOfRange,
}

/// Every metric's slots.
#[derive(Debug, Default)]
pub struct DatapointStore {
    series: Vec<Series>,
    /// The series of a metric, one per unit.
    by_metric: HashMap<Arc<Metric>, Vec<usize>>,
    /// How many seconds of history each metric's alarms read.
    history_of: HashMap<Arc<Metric>, i64>,
}

/// The samples of one metric and unit.
#[derive(Debug)]
struct Series {
    metric: Arc<Metric>,
    unit: Unit,
    resolution: Resolution,
    /// Usually one; more while late samples wait to be closed.
    open: Vec<(Timestamp, Slot)>,
    closed: Closed,
    history: History,
}

/// Which slots were closed, as ranges from start to end, newest last. A live sample of one of them would be published as if
/// it came late.
#[derive(Debug, Default)]
struct Closed(Vec<(Timestamp, Timestamp)>);

/// The most ranges remembered: each gap in a metric, and each step of the clock, begins another.
const CLOSED_RANGES_MAX: usize = 32;

impl Closed {
    fn add(&mut self, start: Timestamp, end: Timestamp) {
        match self.0.last_mut() {
            Some((_, last_end)) if *last_end == start => *last_end = end,
            _ => self.0.push((start, end)),
        }
        if self.0.len() > CLOSED_RANGES_MAX {
            self.0.remove(0);
        }
    }

    fn has(&self, slot: Timestamp) -> bool {
        self.0
            .iter()
            .any(|&(start, end)| (start..end).contains(&slot))
    }
}

#[derive(Debug)]
struct Slot {
    statistics: StatisticSet,
    /// `None` once something came already aggregated.
    values: Option<Distribution>,
}

/// Several units were recorded for a metric, and no unit was asked for: CloudWatch leaves undefined which one it
/// reads (SPEC section 2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeveralUnits(pub Vec<Unit>);

/// Which periods a window spans: `range` periods back from `end`, seen at `now`.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub now: Timestamp,
    pub end: Timestamp,
    pub period: Period,
    pub range: usize,
}

impl DatapointStore {
    /// Keeps as many seconds of history of each metric as given, and of no other. Shortening takes effect at once, a longer
    /// history grows from now on.
    pub fn keep_history(&mut self, seconds: HashMap<Arc<Metric>, i64>) {
        self.history_of = seconds;
        for series in &mut self.series {
            series
                .history
                .keep(self.history_of.get(&series.metric).copied().unwrap_or(0));
        }
    }

    /// Records the reading's samples. What could not be recorded is pushed onto `dropped`.
    pub fn record(&mut self, reading: &Reading, dropped: &mut Vec<DropReason>) {
        for sample in &reading.samples {
            if let Err(reason) = self.record_sample(sample, reading.at) {
                dropped.push(reason);
            }
        }
    }

    fn record_sample(&mut self, sample: &Sample, now: Timestamp) -> Result<(), DropReason> {
        if !(now - LATE_MAX..=now + AHEAD_MAX).contains(&sample.at) {
            return Err(DropReason::TimeOutOfRange);
        }
        let statistics = statistics(&sample.content).ok_or(DropReason::ValueOutOfRange)?;
        let series = self.series_of(sample);
        let start = sample.at.floor(series.resolution.seconds());
        if sample.at == now && series.closed.has(start) {
            return Err(DropReason::ClockSteppedBack);
        }
        let open = series
            .open
            .iter()
            .position(|(open, _)| *open == start)
            .unwrap_or_else(|| {
                series.open.push((start, Slot::new()));
                series.open.len() - 1
            });
        series.open[open].1.add(&statistics, &sample.content);
        Ok(())
    }

    /// Forgets what was recorded of the time after `now`, because the clock was wrong when it was. Returns how many samples
    /// were not yet closed and go for that reason.
    pub fn rewind(&mut self, now: Timestamp) -> usize {
        let mut samples = 0.0;
        for series in &mut self.series {
            let ahead = series.open.extract_if(.., |(start, _)| *start > now);
            samples += ahead
                .map(|(_, slot)| slot.statistics.sample_count)
                .sum::<f64>();
            series.history.cut(now);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of samples"
        )]
        let samples = samples as usize;
        samples
    }

    fn series_of(&mut self, sample: &Sample) -> &mut Series {
        let known = self.by_metric.get(&sample.metric).into_iter().flatten();
        let found = known.copied().find(|&i| self.series[i].unit == sample.unit);
        let i = found.unwrap_or_else(|| self.add_series(sample));
        &mut self.series[i]
    }

    fn add_series(&mut self, sample: &Sample) -> usize {
        let mut history = History::new(sample.resolution);
        history.keep(self.history_of.get(&sample.metric).copied().unwrap_or(0));
        self.series.push(Series {
            metric: Arc::clone(&sample.metric),
            unit: sample.unit,
            resolution: sample.resolution,
            open: Vec::new(),
            closed: Closed::default(),
            history,
        });
        let i = self.series.len() - 1;
        self.by_metric
            .entry(Arc::clone(&sample.metric))
            .or_default()
            .push(i);
        i
    }

    /// Closes every slot whose time is over at `now`.
    pub fn close(&mut self, now: Timestamp) -> Vec<Datapoint> {
        self.close_if(|start, resolution| start + resolution.seconds() <= now)
    }

    /// Closes every slot as it is, because nothing more will come.
    pub fn close_all(&mut self) -> Vec<Datapoint> {
        self.close_if(|_, _| true)
    }

    fn close_if(&mut self, over: impl Fn(Timestamp, Resolution) -> bool) -> Vec<Datapoint> {
        let mut datapoints = Vec::new();
        for series in &mut self.series {
            let resolution = series.resolution;
            let closed = series
                .open
                .extract_if(.., |(start, _)| over(*start, resolution));
            for (start, Slot { statistics, values }) in closed {
                series.history.add(start, &statistics);
                series.closed.add(start, start + resolution.seconds());
                datapoints.push(Datapoint {
                    metric: Arc::clone(&series.metric),
                    unit: series.unit,
                    resolution,
                    start,
                    statistics,
                    values,
                });
            }
        }
        datapoints.sort_by_key(|datapoint| datapoint.start);
        datapoints
    }

    /// Fills `periods` with the statistics of the window's periods, newest first, an empty set for a period without samples.
    /// Returns since when the metric's history is kept without interruption.
    ///
    /// A period holds the slots that start in it; a slot is seen once its time is over. Without `unit` the one unit is read
    /// that has samples in the window.
    pub fn window(
        &self,
        metric: &Metric,
        unit: Option<Unit>,
        window: Window,
        periods: &mut Vec<StatisticSet>,
    ) -> Result<Timestamp, SeveralUnits> {
        periods.clear();
        periods.resize(window.range, StatisticSet::EMPTY);
        let known = self
            .by_metric
            .get(metric)
            .into_iter()
            .flatten()
            .map(|&i| &self.series[i]);
        let mut read: Vec<&Series> = Vec::new();
        for series in known.filter(|series| unit.is_none_or(|unit| unit == series.unit)) {
            if series.history.fill(window, periods) {
                read.push(series);
            }
        }
        match read.as_slice() {
            [] => Ok(Timestamp::MIN),
            [series] => Ok(series.history.complete_since()),
            several => Err(SeveralUnits(
                several.iter().map(|series| series.unit).collect(),
            )),
        }
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            statistics: StatisticSet::EMPTY,
            values: Some(Distribution::new()),
        }
    }

    fn add(&mut self, statistics: &StatisticSet, content: &Content) {
        self.statistics.merge(statistics);
        match (&mut self.values, content) {
            (Some(values), Content::Value(value)) => values.add(*value, 1.0),
            (Some(values), Content::Values(counted)) => counted
                .iter()
                .for_each(|&(value, count)| values.add(value, count)),
            (values, _) => *values = None,
        }
    }
}

/// `None` for what CloudWatch refuses.
fn statistics(content: &Content) -> Option<StatisticSet> {
    let set = match content {
        Content::Value(value) => StatisticSet::of(*value, 1.0),
        Content::Values(values) => {
            let mut set = StatisticSet::EMPTY;
            let countable = values.iter().all(|&(_, count)| count > 0.0);
            values
                .iter()
                .filter(|_| countable)
                .for_each(|&(value, count)| set.merge(&StatisticSet::of(value, count)));
            set
        }
        Content::StatisticSet(set) => *set,
    };
    let counted = set.sample_count > 0.0 && set.sample_count.is_finite();
    (counted && set.sum.is_finite() && in_range(set.minimum) && in_range(set.maximum))
        .then_some(set)
}

fn in_range(value: f64) -> bool {
    value.abs() <= VALUE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Dimension;

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
        store.keep_history(HashMap::from([(metric(), 600)]));
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

    fn sums(store: &DatapointStore, now: i64, range: usize) -> Vec<Option<f64>> {
        let window = Window {
            now: Timestamp::from_seconds(now),
            end: Timestamp::from_seconds(now).floor(60),
            period: Period::new(60).unwrap(),
            range,
        };
        let mut periods = Vec::new();
        store.window(&metric(), None, window, &mut periods).unwrap();
        periods
            .iter()
            .map(|set| set.get(crate::metric::Statistic::Sum))
            .collect()
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
        assert_eq!(sums(&store, 120, 2), [Some(4.0), None]);
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
        assert_eq!(sums(&store, 185, 3), [Some(7.0), Some(6.0), None]);
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
            sums(&store, 180, 2),
            [Some(2.0), None],
            "what was ahead is forgotten, and with it what it pushed out"
        );
        assert_eq!(
            record(&mut store, 7_510, vec![sample(7_510, 1.0)]),
            [DropReason::ClockSteppedBack]
        );
    }

    #[test]
    fn a_unit_without_samples_in_the_window_does_not_count() {
        let mut store = store();
        record(
            &mut store,
            60,
            vec![Sample {
                unit: Unit::NONE,
                ..sample(60, 2.0)
            }],
        );
        store.close(Timestamp::from_seconds(120));
        record(&mut store, 180, vec![sample(180, 1.0)]);
        store.close(Timestamp::from_seconds(240));
        assert_eq!(sums(&store, 240, 2), [Some(1.0), None]);
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
            sample(now - LATE_MAX - 1, 1.0),
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
        record(
            &mut store,
            60,
            vec![
                sample(60, 1.0),
                Sample {
                    unit: Unit::NONE,
                    ..sample(60, 2.0)
                },
            ],
        );
        store.close_all();
        let window = Window {
            now: Timestamp::from_seconds(120),
            end: Timestamp::from_seconds(120),
            period: Period::new(60).unwrap(),
            range: 1,
        };
        let mut periods = Vec::new();
        assert_eq!(
            store.window(&metric(), None, window, &mut periods),
            Err(SeveralUnits(vec![Unit::PERCENT, Unit::NONE]))
        );
        store
            .window(&metric(), Some(Unit::NONE), window, &mut periods)
            .unwrap();
        assert_eq!(periods, [StatisticSet::of(2.0, 1.0)]);
        store
            .window(
                &metric(),
                Some(Unit::from_name("Seconds").unwrap()),
                window,
                &mut periods,
            )
            .unwrap();
        assert_eq!(periods, [StatisticSet::EMPTY]);
    }
}
