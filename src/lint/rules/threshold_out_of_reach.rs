//! No value of the metric can cross the threshold, or none can stay below.

use crate::alarm::Comparison;
use crate::metric::{BasicStatistic, Statistic};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "threshold-out-of-reach",
    severity: Severity::Warning,
    summary: "no value of the metric can cross the threshold, or none can stay below",
    why: "A percentage is never above 100, and a count never below 0: the alarm never goes off, or never ends.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 2
Threshold: 100
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
    let Some((alarm, stat, entry)) = case.known() else {
        return Vec::new();
    };
    let adds_up = matches!(
        stat.statistic,
        Statistic::Basic(BasicStatistic::Sum | BasicStatistic::SampleCount)
    );
    let Some(Comparison::Threshold {
        operator,
        threshold,
    }) = Some(&alarm.comparison).filter(|_| !adds_up)
    else {
        return Vec::new();
    };
    let (least, most) = entry.bounds;
    let breaches = [least, most].map(|value| operator.is_breaching(value, *threshold));
    let never = match breaches {
        [false, false] => "the alarm never goes off",
        [true, true] => "the alarm is always breaching",
        _ => return Vec::new(),
    };
    let bounds = match most.is_finite() {
        true => format!("from {least} to {most}"),
        false => format!("at least {least}"),
    };
    hit(
        "Threshold",
        format!(
            "`{}` is {bounds}: with this threshold {never}",
            stat.metric.name
        ),
    )
}
