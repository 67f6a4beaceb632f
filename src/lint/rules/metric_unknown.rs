//! AWS publishes no metric of that name in the namespace.

use crate::finding::did_you_mean;

use super::super::{Case, Hit, Rule, Severity, catalogue, hit};

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
    check,
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some((_, stat)) = case.on_one_metric() else {
        return Vec::new();
    };
    // Where nearly the same name is known; what is only missing in the catalogue is not judged.
    let known: Vec<&str> = catalogue::names(&stat.metric.namespace).collect();
    let hint = did_you_mean(&stat.metric.name, known.iter().copied());
    if known.contains(&stat.metric.name.as_str()) || !is_typing_error(&stat.metric.name, &known) {
        return Vec::new();
    }
    hit(
        "MetricName",
        format!(
            "`{}` has no metric `{}`{hint}",
            stat.metric.namespace, stat.metric.name
        ),
    )
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
