//! What judging alarms costs: `cargo bench --bench evaluator`. `tests/bench/evaluator` puts the figures beside promtool's.
//!
//! Estimate: a tick of 10,000 alarms touches some 500 bytes of each, 5 MB from memory at 10 GB/s, half a millisecond. One
//! evaluation in cache is a lookup of the series, a handful of slots and a comparison, some 50 ns. An expression over ten
//! series of 1,440 points is 14,400 additions and as many stores, some 5 µs.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
#![expect(
    clippy::unwrap_used,
    reason = "what is wrong here is a mistake in this file"
)]

#[path = "feed.rs"]
mod feed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cwbridge::alarm::{Alarm, MathSource, MetricDataQuery, Options, QueryContent, Source};
use cwbridge::metric::Metric;
use cwbridge::pipeline::Pipeline;

use feed::{DAY_MINUTES, Feed, above, alarm, at, float, metric_stat, metrics, reading, set, stat};

const YEAR_MINUTES: i64 = 365 * DAY_MINUTES;

/// The best of so many runs counts: everything else is what the machine did besides.
const RUNS: usize = 5;

/// The series that promtool is given, too: ten minutes of each hour, or of each day, are above the threshold. An alarm that
/// goes off every hour shows what wording a transition costs.
const SERIES: [(&str, i64); 2] = [("hot once an hour", 60), ("hot once a day", DAY_MINUTES)];

fn main() {
    for (what, metrics) in [("each on its own metric", 10_000), ("all on one metric", 1)] {
        tick(what, metrics);
    }
    for (series, every) in SERIES {
        let [short, long] = [3, 1_440].map(|n| evaluation(series, every, n));
        println!("N = 1,440 costs {:.2} times what N = 3 does", long / short);
        whole_pipeline(series, every);
    }
    let math = math_alarm(&metrics(10));
    println!(
        "metric math, 10 metrics over 1,440 points: {:.1} µs per evaluation",
        1e6 * math
    );
}

/// One tick of 10,000 alarms.
fn tick(what: &str, metrics_count: usize) {
    let metrics = metrics(metrics_count);
    let alarms = (0..10_000).map(|i| alarm(i, stat(&metrics[i % metrics.len()]), 3));
    let alarms: Vec<Alarm> = alarms.collect();
    let mut feed = Feed::new(alarms, &metrics, 60);
    let (mut whole, mut judging) = (Duration::MAX, Duration::MAX);
    for minute in 0..30 {
        let start = Instant::now();
        feed.record(minute);
        let recorded = Instant::now();
        let evaluated = feed.evaluate(minute);
        let end = Instant::now();
        if minute > 10 {
            assert_eq!(evaluated, 10_000);
            whole = whole.min(end - start);
            judging = judging.min(end - recorded);
        }
    }
    println!(
        "10,000 alarms, {what}: {:.2} ms a tick, {:.2} ms with recording and closing its samples",
        1e3 * judging.as_secs_f64(),
        1e3 * whole.as_secs_f64()
    );
}

/// Seconds per evaluation of one alarm over a year, without what it takes to feed the store.
fn evaluation(series: &str, every: i64, n: u32) -> f64 {
    let metrics = metrics(1);
    let run = |judges: bool| {
        let mut feed = Feed::new(vec![alarm(0, stat(&metrics[0]), n)], &metrics, every);
        best(|| {
            for _ in 0..YEAR_MINUTES {
                let minute = feed.minutes;
                feed.record(minute);
                if judges {
                    feed.evaluate(minute);
                }
            }
        })
    };
    let (fed, judged) = (run(false), run(true));
    let seconds = judged.saturating_sub(fed).as_secs_f64() / float(YEAR_MINUTES);
    println!(
        "evaluator alone, a year {series}, N = {n}: {:.0} evaluations/s ({:.1} ns each, feeding the store {:.1} ns)",
        1.0 / seconds,
        1e9 * seconds,
        1e9 * fed.as_secs_f64() / float(YEAR_MINUTES),
    );
    seconds
}

fn whole_pipeline(series: &str, every: i64) {
    let metrics = metrics(1);
    let mut pipeline = Pipeline::new(Options::default());
    pipeline.set_alarms(vec![alarm(0, stat(&metrics[0]), 3)], at(0));
    let mut reading = reading(&metrics);
    let mut minutes = 0;
    let took = best(|| {
        for _ in 0..YEAR_MINUTES {
            set(&mut reading, minutes, every);
            minutes += 1;
            assert!(pipeline.advance(&reading).evaluated <= 1);
        }
    });
    let seconds = took.as_secs_f64() / float(YEAR_MINUTES);
    println!(
        "whole pipeline, a year {series}, N = 3: {:.0} evaluations/s ({:.1} ns each)",
        1.0 / seconds,
        1e9 * seconds
    );
}

/// Seconds per evaluation of an alarm on an expression over `metrics`, each with a value for each of 1,440 minutes.
fn math_alarm(metrics: &[Arc<Metric>]) -> f64 {
    const EVALUATIONS: i64 = 100;
    let comparison = above(50.0);
    let query = |id: String, content| MetricDataQuery {
        returns_data: matches!(content, QueryContent::Expression(_)),
        id,
        label: None,
        content,
        period: None,
    };
    let mut queries = vec![query(
        "e1".to_owned(),
        QueryContent::Expression("AVG(METRICS()) + IF(m1 > 50, m1, 0)".to_owned()),
    )];
    let inputs = metrics
        .iter()
        .enumerate()
        .map(|(i, metric)| query(format!("m{i}"), QueryContent::Stat(metric_stat(metric))));
    queries.extend(inputs);
    let source = Source::Math(Box::new(MathSource::new(queries, &comparison).unwrap()));
    // A range of a day in all.
    let mut feed = Feed::new(vec![alarm(0, source, 1_435)], metrics, 60);
    for minute in 0..2 * DAY_MINUTES {
        feed.record(minute);
    }
    let took = best(|| {
        for _ in 0..EVALUATIONS {
            let minute = feed.minutes;
            feed.record(minute);
            assert_eq!(feed.evaluate(minute), 1);
        }
    });
    took.as_secs_f64() / float(EVALUATIONS)
}

fn best(mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..RUNS).map(timed).min().unwrap()
}
