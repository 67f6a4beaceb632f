//! An action is in another Region than the alarm.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "action-in-another-region",
    severity: Severity::Error,
    summary: "an action is in another Region than the alarm",
    why: "CloudWatch runs actions of its own Region only.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
AlarmArn: "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:cpu-high"
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
AlarmArn: "arn:aws:cloudwatch:us-east-1:111122223333:alarm:cpu-high"
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some(region) = case.alarm().arn.as_deref().and_then(region) else {
        return Vec::new();
    };
    for (member, action) in case.actions() {
        if let Some(other) = self::region(action).filter(|other| *other != region) {
            return hit(
                member,
                format!("`{action}` is in {other}, the alarm in {region}"),
            );
        }
    }
    Vec::new()
}

fn region(arn: &str) -> Option<&str> {
    arn.split(':')
        .nth(3)
        .filter(|region| !region.is_empty() && !region.contains("${"))
}
