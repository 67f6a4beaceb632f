//! Samples in, closed datapoints out, and as much history as the alarms need.
//!
//! A slot is open from its first sample until its time is over; closing it yields one datapoint. Late samples open their slot
//! again, and closing that yields a further datapoint with those samples alone, which is how CloudWatch takes them too; the
//! history holds both merged.

mod history;

use std::collections::HashMap;
use std::sync::Arc;

use crate::metric::{
    AGE_MAX, AHEAD_MAX, Content, Datapoint, Distribution, Metric, Reading, Resolution, Sample,
    Statistic, StatisticSet, Timestamp, Unit, VALUE_MAX,
};

use history::History;

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
    /// How much of each metric's history is read.
    needs: HashMap<Arc<Metric>, Need>,
    /// Until when the program before this one closed slots. Which of them is known only of what alarms read.
    closed_until: Option<Timestamp>,
    /// The series after the one that was recorded last: readings tend to have the same order.
    expected: usize,
    /// Whether what is closed goes nowhere but into the history.
    is_for_alarms_only: bool,
    /// Reused while an extended statistic is computed.
    values: Vec<(f64, f64)>,
}

/// How much of a metric's history its alarms read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    pub seconds: i64,
    /// Whether an extended statistic reads the samples themselves.
    pub values: bool,
}

impl Need {
    /// What serves both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            seconds: self.seconds.max(other.seconds),
            values: self.values || other.values,
        }
    }
}

/// One metric with one unit, known by the order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesId(usize);

/// The statistic of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeriodValue {
    /// `None` when there is no sample, or none that the statistic can be read from.
    pub value: Option<f64>,
    pub sample_count: f64,
}

/// The samples of one metric and unit.
#[derive(Debug)]
struct Series {
    metric: Arc<Metric>,
    unit: Unit,
    /// That of the first sample. It is the metric's for as long as the program runs: who publishes a metric in two
    /// resolutions gets all of it in the first.
    resolution: Resolution,
    /// Whether a sample was recorded; else all there is was closed before the program began.
    is_live: bool,
    /// Oldest first. Usually one; more while late samples wait to be closed.
    open: Vec<(Timestamp, Slot)>,
    /// What was closed before its time was over, because a program ended: seen when it is.
    restored: Vec<Datapoint>,
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
            // The gap between the two oldest counts as closed, too: rather a sample too few than one twice.
            let (start, end) = self.0.remove(0);
            self.0[0].0 = self.0[0].0.min(start);
            self.0[0].1 = self.0[0].1.max(end);
        }
    }

    /// The end of what was closed between two instants, if anything was.
    fn end_within(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let part = |&(start, end): &(Timestamp, Timestamp)| {
            let end = end.min(to);
            (start.max(from) < end).then_some(end)
        };
        self.0.iter().filter_map(part).max()
    }

    fn has(&self, slot: Timestamp) -> bool {
        self.0
            .iter()
            .any(|&(start, end)| (start..end).contains(&slot))
    }
}

#[derive(Debug)]
struct Slot {
    /// How many samples it was made of, whatever each of them counts as.
    samples: usize,
    statistics: StatisticSet,
    /// `None` once something came already aggregated, or where nobody reads them. Boxed, because slots are moved often.
    values: Option<Box<Distribution>>,
}

impl DatapointStore {
    /// One that yields no datapoints, and is quicker for it.
    pub fn for_alarms_only() -> Self {
        Self {
            is_for_alarms_only: true,
            ..Self::default()
        }
    }

    /// Keeps so much of each metric's history, and none of any other. Shortening takes effect at once, a longer history grows
    /// from now on.
    pub fn keep_history(&mut self, needs: HashMap<Arc<Metric>, Need>) {
        self.needs = needs;
        for series in &mut self.series {
            let need = self.needs.get(&series.metric).copied();
            series.history.keep(need.unwrap_or_default());
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
        if !(now - AGE_MAX..=now + AHEAD_MAX).contains(&sample.at) {
            return Err(DropReason::TimeOutOfRange);
        }
        let statistics = statistics(&sample.content).ok_or(DropReason::ValueOutOfRange)?;
        let place = self.series_of(sample);
        // What was closed further ahead was closed under a clock that was wrong, and CloudWatch did not take it.
        let closed_until = self.closed_until.filter(|until| *until <= now + AHEAD_MAX);
        let is_for_alarms_only = self.is_for_alarms_only;
        let series = match self.series[place].is_live {
            true => &mut self.series[place],
            false => self.begin(place, sample.resolution, now),
        };
        let start = sample.at.floor(series.resolution.seconds());
        let end = start + series.resolution.seconds();
        let was_closed = closed_until.is_some_and(|until| end <= until);
        if sample.at == now && (was_closed || series.closed.has(start)) {
            return Err(DropReason::ClockSteppedBack);
        }
        match series
            .open
            .binary_search_by_key(&start, |(start, _)| *start)
        {
            Ok(place) => series.open[place].1.add(&statistics, &sample.content),
            Err(place) => {
                let keeps_values = !is_for_alarms_only || series.history.keeps_values();
                let slot = Slot::of(statistics, &sample.content, keeps_values);
                series.open.insert(place, (start, slot));
            }
        }
        Ok(())
    }

    /// The first sample of a series comes at `now`. What was restored in another resolution cannot be continued, and is
    /// unknown.
    fn begin(&mut self, place: usize, resolution: Resolution, now: Timestamp) -> &mut Series {
        let series = &mut self.series[place];
        series.is_live = true;
        if series.resolution != resolution {
            series.resolution = resolution;
            series.restored.clear();
            series.closed = Closed::default();
            series.history = History::beginning_at(resolution, now);
            let need = self.needs.get(&series.metric).copied();
            series.history.keep(need.unwrap_or_default());
        }
        series
    }

    /// The clock is set back to `now`. What is open after that is forgotten; what was closed is seen again when its time comes,
    /// for CloudWatch has it, too. Returns how many samples were not yet closed and go.
    pub fn rewind(&mut self, now: Timestamp) -> usize {
        self.series
            .iter_mut()
            .map(|series| series.rewind(now))
            .sum()
    }

    /// The place of the sample's series, which may be new.
    #[inline(always)]
    fn series_of(&mut self, sample: &Sample) -> usize {
        let is = |series: &Series| {
            series.unit == sample.unit && Arc::ptr_eq(&series.metric, &sample.metric)
        };
        let expected = self.expected;
        let i = match self.series.get(expected) {
            Some(series) if is(series) => expected,
            _ => self.find_series(sample),
        };
        self.expected = if i + 1 == self.series.len() { 0 } else { i + 1 };
        i
    }

    fn find_series(&mut self, sample: &Sample) -> usize {
        let known = self.by_metric.get(&sample.metric).into_iter().flatten();
        let found = known.copied().find(|&i| self.series[i].unit == sample.unit);
        found.unwrap_or_else(|| self.add_series(sample))
    }

    fn add_series(&mut self, sample: &Sample) -> usize {
        let mut history = History::new(sample.resolution);
        history.keep(self.needs.get(&sample.metric).copied().unwrap_or_default());
        self.series.push(Series {
            metric: Arc::clone(&sample.metric),
            unit: sample.unit,
            resolution: sample.resolution,
            is_live: false,
            open: Vec::new(),
            restored: Vec::new(),
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
            if !series.restored.is_empty() {
                let is_over = |slot: &mut Datapoint| over(slot.start, resolution);
                let restored: Vec<Datapoint> = series.restored.extract_if(.., is_over).collect();
                for slot in &restored {
                    series.see(slot);
                }
            }
            let is_over = |(start, _): &&mut (Timestamp, Slot)| over(*start, resolution);
            let mut closed = 0;
            for (start, slot) in series.open.iter_mut().take_while(is_over) {
                closed += 1;
                let (start, values) = (*start, slot.values.as_deref());
                series.history.add(start, &slot.statistics, values);
                series.closed.add(start, start + resolution.seconds());
                if self.is_for_alarms_only {
                    continue;
                }
                datapoints.push(Datapoint {
                    metric: Arc::clone(&series.metric),
                    unit: series.unit,
                    resolution,
                    start,
                    statistics: slot.statistics,
                    values: slot.values.take().map(|values| *values),
                });
            }
            series.open.drain(..closed);
        }
        datapoints.sort_by_key(|datapoint| datapoint.start);
        datapoints
    }

    /// The end of the newest slot that is yet to be seen.
    pub fn open_until(&self) -> Option<Timestamp> {
        let end = |series: &Series| {
            let open = series.open.last().map(|(start, _)| *start);
            let restored = series.restored.iter().map(|slot| slot.start);
            let newest = restored.chain(open).max();
            newest.map(|start| start + series.resolution.seconds())
        };
        self.series.iter().filter_map(end).max()
    }

    /// Takes up a datapoint that was closed before the program began. A slot whose time was not over at `until` was closed as
    /// it was, and may be continued; one that begins later was closed under a clock that was wrong.
    pub fn restore(&mut self, datapoint: &Datapoint, until: Timestamp) {
        let place = self.series_of(&Sample {
            metric: Arc::clone(&datapoint.metric),
            unit: datapoint.unit,
            resolution: datapoint.resolution,
            at: datapoint.start,
            content: Content::StatisticSet(datapoint.statistics),
        });
        let series = &mut self.series[place];
        if datapoint.resolution != series.resolution {
            // Of before the metric was published in another one.
            return;
        }
        if datapoint.start + series.resolution.seconds() <= until {
            series.see(datapoint);
        } else if datapoint.start > until {
            let end = datapoint.start + series.resolution.seconds();
            series.closed.add(datapoint.start, end);
        } else {
            series.restored.push(datapoint.clone());
        }
    }

    /// A live sample of a slot that ended by then would be sent a second time.
    pub fn was_closed_until(&mut self, until: Timestamp) {
        self.closed_until = Some(until);
    }

    /// How many series there are; they only ever become more.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// The series of a metric: of one unit, or one for each unit that it was recorded in.
    pub fn series(&self, metric: &Metric, unit: Option<Unit>) -> impl Iterator<Item = SeriesId> {
        let known = self.by_metric.get(metric).into_iter().flatten().copied();
        known
            .filter(move |&i| unit.is_none_or(|unit| unit == self.series[i].unit))
            .map(SeriesId)
    }

    pub fn unit(&self, SeriesId(i): SeriesId) -> Unit {
        self.series[i].unit
    }

    /// Since when everything that was recorded of a series is kept.
    pub fn complete_since(&self, SeriesId(i): SeriesId) -> Timestamp {
        self.series[i].history.complete_since()
    }

    /// While this is the same, every period that was read before is as it was.
    pub fn revision(&self, SeriesId(i): SeriesId) -> u64 {
        self.series[i].history.revision()
    }

    /// The start of the first slot with samples that reaches beyond `since`.
    pub fn first_since(&self, SeriesId(i): SeriesId, since: Timestamp) -> Option<Timestamp> {
        self.series[i].history.first_since(since)
    }

    /// The statistic of the samples from `start` up to and without `end`, as seen at `now`: a period holds the slots that
    /// start in it, and a slot is seen once its time is over.
    #[inline(always)]
    pub fn period(
        &mut self,
        SeriesId(i): SeriesId,
        statistic: &Statistic,
        (start, end): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> PeriodValue {
        let history = &mut self.series[i].history;
        let set = history.period(start, end, now);
        let values = &mut self.values;
        values.clear();
        let known = statistic.is_extended() && history.values(start, end, now, values);
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        PeriodValue {
            value: statistic.of(&set, known.then_some(values)),
            sample_count: set.sample_count,
        }
    }
}

impl Series {
    fn rewind(&mut self, now: Timestamp) -> usize {
        let open = self.open.extract_if(.., |(start, _)| *start > now);
        let samples = open.map(|(_, slot)| slot.samples).sum();
        self.restored.retain(|slot| slot.start <= now);
        // What was closed after `now` and slid out of the history already is not known any more.
        let lost_until = self.closed.end_within(now, self.history.first());
        self.history.is_incomplete_until(lost_until.unwrap_or(now));
        let ahead = self.history.cut(now).into_iter();
        let is_accepted = |(start, ..): &history::Slot| *start <= now + AHEAD_MAX;
        for (start, statistics, values) in ahead.filter(is_accepted) {
            self.restored.push(Datapoint {
                metric: Arc::clone(&self.metric),
                unit: self.unit,
                resolution: self.resolution,
                start,
                statistics,
                values,
            });
        }
        samples
    }

    /// Puts a slot into the history that was closed before.
    fn see(&mut self, datapoint: &Datapoint) {
        let Datapoint {
            start,
            statistics,
            values,
            ..
        } = datapoint;
        self.history.add(*start, statistics, values.as_ref());
        self.closed.add(*start, *start + self.resolution.seconds());
    }
}

impl Slot {
    /// One sample.
    fn of(statistics: StatisticSet, content: &Content, keeps_values: bool) -> Self {
        let mut slot = Self {
            samples: 1,
            statistics,
            values: keeps_values.then(Box::default),
        };
        slot.add_values(content);
        slot
    }

    fn add(&mut self, statistics: &StatisticSet, content: &Content) {
        self.samples += 1;
        self.statistics.merge(statistics);
        self.add_values(content);
    }

    fn add_values(&mut self, content: &Content) {
        let Some(values) = &mut self.values else {
            return;
        };
        match content {
            Content::Value(value) => values.add(*value, 1.0),
            Content::Values(counted) => counted
                .iter()
                .for_each(|&(value, count)| values.add(value, count)),
            Content::StatisticSet(set) => match set.only_value() {
                Some(value) => values.add(value, set.sample_count),
                None => self.values = None,
            },
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
mod tests;
