//! `count(*)` has a value also when nothing is found.

use crate::alarm::TreatMissingData;

use super::super::{AlarmRule, Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "log-count-never-missing",
    severity: Severity::Note,
    summary: "`count(*)` has a value also when nothing is found",
    why: "Over no lines `count(*)` is 0, which is compared like any number: `TreatMissingData` only counts where the query fails. \
          To hear of silence, alarm on a count below 1.",
    bad: r#"AlarmName: errors
QueryResultsToEvaluate: 1
QueryResultsToAlarm: 1
ComparisonOperator: GreaterThanThreshold
Threshold: 10
TreatMissingData: breaching
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
ScheduledQueryConfiguration:
  QueryString: 'filter @message like /error/'
  LogGroupIdentifiers: [app]
  AggregationExpression: count(*)
  ScheduleConfiguration:
    ScheduleExpression: rate(5 minutes)
    StartTimeOffset: 360
    EndTimeOffset: 60
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
  AggregationExpression: count(*)
  ScheduleConfiguration:
    ScheduleExpression: rate(5 minutes)
    StartTimeOffset: 360
    EndTimeOffset: 60
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match &case.alarm().rule {
        AlarmRule::Log(alarm)
            if alarm.query.aggregation.is_zero_over_nothing()
                && alarm.treat_missing_data == Some(TreatMissingData::Breaching) =>
        {
            hit(
                "TreatMissingData",
                "`count(*)` over no lines is 0 and not missing: `breaching` is for queries that fail",
            )
        }
        _ => Vec::new(),
    }
}
