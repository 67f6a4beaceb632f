//! Placeholders in dimension values.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alarm::{Alarm, MetricStat, Rule};
use crate::metric::{Dimension, Metric};

/// What placeholders stand for on this host.
#[derive(Clone, Debug, Default)]
pub struct Placeholders {
    /// `${aws:InstanceId}`; `None` off EC2.
    pub instance_id: Option<String>,
    /// `${aws:ImageId}`, `${aws:InstanceType}` and `${aws:AutoScalingGroupName}`, as far as they are known.
    pub image_id: Option<String>,
    pub instance_type: Option<String>,
    pub auto_scaling_group: Option<String>,
    /// `${tag:Name}`: the instance's tags.
    pub tags: BTreeMap<String, String>,
    /// `${env:Name}`: how a variable of the environment is found, where that is done.
    pub variable: Option<fn(&str) -> Option<String>>,
    /// `${hostname}`
    pub hostname: String,
}

impl Placeholders {
    fn other(&self, name: &str) -> Option<String> {
        match name.split_once(':')? {
            ("tag", name) => self.tags.get(name).cloned(),
            ("env", name) => self.variable?(name),
            _ => None,
        }
    }

    /// Replaces the placeholders in `text`, or returns the first one that has no value here.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            let value = match name {
                "aws:InstanceId" => self.instance_id.clone(),
                "aws:ImageId" => self.image_id.clone(),
                "aws:InstanceType" => self.instance_type.clone(),
                "aws:AutoScalingGroupName" => self.auto_scaling_group.clone(),
                "hostname" => Some(self.hostname.clone()),
                name => self.other(name),
            };
            filled.push_str(before);
            filled.push_str(&value.ok_or_else(|| format!("${{{name}}}"))?);
            rest = after;
        }
        Ok(filled + rest)
    }
}

/// The alarm with its placeholders replaced; not judged if one of them has no value on this host.
pub fn substitute(alarm: Alarm, placeholders: &Placeholders) -> Alarm {
    let Rule::Metric(rule) = &alarm.rule else {
        return alarm;
    };
    match rule.with_metrics(|stat| filled(stat, placeholders)) {
        Ok(rule) => Alarm {
            rule: Rule::Metric(rule),
            ..alarm
        },
        Err(reason) => Alarm {
            not_here: Some(reason),
            ..alarm
        },
    }
}

/// The statistic with its dimensions' placeholders replaced, or what has no value here.
fn filled(stat: &MetricStat, placeholders: &Placeholders) -> Result<MetricStat, String> {
    let metric = &stat.metric;
    let filled = |dimension: &Dimension| match placeholders.fill(&dimension.value) {
        Ok(value) => Ok(Dimension::new(dimension.name.as_str(), value)),
        Err(placeholder) => Err(format!(
            "`{placeholder}` in dimension `{}` has no value on this host",
            dimension.name
        )),
    };
    let dimensions = metric
        .dimensions()
        .iter()
        .map(filled)
        .collect::<Result<Vec<_>, _>>()?;
    let metric = Metric::new(metric.namespace.as_str(), metric.name.as_str(), dimensions);
    Ok(MetricStat {
        metric: Arc::new(metric),
        ..stat.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_or_named() {
        let here = Placeholders {
            instance_id: None,
            hostname: "web".into(),
            ..Placeholders::default()
        };
        assert_eq!(here.fill("a-${hostname}-${hostname}").unwrap(), "a-web-web");
        assert_eq!(here.fill("no ${end").unwrap(), "no ${end");
        assert_eq!(
            here.fill("${aws:InstanceId}").unwrap_err(),
            "${aws:InstanceId}"
        );
        let there = Placeholders {
            instance_id: Some("i-1".into()),
            ..here
        };
        assert_eq!(there.fill("${aws:InstanceId}").unwrap(), "i-1");
    }
}
