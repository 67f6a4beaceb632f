//! The period is shorter than a minute, and the metric has datapoints once a minute.

use super::super::{Case, Check, Hit, Read, Rule, Severity};

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
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let reads = case.reads();
    let is_too_short = |read: &&Read<'_>| {
        read.period.seconds() < 60 && read.stat.metric.namespace.starts_with("AWS/")
    };
    let hit = |read: &Read<'_>| {
        read.hit(
            "Period",
            format!(
                "`{}` publishes no metric more often than once a minute",
                read.stat.metric.namespace
            ),
        )
    };
    reads.iter().filter(is_too_short).map(hit).collect()
}
