//! Groups of processes: the agent's `procstat`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Entry, Importer, any_of, quoted};

/// The agent's members that say which processes are meant, with our names.
const BY: [(&str, &str); 3] = [
    ("exe", "exe"),
    ("pattern", "pattern"),
    ("pid_file", "pidfile"),
];

/// What the agent calls otherwise where it publishes it.
const COUNT: (&str, &str) = ("procstat_pid_count", "procstat_lookup_pid_count");

const WHOSE: &str = "metrics.metrics_collected.procstat";

/// Processes that are looked at together.
struct Group {
    by: &'static str,
    of: String,
    names: Vec<String>,
}

impl Importer {
    /// One entry for all metrics that are of the same groups: another one of the same name would be left out.
    pub(super) fn process_groups(&mut self, objects: &[Value]) {
        let mut renamed = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for object in objects {
            let Some(group) = self.process_group(object, &mut renamed) else {
                continue;
            };
            let is_same = |known: &&mut Group| known.by == group.by && known.of == group.of;
            match groups.iter_mut().find(is_same) {
                Some(known) => known.names.extend(group.names),
                None => groups.push(group),
            }
        }
        let Some(Value::Object(settings)) = objects.first() else {
            return;
        };
        if groups.is_empty() {
            return;
        }
        let mut by_groups: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
        let mut names: Vec<String> = groups.iter().flat_map(|it| it.names.clone()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let places = groups.iter().enumerate();
            let places = places.filter(|(_, group)| group.names.contains(&name));
            let places = places.map(|(place, _)| place).collect();
            by_groups.entry(places).or_default().push(name);
        }
        for (places, names) in &by_groups {
            self.processes_entry(&groups, places, names, (settings, &renamed));
        }
        self.looks_at("procstat", self.interval(settings));
        self.write_groups(&groups);
    }

    fn process_group(
        &mut self,
        object: &Value,
        renamed: &mut Vec<(String, String)>,
    ) -> Option<Group> {
        let found = BY.iter().find_map(|(theirs, ours)| {
            let of = object.get(*theirs)?.as_str()?;
            Some((*theirs, *ours, of))
        });
        let (Some((theirs, by, of)), Value::Object(settings)) = (found, object) else {
            self.not_taken.push(format!("`{WHOSE}`: {object}"));
            return None;
        };
        let mut names = Vec::new();
        let measured = settings.get("measurement").and_then(Value::as_array);
        for measured in measured.into_iter().flatten() {
            self.measurement("procstat", &renamed_count(measured), &mut names, renamed);
        }
        let taken = ["measurement", "metrics_collection_interval", theirs];
        self.rest(WHOSE, settings, &taken);
        (!names.is_empty()).then(|| Group {
            by,
            of: of.to_owned(),
            names,
        })
    }

    /// `places`: the groups that have these names.
    fn processes_entry(
        &mut self,
        groups: &[Group],
        places: &[usize],
        names: &[String],
        (settings, renamed): (&Map<String, Value>, &[(String, String)]),
    ) {
        let (mut include, mut exclude) = (Vec::new(), Vec::new());
        let mut labels = Vec::new();
        for (_, by) in BY {
            let all: Vec<usize> = (0..groups.len())
                .filter(|it| groups[*it].by == by)
                .collect();
            let kept = all.iter().filter(|place| places.contains(place));
            let kept: Vec<String> = kept.map(|place| groups[*place].of.clone()).collect();
            match kept.len() {
                0 if all.is_empty() => continue,
                0 => exclude.push(format!("{by} = \".*\"")),
                some if some < all.len() => {
                    include.push(format!("{by} = {}", quoted(&any_of(&kept))));
                }
                _ => {}
            }
            if !kept.is_empty() {
                labels.push(by.to_owned());
            }
        }
        labels.push("process_name".to_owned());
        let mut filters = String::new();
        for (key, patterns) in [("include", include), ("exclude", exclude)] {
            if !patterns.is_empty() {
                let _ = writeln!(filters, "{key} = {{ {} }}", patterns.join(", "));
            }
        }
        let entry = Entry {
            plugin: "procstat",
            resource: None,
            settings,
            names,
            has_originals: true,
            labels,
            filters,
        };
        self.entry(&entry, renamed);
    }

    fn write_groups(&mut self, groups: &[Group]) {
        for (place, Group { by, of, .. }) in groups.iter().enumerate() {
            // Two groups may be found by the same text in two ways.
            let is_twice = groups[..place].iter().any(|other| other.of == *of);
            let name = if is_twice {
                format!("{of} ({by})")
            } else {
                of.clone()
            };
            let (name, of) = (quoted(&name), quoted(of));
            let _ = write!(
                self.looks,
                "\n[[collectors.procstat.group]]\nname = {name}\n{by} = {of}\n"
            );
        }
    }
}

/// With the name under which the agent publishes it.
fn renamed_count(measured: &Value) -> Value {
    let name = measured.as_str().or_else(|| measured.get("name")?.as_str());
    let is_count = name.is_some_and(|name| super::of_plugin("procstat", name) == COUNT.0);
    match (is_count, measured) {
        (false, _) => measured.clone(),
        (true, Value::Object(members)) => {
            let mut members = members.clone();
            members.insert("name".to_owned(), COUNT.1.into());
            Value::Object(members)
        }
        (true, _) => COUNT.1.into(),
    }
}
