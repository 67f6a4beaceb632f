//! Placeholders in dimension values.

use std::sync::Arc;

use crate::alarm::{Alarm, MetricAlarm, Rule};
use crate::metric::{Dimension, Metric};

/// What placeholders stand for on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placeholders {
    /// `${aws:InstanceId}`; `None` off EC2.
    pub instance_id: Option<String>,
    /// `${hostname}`
    pub hostname: String,
}

impl Placeholders {
    /// Replaces the placeholders in `text`, or returns the first one that has no value here.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            let value = match name {
                "aws:InstanceId" => self.instance_id.as_deref(),
                "hostname" => Some(self.hostname.as_str()),
                _ => None,
            };
            filled.push_str(before);
            filled.push_str(value.ok_or_else(|| format!("${{{name}}}"))?);
            rest = after;
        }
        Ok(filled + rest)
    }
}

/// The alarm with its placeholders replaced; not mirrored if one of them has no value on this host.
pub fn substitute(alarm: Alarm, placeholders: &Placeholders) -> Alarm {
    let Rule::Metric(rule) = &alarm.rule else {
        return alarm;
    };
    let filled = |dimension: &Dimension| match placeholders.fill(&dimension.value) {
        Ok(value) => Ok(Dimension::new(dimension.name.as_str(), value)),
        Err(placeholder) => Err(format!(
            "`{placeholder}` in dimension `{}` has no value on this host",
            dimension.name
        )),
    };
    let dimensions: Result<Vec<Dimension>, String> =
        rule.metric.dimensions().iter().map(filled).collect();
    let rule = match dimensions {
        Ok(dimensions) => {
            let metric = Metric::new(
                rule.metric.namespace.as_str(),
                rule.metric.name.as_str(),
                dimensions,
            );
            Rule::Metric(MetricAlarm {
                metric: Arc::new(metric),
                ..rule.clone()
            })
        }
        Err(reason) => Rule::NotMirrored(reason),
    };
    Alarm { rule, ..alarm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_or_named() {
        let here = Placeholders {
            instance_id: None,
            hostname: "web".into(),
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
