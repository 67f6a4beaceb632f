//! The CloudWatch agent's configuration as one of ours.
//!
//! What it publishes is published under the same names, units and dimensions; what cannot be is listed.

mod logs;
mod processes;

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

/// The collectors whose samples differ with how often they look: of the rest the average is what it is.
const COLLECTORS: [(&str, &str); 2] = [("diskio", "diskstats"), ("net", "netdev")];

/// What need not have a value on a host.
const OPTIONAL: [&str; 4] = [
    "AutoScalingGroupName",
    "ImageId",
    "InstanceId",
    "InstanceType",
];

/// Metrics of one plugin that are published in the same way.
struct Entry<'a> {
    plugin: &'a str,
    /// The dimension that `resources` names.
    resource: Option<&'a str>,
    settings: &'a Map<String, Value>,
    names: &'a [String],
    has_originals: bool,
    /// Those of groups of processes; empty: those that come with the names.
    labels: Vec<String>,
    /// Lines of a configuration.
    filters: String,
}

impl Entry<'_> {
    fn flag(&self, name: &str) -> Option<bool> {
        self.settings.get(name).and_then(Value::as_bool)
    }

    fn has_total(&self) -> bool {
        self.flag("totalcpu") != Some(false)
    }

    fn has_each(&self) -> bool {
        self.settings.contains_key("resources")
    }

    fn labels(&self) -> Vec<String> {
        let known = self.names.first().and_then(|name| publishable(name));
        let labels = known.map_or(&[][..], |known| known.labels);
        if !self.labels.is_empty() {
            return self.labels.clone();
        }
        let is_kept = |label: &&&str| **label != "device" || self.flag("drop_device") != Some(true);
        labels
            .iter()
            .filter(is_kept)
            .map(ToString::to_string)
            .collect()
    }

    /// A pattern for what is kept of what there are several of.
    fn include(&self) -> Option<(&str, String)> {
        if self.plugin == "cpu" {
            return match (self.has_total(), self.has_each()) {
                (true, false) => Some(("cpu", "^cpu-total$".to_owned())),
                (true, true) => Some(("cpu", "^cpu".to_owned())),
                (false, _) => None,
            };
        }
        let resources = self.settings.get("resources").map(strings);
        let resources = resources.unwrap_or_default();
        let is_all = resources.is_empty() || resources.iter().any(|name| name == "*");
        if is_all && self.plugin == "diskio" {
            // Partitions, too.
            return Some((self.resource?, ".*".to_owned()));
        }
        (!is_all).then(|| Some((self.resource?, any_of(&resources))))?
    }
}

/// Where the kernel shows itself.
fn is_left_out(place: &str) -> bool {
    let mut parts = place.trim_start_matches('/').split('/');
    place.starts_with('/') && matches!(parts.next(), Some("dev" | "proc" | "sys"))
}

/// The name of a metric, which the agent takes with or without the plugin's.
fn of_plugin(plugin: &str, name: &str) -> String {
    match name.starts_with(&format!("{plugin}_")) {
        true => name.to_owned(),
        false => format!("{plugin}_{name}"),
    }
}

/// Reads the agent's JSON. The error says why it is none.
pub fn cloudwatch_agent(text: &str) -> Result<Imported, String> {
    let config: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(config) = config else {
        return Err("it is no JSON object".to_owned());
    };
    let mut importer = Importer::default();
    importer.agent(config.get("agent"));
    importer.metrics(config.get("metrics"));
    importer.logs(config.get("logs"));
    for section in config.keys() {
        if !["agent", "metrics", "logs"].contains(&section.as_str()) {
            importer.not_taken.push(format!("`{section}`"));
        }
    }
    Ok(importer.finish())
}

#[derive(Default)]
struct Importer {
    publish: String,
    entries: String,
    /// How often the collectors look.
    looks: String,
    log_files: String,
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
        if let ("procstat", Value::Array(groups)) = (plugin, settings) {
            self.process_groups(groups);
            return;
        }
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
        let resources = settings.get("resources").map(strings).unwrap_or_default();
        let places = resources.iter().filter(|_| plugin == "disk");
        for place in places.filter(|place| is_left_out(place)) {
            self.not_taken.push(format!(
                "the file system at `{place}`, which is none to store things in"
            ));
        }
        if !names.is_empty() {
            self.entries(plugin, *resource, settings, &names, &renamed);
            self.collectors(plugin, settings);
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
        let name = of_plugin(plugin, name);
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

    /// An entry for the metrics as the agent names them, and rolled up; another one for those whose originals are dropped.
    fn entries(
        &mut self,
        plugin: &str,
        resource: Option<&str>,
        settings: &Map<String, Value>,
        names: &[String],
        renamed: &[(String, String)],
    ) {
        let dropped = settings.get("drop_original_metrics");
        let mut dropped = dropped.map(strings).unwrap_or_default();
        for name in &mut dropped {
            *name = of_plugin(plugin, name);
        }
        let (dropped, kept): (Vec<String>, Vec<String>) = names
            .iter()
            .cloned()
            .partition(|name| dropped.contains(name));
        for (names, has_originals) in [(kept, true), (dropped, false)] {
            if !names.is_empty() {
                let entry = Entry {
                    plugin,
                    resource,
                    settings,
                    names: &names,
                    has_originals,
                    labels: Vec::new(),
                    filters: String::new(),
                };
                self.entry(&entry, renamed);
            }
        }
    }

    fn entry(&mut self, entry: &Entry<'_>, renamed: &[(String, String)]) {
        let Entry {
            settings, names, ..
        } = *entry;
        let sets: Vec<String> = self.sets(entry).iter().map(|set| list(set)).collect();
        if sets.is_empty() {
            return;
        }
        let mut text = format!(
            "\n[[publish.metric]]\nnames = {}\ndimensions = [{}]\n",
            list(names),
            sets.join(", ")
        );
        if self.interval(settings) < INTERVAL {
            text.push_str("high_resolution = true\n");
        }
        let renamed = renamed.iter().filter(|(from, _)| names.contains(from));
        let pairs = renamed.map(|(from, to)| format!("{from} = {}", quoted(to)));
        let pairs: Vec<String> = pairs.collect();
        if !pairs.is_empty() {
            let _ = writeln!(text, "rename = {{ {} }}", pairs.join(", "));
        }
        if let Some((label, pattern)) = entry.include() {
            let _ = writeln!(text, "include = {{ {label} = {} }}", quoted(&pattern));
        }
        let types = settings.get("ignore_file_system_types");
        let types = types.map(strings).unwrap_or_default();
        if !types.is_empty() {
            let pattern = quoted(&any_of(&types));
            let _ = writeln!(text, "exclude = {{ fstype = {pattern} }}");
        }
        text.push_str(&entry.filters);
        self.entries.push_str(&text);
    }

    /// How often the agent looks at a plugin, in seconds.
    fn interval(&self, settings: &Map<String, Value>) -> u64 {
        let own = settings.get("metrics_collection_interval");
        let own = own.and_then(Value::as_u64);
        own.or(self.interval).unwrap_or(INTERVAL)
    }

    /// As the agent names them, and rolled up. It leaves out what has no value, but rolls up to what is there as a whole.
    fn sets(&mut self, entry: &Entry<'_>) -> Vec<Vec<String>> {
        let labels = entry.labels();
        let is_cpu = entry.plugin == "cpu";
        if is_cpu && !entry.has_total() && !entry.has_each() {
            // The agent publishes nothing then.
            return Vec::new();
        }
        let original: Vec<String> = self.dimensions.iter().chain(&labels).cloned().collect();
        let optional = |name: &String| match OPTIONAL.contains(&name.as_str()) {
            true => format!("{name}?"),
            false => name.clone(),
        };
        let mut sets: Vec<Vec<String>> = Vec::new();
        if entry.has_originals {
            sets.push(original.iter().map(optional).collect());
        }
        let roll_ups = self.roll_ups.iter();
        for set in roll_ups.filter(|set| set.iter().all(|name| original.contains(name))) {
            let is_smaller = set.len() < original.len();
            if is_smaller && !sets.contains(set) {
                sets.push(set.clone());
            }
        }
        if is_cpu && entry.has_each() && sets.len() > 1 {
            let text = "the roll-ups of single cores: all cores together are rolled up alone";
            self.not_taken.push(text.to_owned());
        }
        sets
    }

    /// How often the collectors look: their differences are those of the agent.
    fn collectors(&mut self, plugin: &str, settings: &Map<String, Value>) {
        let collector = COLLECTORS.iter().find(|(name, _)| *name == plugin);
        if let Some((_, collector)) = collector {
            self.looks_at(collector, self.interval(settings));
        }
    }

    fn looks_at(&mut self, collector: &str, interval: u64) {
        match interval {
            1..=60 => {
                let _ = write!(
                    self.looks,
                    "\n[collectors.{collector}]\ninterval = \"{interval}s\"\n"
                );
            }
            _ => self.not_taken.push(format!(
                "the interval of `{collector}`, {interval} s: at most a minute passes from one look to the next"
            )),
        }
    }

    fn finish(self) -> Imported {
        let head = "# Made from a configuration of the CloudWatch agent.\n";
        let entries = match self.entries.is_empty() {
            true => "metric = []\n",
            false => &self.entries,
        };
        Imported {
            text: format!(
                "{head}[publish]\n{}{entries}{}{}",
                self.publish, self.looks, self.log_files
            ),
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
mod tests;
