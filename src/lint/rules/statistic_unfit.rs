//! The statistic does not say what is asked.

use crate::metric::{BasicStatistic, Statistic};

use super::super::{Case, Hit, Rule, Severity, catalogue::Kind, hit};

pub(super) const RULE: Rule = Rule {
    id: "statistic-unfit",
    severity: Severity::Warning,
    summary: "the statistic does not say what is asked",
    why: "The Average of a count of events is a small number that does not grow with them, and of a 0 and 1 it is a \
          share; Sum is what counts. The Sum of a percentage or of a number of messages that wait adds up samples and \
          means nothing.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Average
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((_, stat, entry)) = case.known() else {
        return Vec::new();
    };
    let name = stat.metric.name.as_str();
    let is_events = entry.kind == Kind::Sparse
        && entry.unit == "Count"
        && EVENTS.iter().any(|part| name.contains(part));
    match stat.statistic {
        Statistic::Basic(BasicStatistic::Average) if is_events => hit(
            "Statistic",
            format!("the Average of `{name}` does not grow with the number of events; Sum does"),
        ),
        Statistic::Basic(BasicStatistic::Sum) if entry.unit == "Percent" => hit(
            "Statistic",
            format!("the Sum of `{name}` adds up percentages"),
        ),
        Statistic::Basic(BasicStatistic::SampleCount) => hit(
            "Statistic",
            format!("SampleCount is how often `{name}` was sampled, not how much it is"),
        ),
        _ => Vec::new(),
    }
}

/// In the names of metrics that count events.
const EVENTS: [&str; 8] = [
    "5XX",
    "4XX",
    "Errors",
    "Throttle",
    "RequestCount",
    "Invocations",
    "NumberOfMessagesSent",
    "ErrorCount",
];

#[cfg(test)]
mod tests {
    #[test]
    fn events_are_told_by_their_names() {
        assert!(
            super::EVENTS
                .iter()
                .any(|part| "HTTPCode_Target_5XX_Count".contains(part))
        );
    }
}
