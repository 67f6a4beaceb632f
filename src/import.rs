//! The CloudWatch agent's configuration as one of ours.
//!
//! What it publishes is published under the same names, units and dimensions; what cannot be is listed.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::config::publishable;

/// A configuration, and what of the other one is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub text: String,
    pub not_taken: Vec<String>,
}

/// How often the agent looks unless it is told otherwise, in seconds; what it looks at more often is of high resolution.
const INTERVAL: u64 = 60;

/// Plugins by the dimension that `resources` names.
const PLUGINS: [(&str, Option<&str>); 8] = [
    ("cpu", None),
    ("mem", None),
    ("swap", None),
    ("disk", Some("path")),
    ("diskio", Some("name")),
    ("net", Some("interface")),
    ("netstat", None),
    ("processes", None),
];

/// Reads the agent's JSON. The error says why it is none.
pub fn cloudwatch_agent(text: &str) -> Result<Imported, String> {
    let config: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(config) = config else {
        return Err("it is no JSON object".to_owned());
    };
    let mut importer = Importer::default();
    importer.agent(config.get("agent"));
    importer.metrics(config.get("metrics"));
    for section in config.keys() {
        if !["agent", "metrics"].contains(&section.as_str()) {
            importer.not_taken.push(format!("`{section}`"));
        }
    }
    Ok(importer.finish())
}

#[derive(Default)]
struct Importer {
    publish: String,
    entries: String,
    interval: Option<u64>,
    /// What every metric bears, and the sets to which it is rolled up.
    dimensions: Vec<String>,
    roll_ups: Vec<Vec<String>>,
    not_taken: Vec<String>,
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", quoted.join(", "))
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let texts = items.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

impl Importer {
    /// Lists the members of an object that nothing was made of.
    fn rest(&mut self, whose: &str, members: &Map<String, Value>, taken: &[&str]) {
        let rest = members
            .keys()
            .filter(|name| !taken.contains(&name.as_str()));
        self.not_taken
            .extend(rest.map(|name| format!("`{whose}.{name}`")));
    }

    fn agent(&mut self, agent: Option<&Value>) {
        let Some(Value::Object(agent)) = agent else {
            return;
        };
        if let Some(region) = agent.get("region").and_then(Value::as_str) {
            let _ = writeln!(self.publish, "region = {}", quoted(region));
        }
        self.interval = agent
            .get("metrics_collection_interval")
            .and_then(Value::as_u64);
        // What is about the agent's own log and user has no meaning here.
        let own = [
            "region",
            "metrics_collection_interval",
            "debug",
            "logfile",
            "quiet",
            "run_as_user",
        ];
        self.rest("agent", agent, &own);
    }

    fn metrics(&mut self, metrics: Option<&Value>) {
        let Some(Value::Object(metrics)) = metrics else {
            return;
        };
        let namespace = metrics.get("namespace").and_then(Value::as_str);
        let namespace = quoted(namespace.unwrap_or("CWAgent"));
        self.publish
            .insert_str(0, &format!("namespace = {namespace}\n"));
        if let Some(url) = metrics.get("endpoint_override").and_then(Value::as_str) {
            let url = match url.contains("://") {
                true => url.to_owned(),
                false => format!("https://{url}"),
            };
            let _ = writeln!(self.publish, "endpoint_url = {}", quoted(&url));
        }
        self.append_dimensions(metrics.get("append_dimensions"));
        let roll_ups = metrics
            .get("aggregation_dimensions")
            .and_then(Value::as_array);
        self.roll_ups = roll_ups.into_iter().flatten().map(strings).collect();
        if let Some(Value::Object(collected)) = metrics.get("metrics_collected") {
            for (plugin, settings) in collected {
                self.plugin(plugin, settings);
            }
        }
        let taken = [
            "namespace",
            "endpoint_override",
            "append_dimensions",
            "aggregation_dimensions",
            "metrics_collected",
            "force_flush_interval",
        ];
        self.rest("metrics", metrics, &taken);
    }

    /// Only the four pairs that the agent itself takes are there to be found out.
    fn append_dimensions(&mut self, appended: Option<&Value>) {
        let Some(Value::Object(appended)) = appended else {
            self.dimensions = vec!["host".to_owned()];
            return;
        };
        for (name, value) in appended {
            match value.as_str() == Some(&format!("${{aws:{name}}}")) {
                true => self.dimensions.push(name.clone()),
                false => self
                    .not_taken
                    .push(format!("`metrics.append_dimensions.{name}`")),
            }
        }
    }

    fn plugin(&mut self, plugin: &str, settings: &Value) {
        let known = PLUGINS.iter().find(|(name, _)| *name == plugin);
        let (Some((_, resource)), Value::Object(settings)) = (known, settings) else {
            self.not_taken
                .push(format!("`metrics.metrics_collected.{plugin}`"));
            return;
        };
        let whose = format!("metrics.metrics_collected.{plugin}");
        let (mut names, mut renamed) = (Vec::new(), Vec::new());
        let measured = settings.get("measurement").and_then(Value::as_array);
        for measured in measured.into_iter().flatten() {
            self.measurement(plugin, measured, &mut names, &mut renamed);
        }
        if !names.is_empty() {
            self.entry(plugin, *resource, settings, &names, &renamed);
        }
        let taken = [
            "measurement",
            "metrics_collection_interval",
            "resources",
            "totalcpu",
            "ignore_file_system_types",
            "drop_device",
            "drop_original_metrics",
        ];
        self.rest(&whose, settings, &taken);
    }

    /// `usage_idle`, `cpu_usage_idle`, or one of them with another name.
    fn measurement(
        &mut self,
        plugin: &str,
        measured: &Value,
        names: &mut Vec<String>,
        renamed: &mut Vec<(String, String)>,
    ) {
        let name = measured.as_str().or_else(|| measured.get("name")?.as_str());
        let Some(name) = name else {
            self.not_taken
                .push(format!("a measurement of `{plugin}`: {measured}"));
            return;
        };
        let name = match name.starts_with(&format!("{plugin}_")) {
            true => name.to_owned(),
            false => format!("{plugin}_{name}"),
        };
        if publishable(&name).is_none() {
            self.not_taken.push(format!("the metric `{name}`"));
            return;
        }
        if let Some(to) = measured.get("rename").and_then(Value::as_str) {
            renamed.push((name.clone(), to.to_owned()));
        }
        if measured.get("unit").is_some() {
            self.not_taken.push(format!("the unit of `{name}`"));
        }
        names.push(name);
    }

    fn entry(
        &mut self,
        plugin: &str,
        resource: Option<&str>,
        settings: &Map<String, Value>,
        names: &[String],
        renamed: &[(String, String)],
    ) {
        let sets = self.sets(plugin, settings, names);
        let sets: Vec<String> = sets.iter().map(|set| list(set)).collect();
        let mut entry = format!(
            "\n[[publish.metric]]\nnames = {}\ndimensions = [{}]\n",
            list(names),
            sets.join(", ")
        );
        let interval = settings
            .get("metrics_collection_interval")
            .and_then(Value::as_u64);
        if interval.or(self.interval).unwrap_or(INTERVAL) < INTERVAL {
            entry.push_str("high_resolution = true\n");
        }
        if !renamed.is_empty() {
            let pairs = renamed
                .iter()
                .map(|(from, to)| format!("{from} = {}", quoted(to)));
            let pairs: Vec<String> = pairs.collect();
            let _ = writeln!(entry, "rename = {{ {} }}", pairs.join(", "));
        }
        let resources = settings.get("resources").map(strings).unwrap_or_default();
        if let Some(label) =
            resource.filter(|_| !resources.is_empty() && !resources.contains(&"*".to_owned()))
        {
            let _ = writeln!(
                entry,
                "include = {{ {label} = {} }}",
                quoted(&any_of(&resources))
            );
        }
        let types = settings
            .get("ignore_file_system_types")
            .map(strings)
            .unwrap_or_default();
        if !types.is_empty() {
            let _ = writeln!(
                entry,
                "exclude = {{ fstype = {} }}",
                quoted(&any_of(&types))
            );
        }
        self.entries.push_str(&entry);
    }

    /// As the agent names them, and rolled up.
    fn sets(
        &mut self,
        plugin: &str,
        settings: &Map<String, Value>,
        names: &[String],
    ) -> Vec<Vec<String>> {
        let labels = names.first().and_then(|name| publishable(name));
        let mut labels: Vec<String> = labels
            .map(|known| known.labels.iter().map(ToString::to_string).collect())
            .unwrap_or_default();
        let flag = |name: &str| settings.get(name).and_then(Value::as_bool);
        if flag("drop_device") == Some(true) {
            labels.retain(|label| label != "device");
        }
        let mut sets = Vec::new();
        let with = |labels: &[String]| -> Vec<String> {
            self.dimensions.iter().chain(labels).cloned().collect()
        };
        if plugin == "cpu" {
            if flag("totalcpu") != Some(false) {
                sets.push(with(&[]));
            }
            if settings.contains_key("resources") {
                sets.push(with(&labels));
            }
        } else {
            sets.push(with(&labels));
        }
        if flag("drop_original_metrics") == Some(true)
            || settings
                .get("drop_original_metrics")
                .is_some_and(Value::is_array)
        {
            sets.clear();
        }
        if plugin == "cpu" && flag("totalcpu") != Some(false) {
            self.not_taken.push("the dimension `cpu` with the value `cpu-total`: all cores together are published without it".to_owned());
        }
        let original = with(&labels);
        let roll_ups = self
            .roll_ups
            .iter()
            .filter(|set| set.iter().all(|name| original.contains(name)));
        for set in roll_ups {
            if !sets.contains(set) {
                sets.push(set.clone());
            }
        }
        sets
    }

    fn finish(self) -> Imported {
        let head = "# Made from a configuration of the CloudWatch agent.\n";
        let entries = match self.entries.is_empty() {
            true => "metric = []\n",
            false => &self.entries,
        };
        Imported {
            text: format!("{head}[publish]\n{}{entries}", self.publish),
            not_taken: self.not_taken,
        }
    }
}

/// A pattern for one of these texts.
fn any_of(texts: &[String]) -> String {
    let escaped: Vec<String> = texts.iter().map(|text| regex_lite::escape(text)).collect();
    format!("^({})$", escaped.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve;
    use expect_test::expect;

    const AGENT: &str = r#"{
      "agent": {"metrics_collection_interval": 60, "run_as_user": "cwagent", "region": "eu-west-1", "credentials": {"role_arn": "arn"}},
      "logs": {"logs_collected": {}},
      "metrics": {
        "append_dimensions": {"InstanceId": "${aws:InstanceId}", "AutoScalingGroupName": "${aws:AutoScalingGroupName}"},
        "aggregation_dimensions": [["InstanceId"], ["AutoScalingGroupName"], ["path"], []],
        "metrics_collected": {
          "cpu": {"measurement": ["cpu_usage_idle", {"name": "usage_user", "rename": "User", "unit": "Percent"}], "totalcpu": true, "resources": ["*"], "metrics_collection_interval": 10},
          "disk": {"measurement": ["used_percent"], "resources": ["/", "/data.1"], "drop_device": true, "ignore_file_system_types": ["tmpfs"]},
          "mem": {"measurement": ["mem_used_percent", "mem_unheard_of"], "append_dimensions": {"a": "b"}},
          "statsd": {}
        }
      }
    }"#;

    #[test]
    fn what_the_agent_publishes_is_published() {
        let imported = cloudwatch_agent(AGENT).unwrap();
        expect![[r##"
            # Made from a configuration of the CloudWatch agent.
            [publish]
            namespace = "CWAgent"
            region = "eu-west-1"

            [[publish.metric]]
            names = ["cpu_usage_idle", "cpu_usage_user"]
            dimensions = [["AutoScalingGroupName", "InstanceId"], ["AutoScalingGroupName", "InstanceId", "cpu"], ["InstanceId"], ["AutoScalingGroupName"], []]
            high_resolution = true
            rename = { cpu_usage_user = "User" }

            [[publish.metric]]
            names = ["disk_used_percent"]
            dimensions = [["AutoScalingGroupName", "InstanceId", "path", "fstype"], ["InstanceId"], ["AutoScalingGroupName"], ["path"], []]
            include = { path = "^(/|/data\\.1)$" }
            exclude = { fstype = "^(tmpfs)$" }

            [[publish.metric]]
            names = ["mem_used_percent"]
            dimensions = [["AutoScalingGroupName", "InstanceId"], ["InstanceId"], ["AutoScalingGroupName"], []]
        "##]].assert_eq(&imported.text);
        expect![[r#"
            `agent.credentials`
            the unit of `cpu_usage_user`
            the dimension `cpu` with the value `cpu-total`: all cores together are published without it
            the metric `mem_unheard_of`
            `metrics.metrics_collected.mem.append_dimensions`
            `metrics.metrics_collected.statsd`
            `logs`
        "#]].assert_eq(&(imported.not_taken.join("\n") + "\n"));
        let (config, findings) = resolve("imported.toml", &imported.text);
        assert_eq!(findings, []);
        assert_eq!(config.publish.metrics.len(), 3);
    }

    #[test]
    fn an_agent_that_collects_nothing_publishes_nothing() {
        let imported = cloudwatch_agent("{}").unwrap();
        let (config, findings) = resolve("imported.toml", &imported.text);
        assert_eq!((config.publish.metrics, findings), (vec![], vec![]));
        assert!(cloudwatch_agent("[]").is_err() && cloudwatch_agent("{").is_err());
    }
}
