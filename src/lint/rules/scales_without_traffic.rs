//! Without traffic the group is never scaled in.

use crate::alarm::TreatMissingData;

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::{is_below, without_placeholders};

pub(super) const RULE: Rule = Rule {
    id: "scales-without-traffic",
    severity: Severity::Warning,
    summary: "without traffic the group is never scaled in",
    why: "The metric has no datapoints without traffic, so that an alarm that scales in when it is low goes to \
          INSUFFICIENT_DATA just when it should act. Use `breaching` for the low side.",
    bad: r#"AlarmName: low
Namespace: AWS/ApplicationELB
MetricName: RequestCount
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:autoscaling:us-east-1:111122223333:scalingPolicy:0:autoScalingGroupName/web:policyName/in"]
TreatMissingData: missing
"#,
    good: r#"AlarmName: low
Namespace: AWS/ApplicationELB
MetricName: RequestCount
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:autoscaling:us-east-1:111122223333:scalingPolicy:0:autoScalingGroupName/web:policyName/in"]
TreatMissingData: breaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((alarm, stat, _)) = case.sparse() else {
        return Vec::new();
    };
    let scales = case
        .actions()
        .any(|(_, action)| without_placeholders(action).split(':').nth(2) == Some("autoscaling"));
    if !scales || !is_below(alarm) || alarm.treatment() == TreatMissingData::Breaching {
        return Vec::new();
    }
    hit(
        "TreatMissingData",
        format!(
            "`{}` has no datapoints without traffic, just when this is to act",
            stat.metric.name
        ),
    )
}
