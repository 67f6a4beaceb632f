//! Nobody is told when the alarm goes off.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "no-action",
    severity: Severity::Warning,
    summary: "nobody is told when the alarm goes off",
    why: "The alarm has no action, or its actions are switched off. If it is only there for a composite alarm, a \
          dashboard or a suppressor, allow this rule there.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
TreatMissingData: breaching
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
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    if case.all.followed.contains(case.alarm().name.as_str()) {
        return Vec::new();
    }
    if case.actions().next().is_none() {
        return hit("AlarmActions", "the alarm has no action: nobody is told");
    }
    if !case.alarm().actions.enabled {
        return hit(
            "ActionsEnabled",
            "the actions are switched off: nobody is told",
        );
    }
    Vec::new()
}
