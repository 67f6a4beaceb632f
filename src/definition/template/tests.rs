use std::collections::BTreeMap;

use crate::alarm::{Alarm, Rule};
use crate::definition::{Inputs, Parsed, parse_with};

const TEMPLATE: &str = r#"
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Threshold: {Type: Number, Default: 80}
  Topics: {Type: CommaDelimitedList, Default: "arn:aws:sns:eu-west-1:111122223333:a, arn:aws:sns:eu-west-1:111122223333:b"}
  Stage: {Type: String, Default: prod}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  IsTest: !Not [Condition: IsProd]
Mappings:
  Periods:
    prod: {Seconds: 300}
Resources:
  Instance:
    Type: AWS::EC2::Instance
  CpuHigh:
    Type: AWS::CloudWatch::Alarm
    Metadata:
      cwbridge: {allow: [unit-set, {rule: no-action, until: 2027-01-01}]}
    Properties:
      AlarmName: !Sub "${Stage}-cpu-${Instance}"
      Namespace: AWS/EC2
      MetricName: CPUUtilization
      Dimensions:
        - Name: InstanceId
          Value: !Ref Instance
      Statistic: Average
      Period: !FindInMap [Periods, !Ref Stage, Seconds]
      EvaluationPeriods: "2"
      Threshold: !Ref Threshold
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: !If [IsProd, !Ref Topics, !Ref AWS::NoValue]
      OKActions: !If [IsTest, !Ref Topics, !Ref "AWS::NoValue"]
  OnlyInTest:
    Type: AWS::CloudWatch::Alarm
    Condition: IsTest
    Properties: {Namespace: n, MetricName: m, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: LessThanThreshold}
  Both:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties:
      AlarmRule: !Join ["", ["ALARM(\"", !Ref CpuHigh, "\") OR ALARM(", !GetAtt CpuHigh.Arn, ")"]]
"#;

fn read(text: &str, parameters: &[(&str, &str)]) -> Parsed {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let parameters: BTreeMap<String, String> = parameters.iter().map(owned).collect();
    let inputs = Inputs {
        parameters,
        ..Inputs::default()
    };
    parse_with("t.yaml", text, &inputs)
}

fn messages(parsed: &Parsed) -> Vec<String> {
    parsed.problems().map(ToString::to_string).collect()
}

fn period(alarm: &Alarm) -> i64 {
    let Rule::Metric(rule) = &alarm.rule else {
        panic!("it is on a metric");
    };
    rule.period.seconds()
}

#[test]
fn a_template_comes_to_the_alarms_of_its_stack() {
    let parsed = read(TEMPLATE, &[]);
    assert_eq!(messages(&parsed), [""; 0]);
    let [cpu, both] = parsed.alarms.as_slice() else {
        panic!("{:?}", parsed.alarms);
    };
    assert_eq!(cpu.alarm.name, "prod-cpu-${Instance}");
    assert_eq!(period(&cpu.alarm), 300);
    assert_eq!(cpu.alarm.actions.alarm.len(), 2);
    assert_eq!(
        cpu.alarm.actions.alarm[1],
        "arn:aws:sns:eu-west-1:111122223333:b"
    );
    assert_eq!(cpu.alarm.actions.ok, [""; 0]);
    assert_eq!(cpu.position.line, 16);
    assert_eq!(cpu.place("Threshold").line, 30);
    let allowed: Vec<_> = cpu
        .allowed
        .iter()
        .map(|allowed| (&*allowed.rule, allowed.until.as_deref()))
        .collect();
    assert_eq!(
        allowed,
        [("unit-set", None), ("no-action", Some("2027-01-01"))]
    );
    let Rule::Composite(composite) = &both.alarm.rule else {
        panic!("it is composite");
    };
    assert_eq!(both.alarm.name, "Both");
    assert!(
        composite
            .rule
            .to_string()
            .contains("arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:prod-cpu-${Instance}"),
        "{}",
        composite.rule
    );
}

#[test]
fn parameters_that_are_given_go_before_defaults() {
    let parsed = read(TEMPLATE, &[("Stage", "test"), ("Threshold", "7")]);
    let names: Vec<_> = parsed
        .alarms
        .iter()
        .map(|found| &*found.alarm.name)
        .collect();
    assert_eq!(names, ["OnlyInTest", "Both"]);
    assert_eq!(
        messages(&parsed),
        [
            "t.yaml:28:26: resource `CpuHigh`: `Period` is `${FindInMap}`, which is not known here, so that it cannot be read; `--parameter NAME=VALUE` gives a parameter of a template"
        ]
    );
}

#[test]
fn json_is_as_good_as_yaml() {
    let parsed = read(
        r#"{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "A": {"Type": "AWS::CloudWatch::Alarm", "Properties": {
            "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": "60", "EvaluationPeriods": 1,
            "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
            "Dimensions": [{"Name": "d", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}]}}}}"#,
        &[],
    );
    assert_eq!(messages(&parsed), [""; 0]);
    let Rule::Metric(rule) = &parsed.alarms[0].alarm.rule else {
        panic!("it is on a metric");
    };
    assert_eq!(
        rule.stats()[0].metric.to_string(),
        "n m {d=${Queue.QueueName}}"
    );
}

#[test]
fn circles_and_what_is_not_known_are_told() {
    let parsed = read(
        "Resources:\n  A:\n    Type: AWS::CloudWatch::Alarm\n    Properties: {AlarmName: !Ref B, Namespace: !Wat x}\n  B:\n    Type: AWS::CloudWatch::Alarm\n    Properties: {AlarmName: !Ref A}\n",
        &[],
    );
    let messages = messages(&parsed);
    assert!(
        messages
            .iter()
            .any(|message| message.contains("in a circle")),
        "{messages:?}"
    );
    assert!(
        messages
            .iter()
            .any(|message| message.contains("`Fn::Wat` is not known here")),
        "{messages:?}"
    );
}

#[test]
fn what_only_the_stack_knows_is_told_and_no_mistake() {
    let parsed = read(
        "Resources:
  Fn::ForEach::Each:
    - Name
    - [a, b]
    - Alarm${Name}: {Type: AWS::CloudWatch::Alarm}
  A:
    Type: AWS::CloudWatch::Alarm
    Condition: IsProud
    Properties:
      AlarmName: 500
      Namespace: n
      MetricName: m
      Statistic: !Ref How
      Period: '{{resolve:ssm:/period}}'
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanThreshold
      Dimensions: [{Name: d, Value: '{{resolve:ssm:/of}}'}]
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
",
        &[],
    );
    let told = |findings: &[crate::finding::Finding]| -> String {
        let messages: Vec<&str> = findings.iter().map(|found| &*found.message).collect();
        messages.join("\n")
    };
    expect_test::expect!["the template has no condition `IsProud`; did you mean `IsProd`?"]
        .assert_eq(&told(&parsed.findings));
    expect_test::expect![[r#"
        `Fn::ForEach::Each` is not expanded here: what it makes is not read; `aws cloudformation get-template --template-stage Processed` has it expanded
        resource `A`: `Statistic` is `${How}`, which is not known here, so that it cannot be read; `--parameter NAME=VALUE` gives a parameter of a template
        resource `A`: `Period` is `${resolve:ssm:/period}`, which is not known here, so that it cannot be read; `--parameter NAME=VALUE` gives a parameter of a template"#]].assert_eq(&told(&parsed.unresolved));
    assert_eq!(parsed.unread.iter().collect::<Vec<_>>(), ["500"]);
    let placeholders: Vec<&str> = parsed.placeholders.iter().map(String::as_str).collect();
    assert_eq!(
        placeholders,
        ["${How}", "${resolve:ssm:/of}", "${resolve:ssm:/period}"]
    );
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..20 {
        let before = vec![format!("*a{}", i - 1); 10].join(", ");
        text += &[
            "a",
            &i.to_string(),
            ": &a",
            &i.to_string(),
            " [",
            &before,
            "]\n",
        ]
        .concat();
    }
    let parsed = read(&text, &[]);
    assert!(!parsed.is_readable);
    assert_eq!(parsed.findings.len(), 1, "{:?}", parsed.findings);
}

/// Each name is twice the next one.
#[test]
fn names_that_grow_without_end_are_refused() {
    let mut text = "Resources:\n".to_owned();
    for i in 0..60 {
        text += &[
            "  A",
            &i.to_string(),
            ":\n    Type: AWS::CloudWatch::Alarm\n    Properties: {AlarmName: !Sub \"${A",
            &(i + 1).to_string(),
            "}${A",
            &(i + 1).to_string(),
            "}\"}\n",
        ]
        .concat();
    }
    let parsed = read(&text, &[]);
    let messages = messages(&parsed);
    assert!(
        messages
            .iter()
            .any(|message| message.contains("comes to more than 65536 bytes")),
        "{messages:?}"
    );
}

/// Each condition asks for the next one twice.
#[test]
fn conditions_that_multiply_are_found_once() {
    let mut text = "Conditions:\n  C25: !Equals [a, b]\n".to_owned();
    for i in 0..25 {
        let next = (i + 1).to_string();
        text += &[
            "  C",
            &i.to_string(),
            ": !Or [Condition: C",
            &next,
            ", Condition: C",
            &next,
            "]\n",
        ]
        .concat();
    }
    text += "Resources:\n  A: {Type: AWS::CloudWatch::Alarm, Condition: C0}\n";
    let parsed = read(&text, &[]);
    assert_eq!((messages(&parsed), parsed.alarms.len()), (vec![], 0));
}

/// As CDK writes the dimension of a target group.
#[test]
fn parts_of_what_is_not_known_are_not_known() {
    let parsed = read(
        "Parameters: {Arn: {Type: String}}\nResources:\n  A:\n    Type: AWS::CloudWatch::Alarm\n    Properties: {Namespace: n, MetricName: m, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: LessThanThreshold,\n      Dimensions: [{Name: d, Value: !Select [5, !Split [':', !Ref Arn]]}, {Name: e, Value: !ImportValue x}]}\n",
        &[],
    );
    assert_eq!(messages(&parsed), [""; 0]);
    let Rule::Metric(rule) = &parsed.alarms[0].alarm.rule else {
        panic!("it is on a metric");
    };
    assert_eq!(
        rule.stats()[0].metric.to_string(),
        "n m {d=${Arn.5}, e=${ImportValue:x}}"
    );
}
