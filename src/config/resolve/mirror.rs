//! `[mirror]`

use std::time::Duration;

use crate::finding::did_you_mean;
use crate::tree::Node;

use super::super::{Mirror, Select};
use super::Reader;

const KEYS: [&str; 4] = ["select", "name_prefix", "interval", "search_interval"];

/// Every request costs money, and all hosts of an account share what CloudWatch answers in a second.
const INTERVAL_DEFAULT: Duration = Duration::from_mins(5);
const INTERVAL_MIN: Duration = Duration::from_secs(10);
const SEARCH_INTERVAL_DEFAULT: Duration = Duration::from_hours(1);
const INTERVAL_MAX: Duration = Duration::from_hours(24);

/// The longest name that an alarm has.
const PREFIX_LENGTH_MAX: usize = 255;

impl Reader<'_> {
    pub(super) fn mirror(&mut self, mirror: &Node) -> Mirror {
        self.keys("`[mirror]`", mirror, &KEYS);
        let name_prefix = mirror.get("name_prefix").and_then(|node| {
            let prefix = self.report.string("name_prefix", node)?;
            if prefix.is_empty() || prefix.chars().count() > PREFIX_LENGTH_MAX {
                let text = format!("`name_prefix` must have 1 to {PREFIX_LENGTH_MAX} characters");
                self.report.add(node.position, text);
            }
            Some(prefix)
        });
        let select = mirror.get("select").and_then(|node| self.select(node));
        let mut interval = |key, default: Duration, example| {
            let node = mirror.get(key);
            let read = |node| self.duration(key, node, INTERVAL_MIN..=INTERVAL_MAX, example);
            node.and_then(read).unwrap_or(default)
        };
        let every = interval("interval", INTERVAL_DEFAULT, "5m");
        let search = interval("search_interval", SEARCH_INTERVAL_DEFAULT.max(every), "1h");
        if let Some(node) = mirror.get("search_interval")
            && search < every
        {
            let text = "`search_interval` must not be shorter than `interval`";
            self.report.add(node.position, text);
        }
        Mirror {
            select: select.unwrap_or(match name_prefix {
                Some(_) => Select::All,
                None => Select::Host,
            }),
            name_prefix,
            interval: every,
            search_interval: search,
        }
    }

    fn select(&mut self, node: &Node) -> Option<Select> {
        let text = self.report.string("select", node)?;
        match text.as_str() {
            "host" => Some(Select::Host),
            "all" => Some(Select::All),
            _ => {
                let hint = did_you_mean(&text, ["host", "all"]);
                let text = format!("`select` is `{text}`, but must be `host` or `all`{hint}");
                self.report.add(node.position, text);
                None
            }
        }
    }
}
