//! The period is shorter than the metric has datapoints.

use super::super::{Case, Check, Hit, Read, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "period-below-native",
    severity: Severity::Warning,
    summary: "the period is shorter than the metric has datapoints",
    why: "EC2 has datapoints every five minutes unless detailed monitoring is on: of five one-minute periods four are \
          missing, and \"15 of 15\" is decided by three. Set the period to that of the metric, or switch detailed \
          monitoring on and allow this rule.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 60
EvaluationPeriods: 2
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
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
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    case.reads().iter().filter_map(period).collect()
}

fn period(read: &Read<'_>) -> Option<Hit> {
    let entry = read.known()?;
    let (period, native) = (read.period.seconds(), i64::from(entry.period));
    if period >= native {
        return None;
    }
    let detailed = match entry.namespace {
        "AWS/EC2" => " (every 60 with detailed monitoring)",
        _ => "",
    };
    Some(read.hit(
        "Period",
        format!(
            "`{}` has a datapoint every {native} seconds{detailed}: of the periods of {period} seconds most are missing",
            read.stat.metric.name
        ),
    ))
}
