//! A period below a minute costs three times as much.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "high-resolution-price",
    severity: Severity::Note,
    summary: "a period below a minute costs three times as much",
    why: "An alarm on periods of 10, 20 or 30 seconds is a high-resolution alarm. With a minute it costs a third.",
    bad: r#"AlarmName: cpu-high
Namespace: Custom
MetricName: Load
Statistic: Average
Period: 30
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"AlarmName: cpu-high
Namespace: Custom
MetricName: Load
Statistic: Average
Period: 60
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.metric_alarm() {
        Some(alarm) if alarm.period.seconds() < 60 => hit(
            "Period",
            "a high-resolution alarm costs $0.30 a month instead of $0.10",
        ),
        _ => Vec::new(),
    }
}
