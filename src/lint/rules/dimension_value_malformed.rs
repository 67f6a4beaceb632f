//! The value of a dimension does not look like those that AWS writes.

use super::super::{Case, Check, Hit, Read, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    id: "dimension-value-malformed",
    severity: Severity::Warning,
    summary: "the value of a dimension does not look like those that AWS writes",
    why: "A load balancer is `app/NAME/ID` (`net/…` for a network load balancer), a target group `targetgroup/NAME/ID`, \
          an instance `i-…`: the end of the ARN, not the name or the whole ARN. With any other value it is a metric \
          without datapoints.",
    bad: r#"AlarmName: errors
Namespace: AWS/ApplicationELB
MetricName: HTTPCode_Target_5XX_Count
Dimensions: [{Name: LoadBalancer, Value: web}]
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
    let reads = case.reads();
    let hits = reads
        .iter()
        .filter_map(|read| value(read).or_else(|| reference(case, read)));
    hits.collect()
}

/// What `Ref` gives of a resource is not always what its metrics are known by.
fn reference(case: &Case<'_>, read: &Read<'_>) -> Option<Hit> {
    const ATTRIBUTES: [(&str, &str, &str, &str); 5] = [
        (
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "LoadBalancer",
            "its ARN",
            "LoadBalancerFullName",
        ),
        (
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            "TargetGroup",
            "its ARN",
            "TargetGroupFullName",
        ),
        ("AWS::SQS::Queue", "QueueName", "its URL", "QueueName"),
        ("AWS::SNS::Topic", "TopicName", "its ARN", "TopicName"),
        ("AWS::ECS::Service", "ServiceName", "its ARN", "Name"),
    ];
    read.stat.metric.dimensions().iter().find_map(|dimension| {
        let of = case.all.types.get(&dimension.value)?;
        let (_, name, what, attribute) = ATTRIBUTES
            .iter()
            .find(|(known, name, ..)| known == of && *name == dimension.name)?;
        let resource = dimension.value.trim_start_matches("${").trim_end_matches('}');
        Some(read.hit(
            "Dimensions",
            format!("the dimension `{name}` is `!Ref {resource}`, which is {what}; `!GetAtt {resource}.{attribute}` is what AWS writes"),
        ))
    })
}

fn value(read: &Read<'_>) -> Option<Hit> {
    const FORMS: [(&str, &str, &str); 6] = [
        ("AWS/ApplicationELB", "LoadBalancer", "app/"),
        ("AWS/NetworkELB", "LoadBalancer", "net/"),
        ("AWS/ApplicationELB", "TargetGroup", "targetgroup/"),
        ("AWS/NetworkELB", "TargetGroup", "targetgroup/"),
        ("AWS/EC2", "InstanceId", "i-"),
        ("AWS/EBS", "VolumeId", "vol-"),
    ];
    let metric = &read.stat.metric;
    let malformed = metric.dimensions().iter().find_map(|dimension| {
        let form = FORMS
            .iter()
            .find(|(namespace, name, _)| metric.namespace == *namespace && dimension.name == *name);
        let (_, _, begins) = form?;
        let is_fine = dimension.value.contains("${") || dimension.value.starts_with(begins);
        (!is_fine).then_some((dimension, begins))
    });
    let (dimension, begins) = malformed?;
    Some(read.hit(
        "Dimensions",
        format!(
            "the dimension `{}` is `{}`, but AWS writes values that begin with `{begins}`",
            dimension.name, dimension.value
        ),
    ))
}
