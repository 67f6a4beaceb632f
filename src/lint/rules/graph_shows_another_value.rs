//! One datapoint decides, and it may still change.

use crate::metric::{BasicStatistic, Statistic};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "graph-shows-another-value",
    severity: Severity::Note,
    summary: "one datapoint decides, and it may still change",
    why: "Samples that come late change an average after the alarm was judged on it: the graph then shows no breach \
          where the alarm has seen one. With two datapoints out of three that does not matter.",
    bad: r#"AlarmName: cpu-high
Namespace: AWS/EC2
MetricName: CPUUtilization
Dimensions: [{Name: InstanceId, Value: i-0123456789abcdef0}]
Statistic: Average
Period: 300
EvaluationPeriods: 1
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
EvaluationPeriods: 3
Threshold: 80
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
InsufficientDataActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
DatapointsToAlarm: 2
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.on_one_metric() {
        Some((alarm, stat))
            if alarm.evaluation_periods == 1
                && stat.statistic == Statistic::Basic(BasicStatistic::Average) =>
        {
            hit(
                "EvaluationPeriods",
                "one average decides, and samples that come late change it afterwards",
            )
        }
        _ => Vec::new(),
    }
}
