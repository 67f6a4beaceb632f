//! The datapoints of a math alarm: the statistics it reads as one table, and its expressions over that.

use std::sync::Arc;

use crate::math::{Band as BandSeries, Labeled, Series, Table, Value};
use crate::metric::{BasicStatistic, Statistic, Timestamp};
use crate::store::{DatapointStore, SeriesId};

use super::judge::{Trouble, periods, point, the_one};
use super::range::{EvaluationRange, Point};
use super::schedule::Ranges;
use super::{Band, MathSource, MetricAlarm, MetricStat, band_metrics};

/// Computes the whole range at every evaluation: an expression may look at all of it.
#[derive(Debug)]
pub(super) struct MathFeed {
    source: MathSource,
    inputs: Vec<Input>,
    /// The lower and the upper bound, if a band is needed.
    bounds: Vec<Input>,
    series_count: usize,
    range: EvaluationRange,
    /// Over how many periods the expressions are evaluated.
    length: usize,
    is_uncertain: bool,
}

/// A statistic with the series that it is read from.
#[derive(Debug)]
struct Input {
    stat: MetricStat,
    series: Vec<SeriesId>,
}

impl MathFeed {
    pub(super) fn new(alarm_name: &str, source: &MathSource, ranges: Ranges) -> Self {
        let input = |stat: &MetricStat| Input {
            stat: stat.clone(),
            series: Vec::new(),
        };
        let is_uncertain = source.program().uncertain(source.wanted().0).is_some();
        let bounds = match source.needs_band() {
            true => bound_stats(alarm_name).iter().map(input).collect(),
            false => Vec::new(),
        };
        Self {
            inputs: source.stats().map(input).collect(),
            bounds,
            source: source.clone(),
            series_count: 0,
            range: EvaluationRange::new(ranges.longest),
            // What depends on the range must not see more of it than CloudWatch does.
            length: if is_uncertain {
                ranges.assumed
            } else {
                ranges.longest
            },
            is_uncertain,
        }
    }

    pub(super) fn range(&self) -> &EvaluationRange {
        &self.range
    }

    /// Whether AWS's documents leave open what the expressions yield.
    pub(super) fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }

    pub(super) fn series(&self) -> impl Iterator<Item = SeriesId> {
        self.inputs
            .iter()
            .flat_map(|input| input.series.iter().copied())
    }

    /// Computes the datapoints of the range that ends at `end`. Returns since when all series read are complete.
    pub(super) fn look(
        &mut self,
        alarm: &MetricAlarm,
        store: &mut DatapointStore,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<Timestamp, Trouble> {
        if self.series_count != store.series_count() {
            for Input { stat, series } in self.inputs.iter_mut().chain(&mut self.bounds) {
                *series = store.series(&stat.metric, stat.unit).collect();
            }
            self.series_count = store.series_count();
        }
        let mut periods = periods(alarm, end, self.length);
        periods.reverse();
        let mut complete_since = Timestamp::MIN;
        let mut read = |input: &Input| {
            let series = input.one(store, &periods, now)?;
            complete_since = complete_since
                .max(series.map_or(Timestamp::MIN, |series| store.complete_since(series)));
            let value = |period: &(Timestamp, Timestamp)| {
                point(&input.stat, store, series, *period, now).value
            };
            Ok(periods.iter().map(value).collect::<Series>())
        };
        let metrics = self
            .inputs
            .iter()
            .map(&mut read)
            .collect::<Result<Vec<_>, _>>()?;
        let bounds = self
            .bounds
            .iter()
            .map(&mut read)
            .collect::<Result<Vec<_>, _>>()?;
        self.evaluate(alarm, &periods, &metrics, bounds)?;
        Ok(complete_since)
    }

    fn evaluate(
        &mut self,
        alarm: &MetricAlarm,
        periods: &[(Timestamp, Timestamp)],
        metrics: &[Series],
        bounds: Vec<Series>,
    ) -> Result<(), Trouble> {
        let band = match <[Series; 2]>::try_from(bounds) {
            Ok([lower, upper]) if !lower.has_no_point() => Some(BandSeries { lower, upper }),
            _ => None,
        };
        if self.source.needs_band() && band.is_none() {
            return Err(Trouble(super::metric_alarm::NEEDS_MODEL.to_owned()));
        }
        let starts: Vec<Timestamp> = periods.iter().map(|(start, _)| *start).collect();
        let table = Table {
            starts: &starts,
            period: alarm.period,
            metrics,
            band: band.as_ref(),
        };
        let value = |id| {
            let value = self.source.program().evaluate(id, &table);
            value.map_err(|error| Trouble(error.to_string()))
        };
        let (observed, threshold) = self.source.wanted();
        let observed = value(observed)?;
        let bands = threshold.map(value).transpose()?;
        self.range.clear();
        for (slot, start) in starts.iter().enumerate() {
            let point = Point {
                start: *start,
                value: series(&observed).and_then(|series| series.get(slot)),
                sample_count: 0.0,
                band: bands.as_ref().and_then(|bands| band_of(bands, slot)),
            };
            self.range.push(point, &alarm.comparison, 0.0);
        }
        Ok(())
    }
}

impl Input {
    /// The one series that has samples in the periods, which come oldest first.
    fn one(
        &self,
        store: &mut DatapointStore,
        periods: &[(Timestamp, Timestamp)],
        now: Timestamp,
    ) -> Result<Option<SeriesId>, Trouble> {
        match (periods.first(), periods.last()) {
            (Some(first), Some(last)) if self.series.len() > 1 => {
                the_one(&self.stat, &self.series, store, (first.0, last.1), now)
            }
            _ => Ok(self.series.first().copied()),
        }
    }
}

/// The bounds of an alarm's band as statistics.
pub(super) fn bound_stats(alarm_name: &str) -> [MetricStat; 2] {
    band_metrics(alarm_name).map(|metric| MetricStat {
        metric: Arc::new(metric),
        statistic: Statistic::Basic(BasicStatistic::Average),
        unit: None,
    })
}

fn series(value: &Value) -> Option<&Series> {
    match value {
        Value::Series(series) => Some(series),
        Value::Scalar(_) | Value::Array(_) => None,
    }
}

fn band_of(value: &Value, slot: usize) -> Option<Band> {
    match value {
        Value::Array(bounds) => match bounds.as_slice() {
            [Labeled { series: lower, .. }, Labeled { series: upper, .. }] => Some(Band {
                lower: lower.get(slot)?,
                upper: upper.get(slot)?,
            }),
            _ => None,
        },
        Value::Series(_) | Value::Scalar(_) => None,
    }
}
