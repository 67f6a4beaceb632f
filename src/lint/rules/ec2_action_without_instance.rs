//! An action on an instance, and no instance.

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::on_instance;

pub(super) const RULE: Rule = Rule {
    id: "ec2-action-without-instance",
    severity: Severity::Error,
    summary: "an action on an instance, and no instance",
    why: "Stop, terminate, reboot and recover act on the instance that the dimension `InstanceId` names. With other \
          dimensions, or on metric math, there is none.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: AutoScalingGroupName, Value: web}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:automate:us-east-1:ec2:stop"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
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
AlarmActions: ["arn:aws:automate:us-east-1:ec2:stop"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let has_instance = case.on_one_metric().is_some_and(|(_, stat)| {
        matches!(stat.metric.dimensions(), [dimension] if dimension.name == "InstanceId")
    });
    let found = case
        .actions()
        .find(|(_, action)| on_instance(action).is_some());
    match found {
        Some((member, action)) if !has_instance => hit(
            member,
            format!(
                "`{action}` acts on the instance of the dimension `InstanceId`, which has to be the only one"
            ),
        ),
        _ => Vec::new(),
    }
}
