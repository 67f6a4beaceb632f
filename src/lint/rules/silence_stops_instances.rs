//! A gap in the metric stops or terminates an instance.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::on_instance;

pub(super) const RULE: Rule = Rule {
    id: "silence-stops-instances",
    severity: Severity::Warning,
    summary: "a gap in the metric stops or terminates an instance",
    why: "When the metric is late, a healthy instance is stopped, rebooted or terminated. AWS advises `missing` for \
          alarms with these actions, and none of them in `InsufficientDataActions`.",
    bad: r#"AlarmName: cpu-high
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
AlarmActions: ["arn:aws:automate:us-east-1:ec2:stop"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: missing
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some(alarm) = case.metric_alarm() else {
        return Vec::new();
    };
    let on_silence = |(member, action): &(&str, &str)| {
        on_instance(action).is_some()
            && (*member == "InsufficientDataActions"
                || alarm.treatment() == TreatMissingData::Breaching)
    };
    match case.actions().find(on_silence) {
        Some((member, action)) => hit(
            member,
            format!("a gap in the metric is enough for `{action}`"),
        ),
        None => Vec::new(),
    }
}
