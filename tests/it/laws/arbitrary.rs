//! Alarms of every kind and readings of every kind, sensible or not.

use std::sync::Arc;

use cwbridge::alarm::{
    Actions, Aggregation, Alarm, AlarmRule, Comparison, ComparisonOperator, CompositeAlarm,
    EvaluationWindow, LogAlarm, LowSamplePercentile, MathSource, MetricAlarm, MetricDataQuery,
    MetricStat, MuteDuration, MuteRule, PromQlAlarm, QueryContent, Rule, Schedule, ScheduledQuery,
    Source, Suppressor, TreatMissingData, WarmUp,
};
use cwbridge::metric::{
    Content, Metric, Period, Reading, Resolution, Sample, Statistic, StatisticSet, Timestamp, Unit,
};
use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

const METRICS: usize = 3;

/// How many alarms there are at most; rules name alarms up to this one.
const ALARMS_MAX: usize = 6;

const STATISTICS: [&str; 10] = [
    "Average",
    "Sum",
    "Minimum",
    "Maximum",
    "SampleCount",
    "p90",
    "p0.5",
    "TM(10%:90%)",
    "TC(:50)",
    "PR(20:80)",
];

/// Of different offsets, one with half an hour of summer time.
const ZONES: [&str; 4] = [
    "UTC",
    "Asia/Kathmandu",
    "America/New_York",
    "Australia/Lord_Howe",
];

const EXPRESSIONS: [&str; 8] = [
    "m0 + m1",
    "m0 / (m1 - 10)",
    "IF(m0 > 50, m1, m2)",
    "FILL(m0, REPEAT)",
    "RATE(m0) * 60",
    "AVG(METRICS()) - STDDEV(m1)",
    "RUNNING_SUM(m0)",
    "MAX([m0, m1, m2]) ^ 2 + HOUR(m0)",
];

const SCHEDULES: [&str; 4] = [
    "cron(* * * * *)",
    "cron(0/5 0 * * *)",
    "cron(30 2 29 2 SUN)",
    "at(1970-01-01T00:10)",
];

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(super) fn metric(i: usize) -> Arc<Metric> {
    Arc::new(Metric::new("CWBridge", format!("m{i}"), vec![]))
}

pub(super) fn above(threshold: f64) -> Comparison {
    Comparison::Threshold {
        operator: ComparisonOperator::GreaterThanThreshold,
        threshold,
    }
}

pub(super) fn alarm(i: usize, rule: Rule) -> Alarm {
    let topic = |state: &str| vec![format!("arn:aws:sns:us-east-1:111111111111:{state}")];
    let policy = "arn:aws:autoscaling:us-east-1:111111111111:scalingPolicy:p".to_owned();
    Alarm {
        name: format!("a{i}"),
        arn: None,
        description: None,
        actions: Actions {
            enabled: true,
            ok: topic("ok"),
            alarm: [topic("alarm"), vec![policy]].concat(),
            insufficient_data: Vec::new(),
        },
        rule,
        not_here: None,
    }
}

pub(super) fn stat() -> impl Strategy<Value = MetricStat> {
    let unit = prop_oneof![4 => Just(None), 1 => Just(Some(Unit::PERCENT))];
    (0..METRICS, select(&STATISTICS[..]), unit).prop_map(|(i, statistic, unit)| MetricStat {
        metric: metric(i),
        statistic: Statistic::from_name(statistic).unwrap(),
        unit,
    })
}

fn window() -> impl Strategy<Value = EvaluationWindow> {
    let zone = |zone| EvaluationWindow::WallClock {
        zone: TimeZone::get(zone).unwrap(),
    };
    prop_oneof![
        2 => Just(EvaluationWindow::Sliding),
        1 => select(&ZONES[..]).prop_map(zone),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let threshold = prop_oneof![4 => Just(50.0), 1 => any::<f64>()];
    let operator = select(ComparisonOperator::ALL.to_vec());
    (operator, threshold).prop_map(|(operator, threshold)| Comparison::Threshold {
        operator,
        threshold,
    })
}

/// A metric alarm on `source`, judged as any metric alarm may be, with periods of up to an hour.
pub(super) fn metric_alarm(
    source: impl Strategy<Value = Source>,
    comparison: impl Strategy<Value = Comparison>,
) -> impl Strategy<Value = MetricAlarm> {
    let periods = (
        select(vec![10, 20, 30, 60, 120, 300, 3_600]),
        1..6_u32,
        option::of(1..6_u32),
    );
    let treatment = option::of(select(TreatMissingData::ALL.to_vec()));
    let low_sample = option::of(select(vec![
        LowSamplePercentile::Evaluate,
        LowSamplePercentile::Ignore,
    ]));
    let terms = (treatment, low_sample, window());
    (source, comparison, periods, terms).prop_map(|(source, comparison, periods, terms)| {
        let (seconds, n, m) = periods;
        let (treat_missing_data, low_sample_percentile, evaluation_window) = terms;
        MetricAlarm {
            source,
            period: Period::new(seconds).unwrap(),
            evaluation_periods: n,
            datapoints_to_alarm: m.map(|m| m.min(n)),
            comparison,
            treat_missing_data,
            low_sample_percentile,
            evaluation_window,
            warm_up: None,
        }
    })
}

fn math_source(expression: &str) -> Source {
    let query = |id: String, content, returns_data| MetricDataQuery {
        id,
        label: None,
        content,
        returns_data,
        period: None,
    };
    let expression = QueryContent::Expression(expression.to_owned());
    let mut queries = vec![query("e1".to_owned(), expression, true)];
    for (i, statistic) in STATISTICS.iter().enumerate().take(METRICS) {
        let stat = MetricStat {
            metric: metric(i),
            statistic: Statistic::from_name(statistic).unwrap(),
            unit: None,
        };
        queries.push(query(format!("m{i}"), QueryContent::Stat(stat), false));
    }
    Source::Math(Box::new(MathSource::new(queries, &above(0.0)).unwrap()))
}

fn any_source() -> impl Strategy<Value = Source> {
    let query = Source::Query {
        id: "q1".to_owned(),
        query: "SELECT AVG(m0) FROM CWBridge".to_owned(),
    };
    prop_oneof![
        6 => stat().prop_map(Source::Stat),
        3 => select(&EXPRESSIONS[..]).prop_map(math_source),
        1 => Just(query),
    ]
}

/// Whatever PutMetricAlarm may be given, and a little more.
fn any_metric_alarm() -> impl Strategy<Value = Rule> {
    let warm_up = option::of(
        (1..20_u32, any::<bool>()).prop_map(|(minutes, to_the_end)| WarmUp {
            minutes,
            to_the_end,
        }),
    );
    // Windows of more than a day are looked at by the hour.
    let long = prop_oneof![9 => Just(None), 1 => Just(Some((86_400, 7)))];
    let alarm = metric_alarm(any_source(), comparison());
    (alarm, warm_up, long).prop_map(|(mut alarm, warm_up, long)| {
        alarm.warm_up = warm_up;
        if let Some((seconds, n)) = long {
            alarm.period = Period::new(seconds).unwrap();
            alarm.evaluation_periods = n;
        }
        Rule::Metric(alarm)
    })
}

/// On any alarms, itself among them: cycles are to be survived.
fn composite() -> impl Strategy<Value = Rule> {
    let functions = select(vec!["ALARM", "OK", "INSUFFICIENT_DATA", "NOT ALARM"]);
    let part = (functions, 0..ALARMS_MAX + 1).prop_map(|(function, i)| match function {
        "NOT ALARM" => format!("NOT ALARM(a{i})"),
        _ => format!("{function}(a{i})"),
    });
    let rule = (vec(part, 1..4), select(vec![" AND ", " OR "]))
        .prop_map(|(parts, operator)| AlarmRule::parse(&parts.join(operator)).unwrap());
    let suppressor =
        (0..ALARMS_MAX, 0..300_i64, 0..300_i64).prop_map(|(i, wait_period, extension_period)| {
            Suppressor {
                alarm: format!("a{i}"),
                wait_period,
                extension_period,
            }
        });
    (rule, option::of(suppressor))
        .prop_map(|(rule, suppressor)| Rule::Composite(CompositeAlarm { rule, suppressor }))
}

fn on_query() -> impl Strategy<Value = Rule> {
    let promql = PromQlAlarm {
        query: "up".to_owned(),
        pending_period: 60,
        recovery_period: 120,
        evaluation_interval: 60,
    };
    let log = LogAlarm {
        query: ScheduledQuery {
            text: "filter @message like /x/".to_owned(),
            log_groups: vec![],
            aggregation: Aggregation::parse("count(*)").unwrap(),
            schedule: "rate(5 minutes)".to_owned(),
            interval: 300,
            offsets: (None, None),
        },
        results_to_evaluate: 3,
        results_to_alarm: 2,
        operator: ComparisonOperator::GreaterThanThreshold,
        threshold: 50.0,
        treat_missing_data: None,
        warm_up: None,
    };
    select(vec![Rule::PromQl(promql), Rule::Log(log)])
}

/// Alarms of every kind, numbered.
pub(super) fn alarms() -> impl Strategy<Value = Vec<Alarm>> {
    let rule = prop_oneof![6 => any_metric_alarm(), 3 => composite(), 1 => on_query()];
    vec(rule, 1..=ALARMS_MAX).prop_map(|rules| {
        let rules = rules.into_iter().enumerate();
        rules.map(|(i, rule)| alarm(i, rule)).collect()
    })
}

pub(super) fn mute_rules() -> impl Strategy<Value = Vec<MuteRule>> {
    let text = (
        select(&SCHEDULES[..]),
        select(vec!["PT1M", "PT15M", "P15D"]),
        select(&ZONES[..]),
    );
    let bounds = option::of(-3_600..86_400_i64);
    let rule = (text, bounds.clone(), bounds).prop_map(|(text, start, expire)| {
        let (schedule, duration, zone) = text;
        MuteRule {
            name: "r".to_owned(),
            schedule: Schedule::parse(schedule).unwrap(),
            duration: MuteDuration::parse(duration).unwrap(),
            zone: TimeZone::get(zone).unwrap(),
            zone_text: zone.to_owned(),
            targets: (0..ALARMS_MAX).map(|i| format!("a{i}")).collect(),
            start: start.map(at),
            expire: expire.map(at),
        }
    });
    vec(rule, 0..3)
}

/// A sample of any metric, of a value that is on either side of 50.
pub(super) fn sample(i: usize, second: i64, value: f64, resolution: Resolution) -> Sample {
    Sample {
        metric: metric(i),
        unit: Unit::PERCENT,
        resolution,
        at: at(second),
        content: Content::Value(value),
    }
}

fn resolution() -> impl Strategy<Value = Resolution> {
    select(vec![
        Resolution::High,
        Resolution::Standard,
        Resolution::Basic,
    ])
}

fn content() -> impl Strategy<Value = Content> {
    let number = || {
        prop_oneof![
            6 => 0.0..100.0_f64,
            1 => any::<f64>(),
            1 => select(vec![f64::NAN, f64::INFINITY, f64::MAX, -0.0]),
        ]
    };
    let set = (number(), number(), number(), number());
    prop_oneof![
        4 => number().prop_map(Content::Value),
        1 => vec((number(), number()), 0..4).prop_map(Content::Values),
        1 => set.prop_map(|(sample_count, sum, minimum, maximum)| {
            Content::StatisticSet(StatisticSet { sample_count, sum, minimum, maximum })
        }),
    ]
}

/// Readings that nobody should make: clocks that jump, instants beyond any calendar, numbers that are none.
pub(super) fn wild_readings() -> impl Strategy<Value = Vec<Reading>> {
    let extremes = vec![i64::MIN, i64::MIN / 1_000, -1, i64::MAX / 1_000, i64::MAX];
    let instant = prop_oneof![
        12 => (0..7_200_000_i64).prop_map(Timestamp::from_milliseconds),
        1 => any::<i64>().prop_map(Timestamp::from_milliseconds),
        1 => select(extremes).prop_map(Timestamp::from_milliseconds),
    ];
    let sample = (
        0..METRICS,
        option::of(instant.clone()),
        resolution(),
        content(),
        any::<bool>(),
    );
    let reading = (instant, vec(sample, 0..4)).prop_map(|(now, samples)| {
        let samples = samples
            .into_iter()
            .map(|(i, late, resolution, content, percent)| Sample {
                metric: metric(i),
                unit: if percent { Unit::PERCENT } else { Unit::NONE },
                resolution,
                at: late.unwrap_or(now),
                content,
            });
        Reading {
            at: now,
            samples: samples.collect(),
        }
    });
    vec(reading, 1..30)
}

/// Live samples of all metrics over some hours, sorted by time: gaps of seconds to a quarter of an hour, whole values.
pub(super) fn live_readings() -> impl Strategy<Value = Vec<Reading>> {
    let gap = prop_oneof![8 => 1..90_i64, 1 => 90..900_i64];
    let value = select(vec![10.0, 40.0, 60.0, 90.0]);
    let step = (gap, vec((0..METRICS, value), 0..3));
    (vec(step, 1..120), resolution()).prop_map(|(steps, resolution)| {
        let mut now = 0;
        let reading = |(gap, samples): (i64, Vec<(usize, f64)>)| {
            now += gap;
            let sample = |(i, value)| sample(i, now, value, resolution);
            Reading {
                at: at(now),
                samples: samples.into_iter().map(sample).collect(),
            }
        };
        steps.into_iter().map(reading).collect()
    })
}
