//! Two alarms on one instance reboot and recover it after the same time.

use super::super::{Case, Check, Hit, Rule, Severity, hit};
use super::{instance_and_span, on_instance};

pub(super) const RULE: Rule = Rule {
    id: "reboot-races-recovery",
    severity: Severity::Warning,
    summary: "two alarms reboot and recover an instance after the same time",
    why: "When an instance fails both checks, both actions start at once and race each other. AWS advises two periods of a minute \
          for recovery and three for a reboot.",
    bad: r#"- AlarmName: reboot
  Namespace: AWS/EC2
  MetricName: StatusCheckFailed_Instance
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Maximum
  Period: 60
  EvaluationPeriods: 3
  Threshold: 1
  ComparisonOperator: GreaterThanOrEqualToThreshold
  AlarmActions: ["arn:aws:automate:us-east-1:ec2:reboot"]
- AlarmName: recover
  Namespace: AWS/EC2
  MetricName: StatusCheckFailed_System
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Maximum
  Period: 60
  EvaluationPeriods: 3
  Threshold: 1
  ComparisonOperator: GreaterThanOrEqualToThreshold
  AlarmActions: ["arn:aws:automate:us-east-1:ec2:recover"]
"#,
    good: r#"- AlarmName: reboot
  Namespace: AWS/EC2
  MetricName: StatusCheckFailed_Instance
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Maximum
  Period: 60
  EvaluationPeriods: 3
  Threshold: 1
  ComparisonOperator: GreaterThanOrEqualToThreshold
  AlarmActions: ["arn:aws:automate:us-east-1:ec2:reboot"]
- AlarmName: recover
  Namespace: AWS/EC2
  MetricName: StatusCheckFailed_System
  Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
  Statistic: Maximum
  Period: 60
  EvaluationPeriods: 2
  Threshold: 1
  ComparisonOperator: GreaterThanOrEqualToThreshold
  AlarmActions: ["arn:aws:automate:us-east-1:ec2:recover"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let reboots = || {
        let actions = &case.alarm().actions.alarm;
        actions
            .iter()
            .any(|action| on_instance(action) == Some("reboot"))
    };
    let place = case.metric_alarm().and_then(instance_and_span);
    let Some((place, (_, span))) = place.map(|place| (place, place)).filter(|_| reboots()) else {
        return Vec::new();
    };
    let others = case.all.on_instances.get(&place).into_iter().flatten();
    let mut recovering = others.filter(|(does, _)| *does == "recover");
    match recovering.next() {
        Some((_, other)) => hit(
            "EvaluationPeriods",
            format!("`{other}` recovers the same instance after the same {span} seconds"),
        ),
        None => Vec::new(),
    }
}
