//! Alarms that are a little wrong: a test that does not notice leaves something untested.

use crate::alarm::{Alarm, Comparison, ComparisonOperator, MetricAlarm, Rule, TreatMissingData};

/// How far a threshold is moved, as a share of it.
const THRESHOLD_STEP: f64 = 0.1;

/// Every change of the alarm's rule, with what it is.
pub fn mutants(alarm: &Alarm) -> Vec<(String, Alarm)> {
    let Rule::Metric(rule) = &alarm.rule else {
        return Vec::new();
    };
    let changed = (thresholds(rule).into_iter())
        .chain(operators(rule))
        .chain(counts(rule))
        .chain(treatments(rule));
    let mutant = |(what, rule): (String, MetricAlarm)| {
        let alarm = Alarm {
            rule: Rule::Metric(rule),
            ..alarm.clone()
        };
        (what, alarm)
    };
    changed.map(mutant).collect()
}

type Changed = Vec<(String, MetricAlarm)>;

fn compared(rule: &MetricAlarm, operator: ComparisonOperator, threshold: f64) -> MetricAlarm {
    MetricAlarm {
        comparison: Comparison::Threshold {
            operator,
            threshold,
        },
        ..rule.clone()
    }
}

fn thresholds(rule: &MetricAlarm) -> Changed {
    let Comparison::Threshold {
        operator,
        threshold,
    } = rule.comparison
    else {
        return Vec::new();
    };
    let step = match threshold.abs() * THRESHOLD_STEP {
        0.0 => 1.0,
        step => step,
    };
    let moved = [threshold + step, threshold - step];
    let changed = |moved: f64| {
        (
            format!("Threshold {threshold} -> {moved}"),
            compared(rule, operator, moved),
        )
    };
    moved.into_iter().map(changed).collect()
}

fn operators(rule: &MetricAlarm) -> Changed {
    let Comparison::Threshold {
        operator,
        threshold,
    } = rule.comparison
    else {
        return Vec::new();
    };
    let others = ComparisonOperator::ALL
        .into_iter()
        .filter(|other| *other != operator);
    let changed = |other: ComparisonOperator| {
        (
            format!("ComparisonOperator {} -> {}", operator.name(), other.name()),
            compared(rule, other, threshold),
        )
    };
    others.map(changed).collect()
}

/// N and M, each one more and one less, as far as M stays within N.
fn counts(rule: &MetricAlarm) -> Changed {
    let (n, m) = (rule.evaluation_periods, rule.minimum_to_alarm());
    let mut all = Vec::new();
    for other in [n.saturating_add(1), n.saturating_sub(1)] {
        if other >= 1 && (rule.datapoints_to_alarm.is_none() || other >= m) {
            let changed = MetricAlarm {
                evaluation_periods: other,
                ..rule.clone()
            };
            all.push((format!("EvaluationPeriods {n} -> {other}"), changed));
        }
    }
    for other in [m.saturating_add(1), m.saturating_sub(1)] {
        if (1..=n).contains(&other) {
            let changed = MetricAlarm {
                datapoints_to_alarm: Some(other),
                ..rule.clone()
            };
            all.push((format!("DatapointsToAlarm {m} -> {other}"), changed));
        }
    }
    all
}

fn treatments(rule: &MetricAlarm) -> Changed {
    let now = rule.treatment();
    let others = TreatMissingData::ALL
        .into_iter()
        .filter(|other| *other != now);
    let changed = |other: TreatMissingData| {
        let changed = MetricAlarm {
            treat_missing_data: Some(other),
            ..rule.clone()
        };
        (
            format!("TreatMissingData {} -> {}", now.name(), other.name()),
            changed,
        )
    };
    others.map(changed).collect()
}
