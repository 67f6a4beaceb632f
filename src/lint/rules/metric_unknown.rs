//! AWS publishes no metric of that name in the namespace.

use crate::finding::did_you_mean;

use super::super::{Case, Check, Hit, Read, Rule, Severity, catalogue};

pub(super) const RULE: Rule = Rule {
    id: "metric-unknown",
    severity: Severity::Warning,
    summary: "AWS publishes no metric of that name in the namespace",
    why: "A name with a typing error is a metric that never has datapoints. CloudWatch accepts the alarm, because alarms \
          may be there before their metrics.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilisation
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
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
    case.reads().iter().filter_map(name).collect()
}

fn name(read: &Read<'_>) -> Option<Hit> {
    let metric = &read.stat.metric;
    // Where nearly the same name is known; what is only missing in the catalogue is not judged.
    let known: Vec<&str> = catalogue::names(&metric.namespace).collect();
    if known.contains(&metric.name.as_str()) || !is_typing_error(&metric.name, &known) {
        return None;
    }
    let hint = did_you_mean(&metric.name, known);
    Some(read.hit(
        "MetricName",
        format!(
            "`{}` has no metric `{}`{hint}",
            metric.namespace, metric.name
        ),
    ))
}

/// Nearly the name of a metric: the same but for case, or one letter more, less or other.
fn is_typing_error(name: &str, known: &[&str]) -> bool {
    const LONG_ENOUGH: usize = 8;
    let distance = |known: &&str| strsim::damerau_levenshtein(known, name);
    name.len() >= LONG_ENOUGH
        && known
            .iter()
            .any(|known| distance(known) <= 1 || known.eq_ignore_ascii_case(name))
}
