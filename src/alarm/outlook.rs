//! Why an alarm is in its state, in words, and what would bring it into another one.

use crate::metric::Timestamp;

use super::decision::{Decision, Verdict, decide};
use super::judge::terms;
use super::range::{EvaluationRange, Point};
use super::schedule::Ranges;
use super::{Band, Comparison, Evaluation, MetricAlarm, StateValue, TreatMissingData};

/// What the datapoints to come may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Breaching,
    NotBreaching,
    Missing,
}

impl Next {
    pub const ALL: [Self; 3] = [Self::Breaching, Self::NotBreaching, Self::Missing];

    pub fn name(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::NotBreaching => "not breaching",
            Self::Missing => "missing",
        }
    }
}

/// The state that an alarm enters if every datapoint from now on is alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    pub next: Next,
    pub state: StateValue,
    /// How many datapoints that takes.
    pub datapoints: usize,
    /// Periods longer than the evaluation interval slide along with it, and may show it before they are over.
    pub earliest: Timestamp,
    pub latest: Timestamp,
}

/// The states other than `state` that the next datapoints may bring about. `None` where not all datapoints of the range are at
/// hand.
pub fn outlook(
    alarm: &MetricAlarm,
    state: StateValue,
    evaluation: &Evaluation,
) -> Option<Vec<Outlook>> {
    let ranges = Ranges::of(alarm, None);
    if evaluation.points.len() < ranges.assumed {
        return None;
    }
    let coming = Next::ALL.into_iter();
    let found = coming.filter_map(|next| first_change(alarm, ranges, state, evaluation, next));
    Some(found.collect())
}

fn first_change(
    alarm: &MetricAlarm,
    ranges: Ranges,
    state: StateValue,
    evaluation: &Evaluation,
    next: Next,
) -> Option<Outlook> {
    let (terms, period) = (terms(alarm), alarm.period.seconds());
    let mut range = EvaluationRange::new(ranges.longest);
    for point in evaluation.points.iter().rev() {
        range.push(*point, &alarm.comparison, 0.0);
    }
    let newest = evaluation.points.first()?.start;
    for count in 1..=ranges.assumed + terms.n {
        let passed = period.checked_mul(i64::try_from(count).ok()?)?;
        range.push(point(alarm, next, newest + passed)?, &alarm.comparison, 0.0);
        let found = decide(range.tally(ranges.assumed, terms.n), terms);
        let other = found.verdict.state(state);
        if other != state {
            let interval = alarm.evaluation_interval().min(period);
            return Some(Outlook {
                next,
                state: other,
                datapoints: count,
                earliest: evaluation.at + (passed - period + interval),
                latest: evaluation.at + passed,
            });
        }
    }
    None
}

/// A datapoint of that kind; `None` where there is none.
fn point(alarm: &MetricAlarm, next: Next, start: Timestamp) -> Option<Point> {
    const NOWHERE: Band = Band {
        lower: -1.0,
        upper: 1.0,
    };
    let band = matches!(alarm.comparison, Comparison::Band { .. }).then_some(NOWHERE);
    let is = |value: f64| alarm.comparison.is_breaching(value, band);
    let mut candidates = [f64::MAX, f64::MIN, 0.0].into_iter();
    let value = match next {
        Next::Missing => None,
        Next::Breaching => Some(candidates.find(|value| is(*value) == Some(true))?),
        Next::NotBreaching => Some(candidates.find(|value| is(*value) == Some(false))?),
    };
    Some(Point {
        start,
        value,
        sample_count: 1.0,
        band,
    })
}

impl Evaluation {
    /// Which rule of SPEC section 5 decided.
    pub fn rule(&self, alarm: &MetricAlarm) -> String {
        let Decision {
            verdict,
            basis,
            premature,
        } = self.decision;
        let terms = terms(alarm);
        let (n, m) = (terms.n, terms.m);
        let (used, breaching, filled) = (basis.used, basis.breaching, basis.filled);
        let kept = match verdict {
            Verdict::Retain | Verdict::Undetermined => "; the state is kept",
            Verdict::State(_) => "",
        };
        let text = match terms.treatment {
            _ if filled == 0 => {
                format!("of the newest {n} datapoints {breaching} are breaching; ALARM needs {m}")
            }
            TreatMissingData::Breaching => format!(
                "{used} of {n} datapoints exist, {breaching} of them breaching; {filled} missing ones count as breaching, ALARM needs {m}"
            ),
            TreatMissingData::NotBreaching => format!(
                "{used} of {n} datapoints exist, {breaching} of them breaching; {filled} missing ones count as not breaching, ALARM needs {m}"
            ),
            _ if used == 0 => "no datapoint exists in the evaluation range".to_owned(),
            _ if premature => format!(
                "{used} of {n} datapoints exist, all of them breaching, and the oldest is {m} periods old or more: that is enough for ALARM"
            ),
            _ if breaching >= m => {
                format!(
                    "{used} of {n} datapoints exist, {breaching} of them breaching; ALARM needs {m}"
                )
            }
            _ if breaching < used => format!(
                "{used} of {n} datapoints exist, {breaching} of them breaching; one that is not breaching makes it OK"
            ),
            _ => format!(
                "{used} of {n} datapoints exist, all of them breaching, but ALARM needs {m}: AWS's documents do not say what follows"
            ),
        };
        format!("{text}{kept}")
    }

    /// Whether a datapoint of it is breaching; `None` for one that is missing.
    pub fn is_breaching(alarm: &MetricAlarm, point: &Point) -> Option<bool> {
        alarm.comparison.is_breaching(point.value?, point.band)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::parse;
    use crate::metric::{Content, Reading, Resolution, Sample, Unit};
    use crate::pipeline::Pipeline;

    /// An alarm on a metric with one value a minute, at the end of them.
    fn judged(treatment: &str, values: &[Option<f64>]) -> (Pipeline, Vec<String>, String) {
        let text = format!(
            r#"{{"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2, "Threshold": 50, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "{treatment}"}}"#
        );
        let alarm = parse("a.json", &text).alarms.remove(0).alarm;
        let metric = alarm.metric_rule().unwrap().stats()[0].metric.clone();
        let mut pipeline = Pipeline::default();
        pipeline.set_alarms(vec![alarm], Timestamp::from_seconds(0));
        for (minute, value) in (0..).zip(values) {
            let at = Timestamp::from_seconds(60 * minute);
            let sample = value.map(|value| Sample {
                metric: metric.clone(),
                unit: Unit::NONE,
                resolution: Resolution::Standard,
                at,
                content: Content::Value(value),
            });
            let samples = sample.into_iter().collect();
            pipeline.advance(&Reading { at, samples });
        }
        let at = Timestamp::from_seconds(60 * i64::try_from(values.len()).unwrap());
        pipeline.advance(&Reading {
            at,
            samples: vec![],
        });
        let status = pipeline.status("a").unwrap();
        let rule = status.alarm.metric_rule().unwrap();
        let evaluation = status.evaluation.as_ref().unwrap();
        let outlook = outlook(rule, status.state, evaluation).unwrap();
        let lines = outlook.iter().map(|it| {
            let after = it.latest - evaluation.at;
            format!("{} {} {} {after}", it.next.name(), it.state, it.datapoints)
        });
        let lines = lines.collect();
        let words = evaluation.rule(rule);
        (pipeline, lines, words)
    }

    #[test]
    fn what_comes_next_is_what_the_pipeline_then_finds() {
        for treatment in ["missing", "ignore", "breaching", "notBreaching"] {
            let values = [
                Some(10.0),
                Some(90.0),
                Some(10.0),
                Some(90.0),
                Some(90.0),
                None,
            ];
            for length in 2..values.len() {
                let (before, outlook, _) = judged(treatment, &values[..length]);
                let state = before.status("a").unwrap().state;
                for (next, value) in [
                    ("breaching", Some(90.0)),
                    ("not breaching", Some(0.0)),
                    ("missing", None),
                ] {
                    let mut all = values[..length].to_vec();
                    let mut changed = None;
                    for count in 1..=11 {
                        all.push(value);
                        let (pipeline, ..) = judged(treatment, &all);
                        let found = pipeline.status("a").unwrap().state;
                        if found != state {
                            changed = Some(format!("{next} {found} {count} {}", count * 60));
                            break;
                        }
                    }
                    let told = outlook.iter().find(|line| line.starts_with(next));
                    assert_eq!(told, changed.as_ref(), "{treatment} {length}");
                }
            }
        }
    }

    #[test]
    fn the_rule_that_decided_is_told_in_words() {
        let words = |treatment, values: &[Option<f64>]| judged(treatment, values).2;
        let (hot, cold) = (Some(90.0), Some(1.0));
        for (treatment, values, expected) in [
            (
                "missing",
                &[hot, cold, hot][..],
                "of the newest 3 datapoints 2 are breaching; ALARM needs 2",
            ),
            (
                "missing",
                &[None, None],
                "no datapoint exists in the evaluation range",
            ),
            (
                "ignore",
                &[None, None],
                "no datapoint exists in the evaluation range; the state is kept",
            ),
            (
                "missing",
                &[cold],
                "1 of 3 datapoints exist, 0 of them breaching; one that is not breaching makes it OK",
            ),
            (
                "missing",
                &[hot],
                "1 of 3 datapoints exist, all of them breaching, but ALARM needs 2: AWS's documents do not say what follows; the state is kept",
            ),
            (
                "missing",
                &[hot, None],
                "1 of 3 datapoints exist, all of them breaching, and the oldest is 2 periods old or more: that is enough for ALARM",
            ),
            (
                "breaching",
                &[cold, hot],
                "2 of 3 datapoints exist, 1 of them breaching; 1 missing ones count as breaching, ALARM needs 2",
            ),
            (
                "notBreaching",
                &[hot],
                "1 of 3 datapoints exist, 1 of them breaching; 2 missing ones count as not breaching, ALARM needs 2",
            ),
        ] {
            assert_eq!(words(treatment, values), expected);
        }
    }
}
