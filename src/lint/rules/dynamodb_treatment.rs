//! What missing datapoints of DynamoDB count as is not certain.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "dynamodb-treatment",
    severity: Severity::Note,
    summary: "what missing datapoints of DynamoDB count as is not certain",
    why: "AWS's documents contradict each other on whether `TreatMissingData` has an effect on metrics of DynamoDB, or \
          `ignore` is always taken.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/DynamoDB
MetricName: ReadThrottleEvents
Dimensions: [{Name: TableName, Value: t}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/DynamoDB
MetricName: ReadThrottleEvents
Dimensions: [{Name: TableName, Value: t}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: ignore
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.metric_alarm() {
        Some(alarm)
            if alarm.is_treatment_disputed() && alarm.treatment() != TreatMissingData::Ignore =>
        {
            hit(
                "TreatMissingData",
                "AWS's documents leave open whether this has an effect on metrics of DynamoDB, or `ignore` is taken",
            )
        }
        _ => Vec::new(),
    }
}
