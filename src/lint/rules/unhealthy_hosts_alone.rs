//! No host at all is no unhealthy host.

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "unhealthy-hosts-alone",
    severity: Severity::Note,
    summary: "no host at all is no unhealthy host",
    why: "When the last target is gone, `UnHealthyHostCount` is 0 or missing. An alarm on `HealthyHostCount` below 1 \
          sees that.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: UnHealthyHostCount
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}, {Name: TargetGroup, Value: targetgroup/web/0123456789abcdef}]
Statistic: Maximum
Period: 60
EvaluationPeriods: 2
Threshold: 0
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: missing
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"- AlarmName: errors
  Namespace: AWS/ApplicationELB
  MetricName: UnHealthyHostCount
  Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}, {Name: TargetGroup, Value: targetgroup/web/0123456789abcdef}]
  Statistic: Maximum
  Period: 60
  EvaluationPeriods: 2
  Threshold: 0
  ComparisonOperator: GreaterThanThreshold
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
  TreatMissingData: missing
  InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
- AlarmName: no-hosts
  Namespace: AWS/ApplicationELB
  MetricName: HealthyHostCount
  Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}, {Name: TargetGroup, Value: targetgroup/web/0123456789abcdef}]
  Statistic: Minimum
  Period: 60
  EvaluationPeriods: 2
  Threshold: 1
  ComparisonOperator: LessThanThreshold
  AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
  TreatMissingData: breaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.on_one_metric() {
        Some((_, stat))
            if stat.metric.name == "UnHealthyHostCount"
                && !case.all.healthy_hosts.contains(stat.metric.dimensions()) =>
        {
            hit(
                "MetricName",
                "no alarm here is on `HealthyHostCount` of the same targets: that there is no host left goes unnoticed",
            )
        }
        _ => Vec::new(),
    }
}
