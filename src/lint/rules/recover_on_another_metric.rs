//! Recovery is for failed system checks only.

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::on_instance;

pub(super) const RULE: Rule = Rule {
    id: "recover-on-another-metric",
    severity: Severity::Error,
    summary: "recovery is for failed system checks only",
    why: "CloudWatch recovers an instance on `StatusCheckFailed_System` only: on any other metric the action fails.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:automate:us-east-1:ec2:recover"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: StatusCheckFailed_System
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Maximum
Period: 60
EvaluationPeriods: 2
Threshold: 0
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:automate:us-east-1:ec2:recover"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let is_system_check = case
        .on_one_metric()
        .is_some_and(|(_, stat)| stat.metric.name == "StatusCheckFailed_System");
    let found = case
        .actions()
        .find(|(_, action)| on_instance(action) == Some("recover"));
    match found {
        Some((member, _)) if !is_system_check => hit(
            member,
            "recovery works on the metric `StatusCheckFailed_System` only",
        ),
        _ => Vec::new(),
    }
}
