//! Alarms and the samples that they are fed, for the benchmarks.

use std::hint::black_box;
use std::sync::Arc;

use cwbridge::alarm::{
    Actions, Alarm, Comparison, ComparisonOperator, EvaluationWindow, Evaluator, Events,
    MetricAlarm, MetricStat, Options, Rule, Source, Watched,
};
use cwbridge::metric::{
    BasicStatistic, Content, Metric, Period, Reading, Resolution, Sample, Statistic, Timestamp,
    Unit,
};
use cwbridge::store::DatapointStore;

/// From the first minute on, and nothing is unknown.
const WATCHED: Watched = Watched {
    since: Timestamp::from_seconds(0),
    elsewhere_since: Timestamp::from_seconds(0),
};

pub(crate) const DAY_MINUTES: i64 = 1_440;

/// So many minutes of each hour, or of each day, are above the threshold.
pub(crate) const HOT_MINUTES: i64 = 10;

/// A store and an evaluator, stepped apart so that each can be timed.
pub(crate) struct Feed {
    store: DatapointStore,
    evaluator: Evaluator,
    reading: Reading,
    pub(crate) minutes: i64,
    /// The values rise every so many minutes.
    every: i64,
}

impl Feed {
    pub(crate) fn new(alarms: Vec<Alarm>, metrics: &[Arc<Metric>], every: i64) -> Self {
        let mut evaluator = Evaluator::new(Options::default());
        evaluator.set_alarms(alarms, at(0));
        let mut store = DatapointStore::default();
        store.keep_history(evaluator.history_needed());
        Self {
            store,
            evaluator,
            reading: reading(metrics),
            minutes: 0,
            every,
        }
    }

    /// One sample of every metric, and the datapoints of the minute before.
    pub(crate) fn record(&mut self, minute: i64) {
        set(&mut self.reading, minute, self.every);
        self.store.record(&self.reading, &mut Vec::new());
        black_box(self.store.close(at(minute)));
        self.minutes = minute + 1;
    }

    pub(crate) fn evaluate(&mut self, minute: i64) -> usize {
        let mut events = Events::default();
        let (store, now) = (&mut self.store, at(minute));
        let evaluated = self.evaluator.evaluate(store, now, WATCHED, &mut events);
        black_box(events);
        evaluated
    }
}

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_seconds(60 * minute)
}

pub(crate) fn metrics(count: usize) -> Vec<Arc<Metric>> {
    let metric = |i| Arc::new(Metric::new("CWBridge", format!("m{i}"), vec![]));
    (0..count).map(metric).collect()
}

pub(crate) fn metric_stat(metric: &Arc<Metric>) -> MetricStat {
    MetricStat {
        metric: Arc::clone(metric),
        statistic: Statistic::Basic(BasicStatistic::Average),
        unit: None,
    }
}

pub(crate) fn stat(metric: &Arc<Metric>) -> Source {
    Source::Stat(metric_stat(metric))
}

pub(crate) fn above(threshold: f64) -> Comparison {
    Comparison::Threshold {
        operator: ComparisonOperator::GreaterThanThreshold,
        threshold,
    }
}

pub(crate) fn alarm(i: usize, source: Source, n: u32) -> Alarm {
    let rule = MetricAlarm {
        source,
        period: Period::new(60).unwrap(),
        evaluation_periods: n,
        datapoints_to_alarm: None,
        comparison: above(50.0),
        treat_missing_data: None,
        low_sample_percentile: None,
        evaluation_window: EvaluationWindow::Sliding,
        warm_up: None,
    };
    Alarm {
        name: format!("alarm-{i}"),
        arn: None,
        description: None,
        actions: Actions::default(),
        rule: Rule::Metric(rule),
        not_here: None,
    }
}

/// One live sample of each metric; [`set`] says when.
pub(crate) fn reading(metrics: &[Arc<Metric>]) -> Reading {
    let sample = |metric: &Arc<Metric>| Sample {
        metric: Arc::clone(metric),
        unit: Unit::PERCENT,
        resolution: Resolution::Standard,
        at: at(0),
        content: Content::Value(0.0),
    };
    Reading {
        at: at(0),
        samples: metrics.iter().map(sample).collect(),
    }
}

/// Moves a reading to a minute. It is made once, so that making it is not what is timed.
pub(crate) fn set(reading: &mut Reading, minute: i64, every: i64) {
    let is_hot = minute % every >= every - HOT_MINUTES;
    let value = if is_hot { 90.0 } else { 10.0 };
    reading.at = at(minute);
    for sample in &mut reading.samples {
        sample.at = at(minute);
        sample.content = Content::Value(value);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few millions at most")]
pub(crate) fn float(count: i64) -> f64 {
    count as f64
}
