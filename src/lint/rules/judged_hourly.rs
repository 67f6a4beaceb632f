//! The alarm is judged once an hour.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "judged-hourly",
    severity: Severity::Note,
    summary: "the alarm is judged once an hour",
    why: "An alarm whose periods are together longer than a day is judged once an hour, on data up to the last full \
          hour.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 3600
EvaluationPeriods: 30
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
DatapointsToAlarm: 2
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 3600
EvaluationPeriods: 24
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
DatapointsToAlarm: 2
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.metric_alarm() {
        Some(alarm) if alarm.evaluation_interval() == 3_600 => hit(
            "EvaluationPeriods",
            "N periods are longer than a day: the alarm is judged once an hour, up to the last full hour",
        ),
        _ => Vec::new(),
    }
}
