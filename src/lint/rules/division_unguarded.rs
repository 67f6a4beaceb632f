//! Without traffic the ratio is missing.

use crate::alarm::{MetricDataQuery, QueryContent, Source};

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "division-unguarded",
    severity: Severity::Note,
    summary: "without traffic the ratio is missing",
    why: "Where the divisor is missing or 0 the expression has no value, and where only the dividend is missing it has \
          none either: an hour with requests and without errors has no error rate. `FILL(errors, 0)` makes it 0, and \
          `TreatMissingData` says what no traffic means.",
    bad: r#"AlarmName: error-rate
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "100 * errors / requests"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    good: r#"AlarmName: error-rate
EvaluationPeriods: 2
Threshold: 5
ComparisonOperator: GreaterThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
Metrics: [{Id: e, Expression: "100 * FILL(errors, 0) / requests"}, {Id: errors, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: HTTPCode_Target_5XX_Count, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}, {Id: requests, ReturnData: false, MetricStat: {Metric: {Namespace: AWS/ApplicationELB, MetricName: RequestCount, Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]}, Period: 60, Stat: Sum}}]
TreatMissingData: notBreaching
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let Some(Source::Math(math)) = case.metric_alarm().map(|alarm| &alarm.source) else {
        return Vec::new();
    };
    let unguarded = |query: &&MetricDataQuery| match &query.content {
        QueryContent::Expression(text) => {
            divides_by_a_series(text) && !text.contains("FILL") && !has_call(text, "IF")
        }
        QueryContent::Stat(_) => false,
    };
    match math.queries().iter().find(unguarded) {
        Some(query) => hit(
            "Metrics",
            format!(
                "`{}` divides, and has no value where one of its metrics has none; `FILL` gives it one",
                query.id
            ),
        ),
        None => Vec::new(),
    }
}

/// Whether something else than a number stands behind a `/`.
fn divides_by_a_series(text: &str) -> bool {
    let divisors = text.split('/').skip(1);
    divisors
        .map(str::trim_start)
        .any(|divisor| !divisor.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

/// Whether the function is called, and not another one whose name ends so.
fn has_call(text: &str, function: &str) -> bool {
    let mut calls = text.match_indices(function);
    calls.any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + function.len()..].trim_start();
        !before.is_some_and(char::is_alphanumeric) && after.starts_with('(')
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_number_is_no_series_and_diff_is_no_if() {
        assert!(super::divides_by_a_series("m1 / m2"));
        assert!(!super::divides_by_a_series("100 - (m1/1024/1024)"));
        assert!(super::has_call("IF (m, 1, 2)", "IF"));
        assert!(!super::has_call("DIFF(m1)/m2", "IF"));
    }
}
