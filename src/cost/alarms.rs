//! What alarms cost.

use std::fmt;

use crate::alarm::{Alarm, Comparison, Rule, Source};

/// Each metric of an alarm in a month; of one with periods below a minute, and of a composite alarm as a whole.
const STANDARD_DOLLARS: f64 = 0.10;
const HIGH_RESOLUTION_DOLLARS: f64 = 0.30;
const COMPOSITE_DOLLARS: f64 = 0.50;

/// A band is billed as two more metrics.
const BAND_METRICS: u32 = 2;

/// An estimate for alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlarmEstimate {
    pub alarms: usize,
    /// Metrics that alarms are billed for.
    pub metrics: u32,
    pub dollars: f64,
    /// Alarms on queries, which are billed for what the query looks at.
    pub queries: usize,
}

pub fn estimate_alarms<'a>(alarms: impl IntoIterator<Item = &'a Alarm>) -> AlarmEstimate {
    let mut estimate = AlarmEstimate::default();
    for alarm in alarms {
        estimate.alarms += 1;
        match &alarm.rule {
            Rule::Metric(rule) => {
                if matches!(rule.source, Source::Query { .. }) {
                    estimate.queries += 1;
                    continue;
                }
                let band = match rule.comparison {
                    Comparison::Band { .. } => BAND_METRICS,
                    Comparison::Threshold { .. } => 0,
                };
                let metrics = u32::try_from(rule.stats().len())
                    .unwrap_or(u32::MAX)
                    .saturating_add(band);
                let price = match rule.period.seconds() < 60 {
                    true => HIGH_RESOLUTION_DOLLARS,
                    false => STANDARD_DOLLARS,
                };
                estimate.metrics += metrics;
                estimate.dollars += f64::from(metrics) * price;
            }
            Rule::Composite(_) => estimate.dollars += COMPOSITE_DOLLARS,
            Rule::PromQl(_) | Rule::Log(_) => estimate.queries += 1,
        }
    }
    estimate
}

impl fmt::Display for AlarmEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let metrics = usize::try_from(self.metrics).unwrap_or(usize::MAX);
        write!(
            f,
            "{} alarm{} on {metrics} metric{}: about ${:.2} a month",
            self.alarms,
            plural(self.alarms),
            plural(metrics),
            self.dollars
        )?;
        match self.queries {
            0 => Ok(()),
            queries => write!(
                f,
                ", and what {queries} quer{} look at",
                if queries == 1 { "y" } else { "ies" }
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_periods_and_composites_are_billed() {
        let parsed = crate::definition::parse(
            "a.yaml",
            "- {AlarmName: a, Namespace: n, MetricName: m, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: LessThanThreshold}
- {AlarmName: b, Namespace: n, MetricName: m, Statistic: Sum, Period: 10, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: LessThanThreshold}
- {AlarmName: c, AlarmRule: ALARM(a)}",
        );
        assert_eq!(parsed.findings, []);
        let alarms = parsed.alarms.iter().map(|found| &found.alarm);
        assert_eq!(
            estimate_alarms(alarms).to_string(),
            "3 alarms on 2 metrics: about $0.90 a month"
        );
    }
}
