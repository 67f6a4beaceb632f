//! Nobody publishes the metric with this set of dimensions.

use super::super::{Case, Check, Hit, Read, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "dimensions-never-published",
    severity: Severity::Error,
    summary: "nobody publishes the metric with this set of dimensions",
    why: "A metric is its namespace, its name and the exact set of its dimensions: with one more or one less it is \
          another metric, which never has datapoints. Copy the dimensions of the metric as `aws cloudwatch list-metrics` \
          shows them.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: TargetGroup, Value: targetgroup/web/0123456789abcdef}, {Name: Stage, Value: prod}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}, {Name: TargetGroup, Value: targetgroup/web/0123456789abcdef}]
Statistic: Sum
Period: 60
EvaluationPeriods: 2
Threshold: 10
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: notBreaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    case.reads().iter().filter_map(dimensions).collect()
}

fn dimensions(read: &Read<'_>) -> Option<Hit> {
    let entry = read.known()?;
    let metric = &read.stat.metric;
    let dimensions = metric.dimensions().iter();
    let names: Vec<&str> = dimensions
        .map(|dimension| dimension.name.as_str())
        .collect();
    let is_fine = entry.dimensions.is_empty()
        || entry.dimensions.contains(&names.as_slice())
        || names.iter().any(|name| name.contains("${"));
    if is_fine {
        return None;
    }
    let listed = |set: &&[&str]| match set {
        [] => "none".to_owned(),
        set => set.join(" and "),
    };
    let sets: Vec<String> = entry.dimensions.iter().map(listed).collect();
    Some(read.hit(
        "Dimensions",
        format!(
            "`{}` is never published with the dimensions {}; there is {}",
            metric.name,
            listed(&names.as_slice()),
            sets.join(", or ")
        ),
    ))
}
