//! The period is shorter than a minute, and the metric has datapoints once a minute.

use super::super::{Case, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "high-resolution-without-data",
    severity: Severity::Warning,
    summary: "the period is shorter than a minute, and the metric has datapoints once a minute",
    why: "AWS publishes its own metrics once a minute at most: with a period of 10, 20 or 30 seconds most periods are \
          missing, and the alarm costs three times as much.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/SQS
MetricName: ApproximateAgeOfOldestMessage
Dimensions: [{Name: QueueName, Value: q}]
Statistic: Average
Period: 10
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/SQS
MetricName: ApproximateAgeOfOldestMessage
Dimensions: [{Name: QueueName, Value: q}]
Statistic: Average
Period: 60
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.on_one_metric() {
        Some((alarm, stat))
            if alarm.period.seconds() < 60 && stat.metric.namespace.starts_with("AWS/") =>
        {
            hit(
                "Period",
                format!(
                    "`{}` publishes no metric more often than once a minute",
                    stat.metric.namespace
                ),
            )
        }
        _ => Vec::new(),
    }
}
