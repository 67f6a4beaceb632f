//! What the project gives people to copy has to work as it stands.

use std::fs;

use cwbridge::config;
use cwbridge::definition::{BUILT_IN, parse};

use crate::world::root;

#[test]
fn the_example_configuration_is_accepted() {
    let text = fs::read_to_string(root().join("config/cwbridge.toml")).unwrap();
    assert_eq!(config::resolve("cwbridge.toml", &text).1, []);
}

/// Every key stands in the example, commented out or not: what it shows with the comment signs removed is accepted too.
#[test]
fn the_example_shows_every_key() {
    let text = fs::read_to_string(root().join("config/cwbridge.toml")).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let (config, findings) = config::resolve("cwbridge.toml", &uncommented);
    assert_eq!(findings, []);
    assert_ne!(config, config::resolve("cwbridge.toml", "").0);
    let keys = [
        "alarms",
        "listen",
        "namespace",
        "region",
        "endpoint_url",
        "dimensions",
        "detailed_monitoring",
        "names",
        "high_resolution",
        "interval",
        "only",
        "procfs",
        "sysfs",
        "rootfs",
        "enabled",
        "include",
        "directory",
        "rename",
        "exclude",
        "select",
        "name_prefix",
        "search_interval",
        "transitions",
        "format",
        "daemon_log",
        "retention",
        "tags",
        "paths",
        "exclude_paths",
        "stream",
        "timestamp_format",
        "timezone",
        "multi_line_start",
        "start_at",
        "units",
        "priority",
    ];
    for key in keys {
        assert!(
            uncommented
                .lines()
                .any(|line| line.starts_with(&format!("{key} = "))),
            "`{key}` is not shown"
        );
    }
}

#[test]
fn the_alarms_of_the_example_are_sound() {
    let parsed = parse("alarms.json", BUILT_IN);
    assert_eq!((parsed.alarms.len(), parsed.findings), (1, vec![]));
}

#[test]
fn the_service_starts_the_program_as_it_takes_arguments() {
    let unit = fs::read_to_string(root().join("deploy/cwbridge.service")).unwrap();
    assert!(
        unit.lines()
            .any(|line| line == "ExecStart=/usr/local/bin/cwbridge run")
    );
}
