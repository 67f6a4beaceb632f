//! The query of a log alarm runs before the last lines have arrived.

use super::super::{AlarmRule, Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "log-window-too-fresh",
    severity: Severity::Warning,
    summary: "the query of a log alarm runs before the last lines have arrived",
    why: "Log events can be searched some time after they were written. A window that ends when the query runs, and is as long as \
          the time between two runs, never sees those: the next window begins after them. Set `EndTimeOffset` to a minute or \
          more, and `StartTimeOffset` as much higher.",
    bad: r#"AlarmName: errors
QueryResultsToEvaluate: 1
QueryResultsToAlarm: 1
ComparisonOperator: GreaterThanThreshold
Threshold: 10
TreatMissingData: missing
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
ScheduledQueryConfiguration:
  QueryString: 'filter @message like /error/'
  LogGroupIdentifiers: [app]
  AggregationExpression: sum(bytes)
  ScheduleConfiguration:
    ScheduleExpression: rate(5 minutes)
    StartTimeOffset: 300
    EndTimeOffset: 0
"#,
    good: r#"AlarmName: errors
QueryResultsToEvaluate: 1
QueryResultsToAlarm: 1
ComparisonOperator: GreaterThanThreshold
Threshold: 10
TreatMissingData: missing
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
ScheduledQueryConfiguration:
  QueryString: 'filter @message like /error/'
  LogGroupIdentifiers: [app]
  AggregationExpression: sum(bytes)
  ScheduleConfiguration:
    ScheduleExpression: rate(5 minutes)
    StartTimeOffset: 360
    EndTimeOffset: 60
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    let AlarmRule::Log(alarm) = &case.alarm().rule else {
        return Vec::new();
    };
    let query = &alarm.query;
    let (start, end) = query.offsets;
    let is_as_long = start.is_some_and(|start| i64::from(start) <= query.interval);
    if !is_as_long || end.unwrap_or(0) > 0 {
        return Vec::new();
    }
    hit(
        "ScheduledQueryConfiguration",
        format!(
            "the window ends when the query runs, every {} seconds: lines that arrive later are in no window",
            query.interval
        ),
    )
}
