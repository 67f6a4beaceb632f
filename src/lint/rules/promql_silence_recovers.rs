//! A series that is gone counts as recovered.

use super::super::{AlarmRule, Case, Check, Hit, Rule, Severity, hit};

pub(super) const RULE: Rule = Rule {
    id: "promql-silence-recovers",
    severity: Severity::Note,
    summary: "a series that is gone counts as recovered",
    why: "An alarm on a PromQL query knows no missing data: a series that the query no longer returns is OK after the recovery \
          period, also if it is gone because its source is. Where low values are looked for, that is just when it would be \
          needed; add `or absent(…)`.",
    bad: r#"AlarmName: down
EvaluationInterval: 60
EvaluationCriteria:
  PromQLCriteria:
    Query: up == 0
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    good: r#"AlarmName: down
EvaluationInterval: 60
EvaluationCriteria:
  PromQLCriteria:
    Query: up == 0 or absent(up)
AlarmActions: ["arn:aws:sns:us-east-1:111122223333:pages"]
"#,
    check: Check::Alarm(check),
};

fn check(case: &Case<'_>) -> Vec<Hit> {
    match &case.alarm().rule {
        AlarmRule::PromQl(alarm)
            if looks_for_low_values(&alarm.query) && !alarm.query.contains("absent") =>
        {
            hit(
                "EvaluationCriteria",
                "a series that stops is no longer returned, and its alarm ends",
            )
        }
        _ => Vec::new(),
    }
}

fn looks_for_low_values(query: &str) -> bool {
    let compact: String = query.chars().filter(|c| !c.is_whitespace()).collect();
    compact.contains('<') || compact.contains("==0")
}
