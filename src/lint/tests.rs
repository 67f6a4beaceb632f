use super::*;
use crate::definition::parse;

/// On the first day of 2026.
const KNOWN: Known<'static> = Known {
    published: &[],
    now: Timestamp::from_seconds(1_767_225_600),
};

fn rules_broken(text: &str) -> Vec<&'static str> {
    let parsed = parse("alarms.yaml", text);
    assert_eq!(parsed.findings, [], "{text}");
    let lints = lint(&parsed, KNOWN);
    lints.into_iter().map(|lint| lint.rule).collect()
}

/// Each rule finds its bad example and not its good one, and CloudWatch would take both.
#[test]
fn every_rule_tells_its_examples_apart() {
    for rule in ALL.iter().filter(|rule| !rule.bad.is_empty()) {
        assert!(
            rules_broken(rule.bad).contains(&rule.id),
            "{} misses its bad example",
            rule.id
        );
        assert!(
            !rules_broken(rule.good).contains(&rule.id),
            "{} finds its good example",
            rule.id
        );
    }
}

#[test]
fn ids_are_distinct_and_in_order() {
    assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
    let is_id = |id: &str| {
        id.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    assert!(ALL.iter().all(|rule| is_id(rule.id)));
}

/// As the article words it: `Seconds` on a metric in percent, and a minute where there are five.
#[test]
fn the_articles_alarm_is_flagged() {
    let text = "{AlarmName: a, Namespace: AWS/EC2, MetricName: CPUUtilization, Dimensions: [{Name: InstanceId, Value: i-0}],
        Statistic: Average, Period: 60, EvaluationPeriods: 2, Threshold: 50, ComparisonOperator: GreaterThanThreshold,
        Unit: Seconds, AlarmActions: [\"arn:aws:sns:us-east-1:111122223333:t\"]}";
    let parsed = parse("a.yaml", text);
    let lints = lint(&parsed, KNOWN);
    let told = |rule: &str| {
        lints
            .iter()
            .find(|lint| lint.rule == rule)
            .map(|lint| lint.message.clone())
    };
    let unit = told("unit-never-published").unwrap();
    assert!(
        unit.contains("never sees a datapoint, so that it stays in INSUFFICIENT_DATA for ever"),
        "{unit}"
    );
    let period = told("period-below-native").unwrap();
    assert!(period.contains("every 300 seconds"), "{period}");
}

#[test]
fn what_this_host_publishes_is_known_here_alone() {
    let parsed = parse("a.json", crate::definition::BUILT_IN);
    let published = [crate::metric::Metric::new(
        "CWBridge",
        "CPUUtilization",
        vec![],
    )];
    let told = |published: &[crate::metric::Metric]| -> Vec<String> {
        let lints = lint(&parsed, Known { published, ..KNOWN }).into_iter();
        lints
            .filter(|lint| lint.rule == "not-published-here")
            .map(|lint| lint.message)
            .collect()
    };
    assert_eq!(told(&[]), [""; 0]);
    assert_eq!(
        told(&published),
        [
            "this host does not publish `CWBridge CPUUtilization {InstanceId=${aws:InstanceId}}`; the nearest is `CWBridge CPUUtilization`"
        ]
    );
}

#[test]
fn allowances_are_for_the_alarm_they_stand_at_and_end() {
    let (first, second) = (
        "{AlarmName: a, Namespace: n, MetricName: m, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}",
        "{AlarmName: b, Namespace: n, MetricName: m2, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}",
    );
    let text = format!(
        "- {first}\n# cwbridge:allow no-action until 2027-01-31\n\n# Why that is so.\n- {second}\n"
    );
    let parsed = parse("a.yaml", &text);
    assert_eq!(parsed.findings, []);
    let left = |today: &str, text: &str| -> (Vec<String>, Vec<String>) {
        let mut allowances = Allowances::default();
        allowances.comments("a.yaml", text, today);
        let lints = lint(&parsed, KNOWN).into_iter();
        let left =
            lints.filter(|lint| lint.rule == "no-action" && !allowances.of(&parsed).has(lint));
        let findings = allowances
            .findings
            .iter()
            .map(|finding| finding.message.clone());
        (left.map(|lint| lint.name).collect(), findings.collect())
    };
    assert_eq!(left("2027-01-31", &text), (vec!["a".into()], vec![]));
    assert_eq!(
        left("2027-02-01", &text),
        (
            vec!["a".into(), "b".into()],
            vec!["that `no-action` is allowed ended on 2027-01-31".into()]
        )
    );
    let wrong = text.replace("no-action", "no-actoin");
    assert_eq!(
        left("2027-01-01", &wrong).1,
        ["there is no rule `no-actoin`; did you mean `no-action`?"]
    );
    let mut everywhere = Allowances::default();
    everywhere
        .everywhere("no-action=2027-01-31", "2027-01-31")
        .unwrap();
    let mut over = Allowances::default();
    over.everywhere("no-action=2027-01-31", "2027-02-01")
        .unwrap();
    let told: Vec<String> = over.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["--allow: that `no-action` is allowed ended on 2027-01-31"]
    );
    assert!(over.everywhere("no-action=soon", "2027-02-01").is_err());
    assert!(
        lint(&parsed, KNOWN)
            .iter()
            .filter(|lint| lint.rule == "no-action")
            .all(|lint| everywhere.of(&parsed).has(lint))
    );
}

/// What people read: every rule's words on its bad example.
#[test]
fn rules_say_what_is_written() {
    let mut all = String::new();
    for rule in ALL.iter().filter(|rule| !rule.bad.is_empty()) {
        let parsed = parse("bad.yaml", rule.bad);
        for lint in lint(&parsed, KNOWN) {
            if lint.rule == rule.id {
                let Position { line, column } = lint.position;
                let severity = lint.severity.name();
                all += &[
                    severity,
                    "[",
                    lint.rule,
                    "] ",
                    &format!("{line}:{column} "),
                    &lint.name,
                    ": ",
                    &lint.message,
                    "\n",
                ]
                .concat();
            }
        }
    }
    expect_test::expect_file!["messages.txt"].assert_eq(&all);
}

/// As the console and CDK write it.
#[test]
fn a_single_metric_in_metrics_is_looked_at_like_any_other() {
    let broken = rules_broken(
        "{AlarmName: a, EvaluationPeriods: 2, Threshold: 50, ComparisonOperator: GreaterThanThreshold, Metrics: [{Id: m, MetricStat:
          {Metric: {Namespace: AWS/EC2, MetricName: CPUUtilization, Dimensions: [{Name: InstanceId, Value: i-0}]}, Period: 60, Stat: Average, Unit: Seconds}}]}",
    );
    assert!(
        broken.contains(&"unit-never-published") && broken.contains(&"period-below-native"),
        "{broken:?}"
    );
}

#[test]
fn colons_in_placeholders_part_nothing() {
    let text = "{AlarmName: a, Namespace: AWS/EC2, MetricName: CPUUtilization, Dimensions: [{Name: AutoScalingGroupName, Value: web}],
        Statistic: Average, Period: 300, EvaluationPeriods: 2, Threshold: 50, ComparisonOperator: GreaterThanThreshold,
        AlarmActions: ['arn:${AWS::Partition}:automate:${AWS::Region}:ec2:recover']}";
    let broken = rules_broken(text);
    assert!(
        broken.contains(&"ec2-action-without-instance")
            && broken.contains(&"recover-on-another-metric"),
        "{broken:?}"
    );
}

/// Of a value that is not known nothing is said, and of all the rest everything.
#[test]
fn what_stands_in_for_a_value_is_not_judged() {
    let inputs = crate::definition::Inputs {
        stands_in: true,
        ..Default::default()
    };
    let broken = |treatment: &str| -> Vec<&'static str> {
        let text = format!(
            "Parameters: {{Treatment: {{Type: String}}}}\nResources:\n  A:\n    Type: AWS::CloudWatch::Alarm\n    Properties: {{Namespace: AWS/RDS, MetricName: CPUUtilization, Dimensions: [{{Name: DBInstanceIdentifier, Value: db}}], Statistic: Maximum, Period: 60, EvaluationPeriods: 2, Threshold: 80, ComparisonOperator: GreaterThanThreshold, TreatMissingData: {treatment}, Unit: Seconds, AlarmActions: ['arn:aws:sns:us-east-1:111122223333:t']}}\n"
        );
        let parsed = crate::definition::parse_with("t.yaml", &text, &inputs);
        assert_eq!(parsed.alarms.len(), 1, "{:?}", parsed.findings);
        let lints = lint(&parsed, KNOWN).into_iter();
        lints.map(|lint| lint.rule).collect()
    };
    assert_eq!(
        broken("missing"),
        ["silence-unnoticed", "unit-never-published"]
    );
    assert_eq!(broken("!Ref Treatment"), ["unit-never-published"]);
}
