//! One metric alarm's datapoints, gathered from the store and judged.

use crate::metric::{Statistic, Timestamp};
use crate::store::{DatapointStore, SeriesId};

use super::certainty::Ground;
use super::decision::{Decision, Terms, Verdict, decide};
use super::math_feed::MathFeed;
use super::range::{EvaluationRange, Point};
use super::schedule::{Ranges, period_start, window_end};
use super::{Certainty, LowSamplePercentile, MetricAlarm, MetricStat, Source, StateValue};

/// CloudWatch stores samples for percentiles in buckets some ten percent wide; a value may be off by half of that
/// (SPEC section 2.5).
const EXTENDED_TOLERANCE: f64 = 0.05;

/// Since when samples are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Those that this host takes: when it did not, there were none.
    pub since: Timestamp,
    /// Those that are also taken elsewhere, by the hypervisor: they went on while this program did not run.
    pub elsewhere_since: Timestamp,
}

/// Why an alarm cannot be judged on what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble(pub(super) String);

/// What was found at one evaluation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) at: Timestamp,
    /// The end of the newest period.
    pub(super) end: Timestamp,
    pub(super) decision: Decision,
    pub(super) certainty: Certainty,
}

/// Judges one metric alarm, from one evaluation to the next.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) ranges: Ranges,
    terms: Terms,
    in_guest: bool,
    feed: Feed,
    /// The evaluation range that was judged last, by its place in the feed.
    newest: usize,
}

#[derive(Debug)]
enum Feed {
    Stat(StatFeed),
    Math(Box<MathFeed>),
}

impl Judge {
    /// `range`: the evaluation range in periods, if it is known. `None` for an alarm on a query.
    pub(super) fn new(alarm_name: &str, alarm: &MetricAlarm, range: Option<u32>) -> Option<Self> {
        let ranges = Ranges::of(alarm, range);
        let feed = match &alarm.source {
            Source::Stat(stat) => Feed::Stat(StatFeed::new(stat, alarm, ranges.longest)),
            Source::Query { .. } => return None,
            Source::Math(math) => Feed::Math(Box::new(MathFeed::new(alarm_name, math, ranges))),
        };
        Some(Self {
            ranges,
            terms: terms(alarm),
            in_guest: alarm
                .stats()
                .iter()
                .any(|stat| stat.metric.namespace == "AWS/EC2"),
            feed,
            newest: 0,
        })
    }

    /// What was looked at last, newest first; `most` of it.
    pub(super) fn points(&self, most: usize) -> Vec<Point> {
        self.range().points(self.ranges.assumed.min(most))
    }

    pub(super) fn range(&self) -> &EvaluationRange {
        match &self.feed {
            Feed::Stat(feed) => &feed.phases[self.newest].range,
            Feed::Math(feed) => feed.range(),
        }
    }

    /// The first sample since an instant, of any metric that the alarm reads.
    pub(super) fn first_since(
        &self,
        store: &DatapointStore,
        since: Timestamp,
    ) -> Option<Timestamp> {
        let first = |series: &SeriesId| store.first_since(*series, since);
        match &self.feed {
            Feed::Stat(feed) => feed.series.iter().filter_map(first).min(),
            Feed::Math(feed) => feed.series().filter_map(|series| first(&series)).min(),
        }
    }

    /// Looks at the datapoints that there are at `now`. What happened before it was watched is unknown.
    pub(super) fn judge(
        &mut self,
        alarm: &MetricAlarm,
        store: &mut DatapointStore,
        now: Timestamp,
        watched: Watched,
        previous: StateValue,
    ) -> Result<Judged, Trouble> {
        let end = window_end(alarm, now);
        let complete_since = match &mut self.feed {
            Feed::Stat(feed) => {
                let (phase, complete_since) = feed.look(alarm, store, end, now)?;
                self.newest = phase;
                complete_since
            }
            Feed::Math(feed) => feed.look(alarm, store, end, now)?,
        };
        let watched_since = match self.in_guest {
            true => watched.elsewhere_since,
            false => watched.since,
        };
        let known_since = watched_since.max(complete_since);
        let (decision, certainty) = self.decide(alarm, previous, known_since);
        Ok(Judged {
            at: now,
            end,
            decision,
            certainty,
        })
    }

    fn decide(
        &self,
        alarm: &MetricAlarm,
        previous: StateValue,
        known_since: Timestamp,
    ) -> (Decision, Certainty) {
        let range = self.range();
        let tally = range.tally(self.ranges.assumed, self.terms.n);
        let mut decision = decide(tally, self.terms);
        let low_sample = low_sample(alarm, range, decision.basis.used);
        if low_sample == LowSample::All {
            decision.verdict = Verdict::Retain;
        }
        let treatment = decision.basis.filled > 0 && alarm.is_treatment_disputed();
        let uncertain = matches!(&self.feed, Feed::Math(feed) if feed.is_uncertain());
        let ground = Ground {
            range,
            ranges: self.ranges,
            terms: self.terms,
            previous,
            disputed: treatment || uncertain || low_sample == LowSample::Some,
            retains: low_sample == LowSample::All,
            known_since,
            in_guest: self.in_guest,
        };
        let certainty = ground.certainty(decision);
        (decision, certainty)
    }
}

/// M of N, as the alarm has them.
pub(super) fn terms(alarm: &MetricAlarm) -> Terms {
    Terms {
        n: alarm.evaluation_periods as usize,
        m: alarm.minimum_to_alarm() as usize,
        treatment: alarm.treatment(),
    }
}

/// Whether there are too few samples for a percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LowSample {
    No,
    /// In one of the periods used but not in all together: AWS does not say which counts (SPEC section 5.5).
    Some,
    All,
}

fn low_sample(alarm: &MetricAlarm, range: &EvaluationRange, used: usize) -> LowSample {
    let Some(Statistic::Extended(percentile)) = alarm.stat().map(|stat| &stat.statistic) else {
        return LowSample::No;
    };
    if used == 0 || alarm.low_sample_percentile != Some(LowSamplePercentile::Ignore) {
        return LowSample::No;
    }
    let (all, least) = range.sample_counts(used);
    match (
        percentile.is_low_sample(all),
        percentile.is_low_sample(least),
    ) {
        (true, _) => LowSample::All,
        (false, true) => LowSample::Some,
        (false, false) => LowSample::No,
    }
}

/// The most datapoints kept for one alarm.
const PHASE_SLOTS_MAX: i64 = 2_048;

/// The datapoints of one statistic of one metric.
///
/// Windows slide by less than a period, so that there are as many sequences of datapoints as evaluations in a period; each is
/// continued where it stood a period ago. If that makes too many datapoints, the periods are long and the range has few of
/// them: then one sequence is kept and read anew at every evaluation.
#[derive(Debug)]
struct StatFeed {
    stat: MetricStat,
    /// The series of `stat`, as of when there were so many series in the store.
    series: Vec<SeriesId>,
    series_count: usize,
    tolerance: f64,
    /// By the end of their windows.
    phases: Vec<Phase>,
    phase_seconds: i64,
}

#[derive(Debug)]
struct Phase {
    range: EvaluationRange,
    end: Timestamp,
    /// The series that was read, and its revision then.
    read: Option<(SeriesId, u64)>,
}

impl StatFeed {
    fn new(stat: &MetricStat, alarm: &MetricAlarm, length: usize) -> Self {
        let interval = alarm.evaluation_interval();
        let phase_seconds = greatest_common_divisor(interval, alarm.period.seconds());
        let phases = match alarm.evaluation_window {
            super::EvaluationWindow::Sliding => alarm.period.seconds() / phase_seconds,
            super::EvaluationWindow::WallClock { .. } => 1,
        };
        let slots = phases.saturating_mul(i64::try_from(length).unwrap_or(i64::MAX));
        let phases = if slots > PHASE_SLOTS_MAX { 1 } else { phases };
        let phase = |_| Phase {
            range: EvaluationRange::new(length),
            end: Timestamp::MIN,
            read: None,
        };
        Self {
            stat: stat.clone(),
            series: Vec::new(),
            series_count: 0,
            tolerance: match stat.statistic.is_extended() {
                true => EXTENDED_TOLERANCE,
                false => 0.0,
            },
            phases: (0..phases).map(phase).collect(),
            phase_seconds,
        }
    }

    /// Brings the phase whose windows end at `end` up to date. Returns its place, and since when its series is complete.
    fn look(
        &mut self,
        alarm: &MetricAlarm,
        store: &mut DatapointStore,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<(usize, Timestamp), Trouble> {
        if self.series_count != store.series_count() {
            self.series = store.series(&self.stat.metric, self.stat.unit).collect();
            self.series_count = store.series_count();
        }
        let place = self.place(end);
        let series = match self.series.as_slice() {
            [] => None,
            [series] => Some(*series),
            several => {
                let oldest = periods(alarm, end, self.phases[place].range.length()).pop();
                let range = (oldest.map_or(end, |(start, _)| start), end);
                the_one(&self.stat, several, store, range, now)?
            }
        };
        let read = series.map(|series| (series, store.revision(series)));
        let phase = &mut self.phases[place];
        let continues = phase.read == read
            && (phase.end == end
                || phase.end == period_start(alarm, end) && phase.end > Timestamp::MIN);
        if !continues {
            phase.range.clear();
        }
        let mut get = |start, end| point(&self.stat, store, series, (start, end), now);
        if !continues {
            for (start, end) in periods(alarm, end, phase.range.length()).into_iter().rev() {
                phase
                    .range
                    .push(get(start, end), &alarm.comparison, self.tolerance);
            }
        } else if phase.end != end {
            phase
                .range
                .push(get(phase.end, end), &alarm.comparison, self.tolerance);
        }
        (phase.end, phase.read) = (end, read);
        let complete_since = series.map_or(Timestamp::MIN, |series| store.complete_since(series));
        Ok((place, complete_since))
    }

    fn place(&self, end: Timestamp) -> usize {
        if self.phases.len() == 1 {
            return 0;
        }
        let phases = i64::try_from(self.phases.len()).unwrap_or(i64::MAX);
        let phase = (end.seconds() / self.phase_seconds).rem_euclid(phases);
        usize::try_from(phase).unwrap_or(0)
    }
}

/// The one series of several units that has samples in the range. If there are more, and no unit was asked for, CloudWatch
/// leaves undefined which one it reads (SPEC section 2.6).
pub(super) fn the_one(
    stat: &MetricStat,
    series: &[SeriesId],
    store: &mut DatapointStore,
    range: (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<Option<SeriesId>, Trouble> {
    let mut has_samples =
        |series: &SeriesId| point(stat, store, Some(*series), range, now).sample_count > 0.0;
    let with_samples: Vec<SeriesId> = series.iter().copied().filter(&mut has_samples).collect();
    match with_samples.as_slice() {
        [] => Ok(series.first().copied()),
        [series] => Ok(Some(*series)),
        several => Err(several_units(stat, store, several)),
    }
}

fn several_units(stat: &MetricStat, store: &DatapointStore, series: &[SeriesId]) -> Trouble {
    let units: Vec<String> = series
        .iter()
        .map(|series| format!("`{}`", store.unit(*series)))
        .collect();
    Trouble(format!(
        "`{}` has samples in several units ({}) and the alarm sets no `Unit`; set it to one of them",
        stat.metric,
        units.join(", ")
    ))
}

/// The datapoint of a period; missing without a series.
pub(super) fn point(
    stat: &MetricStat,
    store: &mut DatapointStore,
    series: Option<SeriesId>,
    period: (Timestamp, Timestamp),
    now: Timestamp,
) -> Point {
    let read = series.map(|series| store.period(series, &stat.statistic, period, now));
    Point {
        start: period.0,
        value: read.and_then(|read| read.value),
        sample_count: read.map_or(0.0, |read| read.sample_count),
        band: None,
    }
}

/// The periods of a range that ends at `end`, newest first.
pub(super) fn periods(
    alarm: &MetricAlarm,
    end: Timestamp,
    count: usize,
) -> Vec<(Timestamp, Timestamp)> {
    let mut end = end;
    let mut period = || {
        let start = period_start(alarm, end);
        let period = (start, end);
        end = start;
        period
    };
    (0..count).map(|_| period()).collect()
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
