//! A day that slides is not a day on the calendar.

use crate::alarm::EvaluationWindow;

use super::super::{Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "daily-window-slides",
    severity: Severity::Warning,
    summary: "a day that slides is not a day on the calendar",
    why: "A period of a day ends at the minute of the evaluation, not at midnight: a job that runs a little later than \
          the day before is missed in between, and the alarm goes off. `EvaluationWindow: {WallClockWindow: {}}` has \
          days that begin at midnight.",
    bad: r#"AlarmName: heartbeat
Namespace: Custom
MetricName: Heartbeat
Statistic: Sum
Period: 86400
EvaluationPeriods: 1
Threshold: 1
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
"#,
    good: r#"AlarmName: heartbeat
Namespace: Custom
MetricName: Heartbeat
Statistic: Sum
Period: 86400
EvaluationPeriods: 1
Threshold: 1
ComparisonOperator: LessThanThreshold
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
TreatMissingData: breaching
EvaluationWindow: {WallClockWindow: {Timezone: UTC}}
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match case.metric_alarm() {
        Some(alarm)
            if alarm.period.seconds() == 86_400
                && alarm.evaluation_window == EvaluationWindow::Sliding =>
        {
            hit(
                "Period",
                "the day ends at the minute of the evaluation; what runs once a day, and a little later today, is missed",
            )
        }
        _ => Vec::new(),
    }
}
