//! The statistic does not say what is asked.

use crate::metric::{BasicStatistic, Statistic};

use super::super::{Case, Check, Hit, Rule, Severity, catalogue::Kind, hit};

pub(super) const RULE: Rule = Rule {
    id: "statistic-unfit",
    severity: Severity::Warning,
    summary: "the statistic does not say what is asked",
    why: "The Average of a count of events is a small number that does not grow with them, and of a 0 and 1 it is a \
          share; Sum is what counts. The Sum of a percentage or of a number of messages that wait adds up samples and \
          means nothing.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
Statistic: Average
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
Dimensions: [{Name: LoadBalancer, Value: app/web/0123456789abcdef}]
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
    let Some((alarm, stat, entry)) = case.known() else {
        return Vec::new();
    };
    let name = stat.metric.name.as_str();
    let is_one_of = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let is_documented = IN_OTHER_WORDS
        .iter()
        .any(|(namespace, of)| entry.namespace == *namespace && name.contains(of));
    let threshold = alarm.threshold().unwrap_or(f64::INFINITY);
    // Where any is too many, the sum says the same; and a share is asked for by a threshold that only a share can have.
    let (is_any, is_share) = (threshold == 0.0, threshold > 0.0 && threshold <= 1.0);
    let unfit = match stat.statistic {
        Statistic::Basic(BasicStatistic::Average)
            if entry.kind == Kind::Sparse
                && entry.unit == "Count"
                && !is_share
                && is_one_of(&EVENTS) =>
        {
            format!("the Average of `{name}` does not grow with the number of events; Sum does")
        }
        Statistic::Basic(BasicStatistic::Sum) if entry.unit == "Percent" => {
            format!("the Sum of `{name}` adds up percentages")
        }
        Statistic::Basic(BasicStatistic::Sum) if is_one_of(&LEVELS) && !is_any => format!(
            "the Sum of `{name}` adds up how much there was at each sample; Maximum or Average is how much there is"
        ),
        Statistic::Basic(BasicStatistic::SampleCount) => {
            format!("SampleCount is how often `{name}` was sampled, not how much it is")
        }
        _ => return Vec::new(),
    };
    match is_documented {
        true => Vec::new(),
        false => hit("Statistic", unfit),
    }
}

/// In the names of metrics that say how much there is.
const LEVELS: [&str; 12] = [
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessages",
    "CPUCreditBalance",
    "ConcurrentExecutions",
    "CurrConnections",
    "DatabaseConnections",
    "FreeStorageSpace",
    "FreeableMemory",
    "HealthyHostCount",
    "SwapUsage",
    "UnHealthyHostCount",
    "VolumeQueueLength",
];

/// Where AWS documents a statistic as a measure of its own: the share of failed requests, or the number of requests.
const IN_OTHER_WORDS: [(&str, &str); 6] = [
    ("AWS/ApiGateway", "4XXError"),
    ("AWS/ApiGateway", "5XXError"),
    ("AWS/ApiGateway", "Count"),
    ("AWS/DynamoDB", "SuccessfulRequestLatency"),
    ("AWS/S3", "4xxErrors"),
    ("AWS/S3", "5xxErrors"),
];

/// In the names of metrics that count events.
const EVENTS: [&str; 8] = [
    "5XX",
    "4XX",
    "Errors",
    "Throttle",
    "RequestCount",
    "Invocations",
    "NumberOfMessagesSent",
    "ErrorCount",
];

#[cfg(test)]
mod tests {
    #[test]
    fn events_are_told_by_their_names() {
        assert!(
            super::EVENTS
                .iter()
                .any(|part| "HTTPCode_Target_5XX_Count".contains(part))
        );
    }
}
