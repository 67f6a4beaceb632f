//! What the CloudWatch agent has, too.

use super::*;

/// Of what the CloudWatch agent publishes beside this host, other statistics are of other samples.
#[test]
fn of_the_agents_metrics_only_what_agrees_is_told() {
    let alarm = |name: &str, statistic: &str| {
        let text = format!(
            r#"{{"AlarmName": "a", "Namespace": "CWAgent", "MetricName": "{name}", "Dimensions": [{{"Name": "InstanceId", "Value": "i-1"}}],
            "Statistic": "{statistic}", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold"}}"#
        );
        parse("a", &text).alarms.remove(0).alarm
    };
    let names =
        "\nnames = [\"mem_used_percent\", \"net_bytes_recv\"]\ndimensions = [[\"InstanceId\"]]";
    let of_the_agent = "[[publish.metric]]\nnames = []".to_owned();
    let of_this_host = format!("[publish]\nnamespace = \"CWAgent\"\n[[publish.metric]]{names}");
    for (config, is_own) in [(of_the_agent, false), (of_this_host, true)] {
        let mut sources = sources(&config, Some("i-1"));
        for (name, statistic, agrees) in [
            ("mem_used_percent", "Average", true),
            ("mem_used_percent", "Maximum", false),
            ("mem_used_percent", "Sum", false),
            ("net_bytes_recv", "Sum", true),
            ("net_bytes_recv", "Average", false),
        ] {
            let not_here = sources
                .mirror(vec![alarm(name, statistic)])
                .remove(0)
                .not_here;
            assert_eq!(not_here.is_none(), agrees || is_own, "{name} {statistic}");
        }
    }
}

/// Alarms on the CloudWatch agent's metrics are judged from the same samples, if they are about this host.
#[test]
fn the_agents_metrics_are_sampled_once_an_alarm_is_on_them() {
    let alarm = |name: &str, dimensions: &str| {
        let text = format!(
            r#"{{"AlarmName": "a", "Namespace": "CWAgent", "MetricName": "{name}", "Dimensions": [{dimensions}],
            "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold"}}"#
        );
        parse("a", &text).alarms.remove(0).alarm
    };
    let dimension =
        |name: &str, value: &str| format!(r#"{{"Name": "{name}", "Value": "{value}"}}"#);
    let here = dimension("InstanceId", "i-1");
    let path = dimension("path", "/data");
    let mut sources = sources("[[publish.metric]]\nnames = []", Some("i-1"));
    let mut reason = |alarm| sources.mirror(vec![alarm]).remove(0).not_here;
    assert_eq!(
        reason(alarm("disk_used_percent", &[&*here, &path].join(","))),
        None
    );
    assert_eq!(reason(alarm("mem_used_percent", &here)), None);
    expect!["this host has no metric `CWAgent mem_used_percent {InstanceId=i-2}`; it has `CWAgent mem_used_percent {InstanceId=i-1}`"]
        .assert_eq(&reason(alarm("mem_used_percent", &dimension("InstanceId", "i-2"))).unwrap());
    expect!["this host has no metric `CWAgent mem_used_percent`; it has `CWAgent mem_used_percent {InstanceId=i-1}`"]
        .assert_eq(&reason(alarm("mem_used_percent", "")).unwrap());
    expect!["the collector `processes` is switched off, which sees `processes_total`"]
        .assert_eq(&reason(alarm("processes_total", &here)).unwrap());
    let samples = sources.reading(&look(0, None)).samples;
    let seen: Vec<String> = samples
        .iter()
        .map(|s| format!("{} {:?}", s.metric, s.content))
        .collect();
    assert_eq!(
        seen,
        [
            "CWAgent disk_used_percent {InstanceId=i-1, path=/data} Value(20.0)",
            "CWAgent mem_used_percent {InstanceId=i-1} Value(43.75)",
        ]
    );
}

#[test]
fn all_cores_together_are_one_of_them_for_who_asks() {
    for (pattern, expected) in [
        ("^cpu-total$", "cpu-total"),
        ("^cpu", "cpu-total cpu0 cpu2"),
        ("^cpu[02]$", "cpu0 cpu2"),
    ] {
        let config = format!(
            "[[publish.metric]]\nnames = [\"CPUUtilization\"]\ndimensions = [[\"cpu\"]]\ninclude = {{ cpu = \"{pattern}\" }}"
        );
        let samples = sources(&config, None).reading(&look(0, Some(5.0))).samples;
        let cpus = samples
            .iter()
            .map(|of| of.metric.dimensions()[0].value.as_str());
        assert_eq!(cpus.collect::<Vec<_>>().join(" "), expected);
    }
}

/// A partition, or the loopback device.
#[test]
fn what_node_exporter_leaves_out_is_for_who_asks_for_it() {
    let seen = |config: &str| {
        let mut sources = sources(config, None);
        let mut values = disks(10.0, 20.0);
        values[1].is_minor = true;
        let look = look_of(0, values);
        sources.reading(&look).samples.len()
    };
    let config = "[[publish.metric]]\nnames = [\"disk_used_percent\"]\ndimensions = [[\"path\"]]\n";
    assert_eq!(seen(config), 1);
    assert_eq!(
        seen(&format!("{config}include = {{ path = \"^/data$\" }}")),
        1
    );
    assert_eq!(seen(&format!("{config}include = {{ path = \"^/\" }}")), 2);
    assert_eq!(seen(&format!("{config}exclude = {{ path = \"^/$\" }}")), 0);
}

#[test]
fn a_group_of_processes_is_known_by_what_finds_it() {
    let config = "[[publish.metric]]\nnames = [\"procstat_cpu_usage\"]\n";
    check(
        config,
        None,
        expect![[r#"
        warning: `procstat_cpu_usage` is not published: no `[[collectors.procstat.group]]` says of which processes
    "#]],
    );
    let config = format!("{config}[[collectors.procstat.group]]\nexe = \"nginx\"\n");
    let mut sources = sources(&config, None);
    let look = look_of(
        0,
        vec![Value {
            name: "procstat_cpu_usage",
            unit: "Percent",
            labels: crate::family::labels(
                [("exe", "nginx"), ("process_name", "nginx")]
                    .map(|(name, value)| (name, value.to_owned())),
            ),
            value: 7.0,
            is_minor: false,
        }],
    );
    let reading = sources.reading(&look);
    let metric = &reading.samples[0].metric;
    assert_eq!(
        metric.to_string(),
        "CWBridge procstat_cpu_usage {exe=nginx, host=web-1, process_name=nginx}"
    );
    for (dimensions, is_there) in [
        (&["host", "exe", "process_name"][..], true),
        (&["host", "exe"], false),
        (&["host", "process_name"], false),
        (&["host"], false),
        (&["host", "exe", "pattern", "process_name"], false),
    ] {
        let value = |name: &&str| match *name {
            "host" => Dimension::new("host", "web-1"),
            name => Dimension::new(name, "nginx"),
        };
        let dimensions: Vec<Dimension> = dimensions.iter().map(value).collect();
        let metric = Metric::new("CWBridge", "procstat_cpu_usage", dimensions);
        assert_eq!(sources.has(&metric), is_there, "{metric}");
    }
    let datapoint = Pipeline::default().advance(&reading).datapoints;
    assert!(datapoint.is_empty());
    let open = Datapoint {
        metric: Arc::clone(metric),
        unit: crate::metric::Unit::PERCENT,
        resolution: Resolution::Standard,
        start: Timestamp::from_seconds(0),
        statistics: crate::metric::StatisticSet::of(7.0, 1.0),
        values: None,
    };
    assert!(sources.is_published(&open));
}
