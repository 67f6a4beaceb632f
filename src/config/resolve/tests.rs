use super::super::{Mirror, Select};
use super::*;
use expect_test::{Expect, expect};

#[track_caller]
fn check(text: &str, expected: Expect) {
    let (_, findings) = resolve("cwbridge.toml", text);
    expected.assert_eq(
        &findings
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect::<String>(),
    );
}

fn sound(text: &str) -> Config {
    let (config, findings) = resolve("cwbridge.toml", text);
    assert_eq!(findings, []);
    config
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = sound("");
    assert_eq!(config.mirror, None);
    assert_eq!(config.alarms, None);
    assert_eq!(config.listen.to_string(), "127.0.0.1:10106");
    assert_eq!(
        (config.publish.namespace.as_str(), config.publish.region),
        ("CWBridge", None)
    );
    assert_eq!(config.publish.metrics[0].names, ["CPUUtilization"]);
    assert!(config.collectors.has("meminfo") && !config.collectors.has("processes"));
}

#[test]
fn everything_can_be_set() {
    let text = r#"
            alarms = ["alarms.json", "more/*.json"]
            [serve]
            listen = "[::1]:9000"
            [publish]
            namespace = "Mine"
            region = "us-gov-west-1"
            endpoint_url = "http://127.0.0.1:4566"
            dimensions = { Team = "a" }
            detailed_monitoring = true
            [[publish.metric]]
            names = ["CPUUtilization"]
            dimensions = [["InstanceId"], ["host", "cpu"], []]
            high_resolution = true
            [journal]
            dir = "/var/lib/mine"
            max_age = "3d"
            max_size = "64MiB"
            [collectors]
            interval = "30s"
            only = ["cpu", "diskstats"]
            procfs = "/host/proc"
            [collectors.diskstats]
            enabled = false
            [collectors.processes]
            enabled = true
            interval = "20s"
            include = { state = "^[DZ]$" }
            exclude = { state = "^Z" }
            [mirror]
            select = "host"
            name_prefix = "web-"
            interval = "1m"
            search_interval = "30m"
        "#;
    let config = sound(text);
    assert_eq!(config.alarms.unwrap().len(), 2);
    assert_eq!(config.listen.port(), 9000);
    assert_eq!(
        config.publish.dimensions,
        [("Team".to_owned(), "a".to_owned())]
    );
    assert!(config.publish.detailed_monitoring && config.publish.metrics[0].high_resolution);
    assert_eq!(
        config.publish.metrics[0].dimensions.as_ref().unwrap().len(),
        3
    );
    let names = config.collectors.enabled.iter().map(|of| of.name);
    assert_eq!(names.collect::<Vec<_>>(), ["cpu", "processes"]);
    let processes = &config.collectors.enabled[1];
    assert_eq!(processes.interval, Duration::from_secs(20));
    let state = |pattern: &str| vec![("state".to_owned(), pattern.to_owned())];
    assert_eq!(
        (&processes.include, &processes.exclude),
        (&state("^[DZ]$"), &state("^Z"))
    );
    assert_eq!(config.collectors.roots.procfs, "/host/proc");
    assert_eq!(
        config.journal,
        Journal {
            dir: Some("/var/lib/mine".to_owned()),
            max_age: Duration::from_hours(72),
            max_size: 64 << 20,
        }
    );
    let mirror = Mirror {
        select: Select::Host,
        name_prefix: Some("web-".to_owned()),
        interval: Duration::from_mins(1),
        search_interval: Duration::from_mins(30),
    };
    assert_eq!(config.mirror, Some(mirror));
}

#[test]
fn a_prefix_alone_selects_whatever_begins_so() {
    let select = |text| sound(text).mirror.unwrap().select;
    assert_eq!(select("[mirror]"), Select::Host);
    assert_eq!(select("[mirror]\nname_prefix = \"a\""), Select::All);
}

#[test]
fn groups_of_processes_are_read() {
    let text = r#"
[[collectors.procstat.group]]
name = "web"
unit = "nginx.service"
[[collectors.procstat.group]]
exe = "^java$"
"#;
    let (config, findings) = resolve("c.toml", text);
    assert_eq!(findings, []);
    let collectors = config.collectors.enabled.iter();
    let groups = collectors.flat_map(|collector| &collector.groups);
    let told = groups.map(|group| (&*group.name, group.by, &*group.of));
    let expected = [
        ("web", "unit", "nginx.service"),
        ("^java$", "exe", "^java$"),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let wrong = r#"
[[collectors.procstat.group]]
name = "web"
[[collectors.procstat.group]]
exe = "("
unti = "a"
[[collectors.procstat.group]]
name = "a"
unit = "a"
pidfile = "b"
[[publish.metric]]
names = ["procstat_cpu_usage"]
"#;
    let (_, findings) = resolve("c.toml", wrong);
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    expect![[r#"
        c.toml:2:1: `[[collectors.procstat.group]]` must have one of `exe`, `pattern`, `pidfile` or `unit`
        c.toml:5:7: `exe` is `(`, which is no regular expression: found open group without closing ')'
        c.toml:6:1: `[[collectors.procstat.group]]` has no key `unti`; did you mean `unit`?
        c.toml:7:1: `[[collectors.procstat.group]]` must have one of `exe`, `pattern`, `pidfile` or `unit`
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
    let (_, findings) = resolve(
        "c.toml",
        "[[publish.metric]]\nnames = [\"procstat_cpu_usage\"]\n",
    );
    assert_eq!(findings, [], "it is said when it is not published");
}

#[test]
fn every_mistake_is_found_at_once() {
    let text = r#"alarm = ["a.json"]
[serve]
listen = "localhost"
[publish]
namespace = "AWS/EC2"
region = "US East"
endpoint_url = "127.0.0.1:4566"
dimensions = { Team = 5 }
detailed_monitoring = "yes"
[[publish.metric]]
names = ["CPUUtilisation"]
dimensions = [["InstanceID"], "host", ["host", "host"]]
[[publish.metric]]
[collectors]
interval = "5m"
only = ["cpus"]
[collectors.filesystems]
[collectors.filesystem]
enable = true
exclude = { mountpoint = "(" }
[journal]
max_age = "1m"
max_size = "2 parsecs"
max_sise = "1GB"
[mirror]
select = "hosts"
name_prefix = ""
interval = "1s"
search_interval = "1m"
names = "a"
"#;
    check(
        text,
        expect![[r#"
            cwbridge.toml:1:1: the configuration has no key `alarm`; did you mean `alarms`?
            cwbridge.toml:3:10: `listen` is `localhost`, but must be an address and port, such as `127.0.0.1:10106`
            cwbridge.toml:5:13: namespace `AWS/EC2` starts with `AWS/`, which CloudWatch keeps for AWS services
            cwbridge.toml:6:10: region `US East` is malformed; a region is named like `us-east-1`
            cwbridge.toml:7:16: `endpoint_url` is `127.0.0.1:4566`, but must begin with `http://` or `https://` and name a host
            cwbridge.toml:8:23: `Team` is the number 5, but must be a string
            cwbridge.toml:9:23: `detailed_monitoring` is the string "yes", but must be `true` or `false`
            cwbridge.toml:11:10: `names` names `CPUUtilisation`, which is no metric of a host; did you mean `CPUUtilization`?
            cwbridge.toml:12:16: `dimensions` names `InstanceID`, but only `InstanceId`, `host`, `AutoScalingGroupName`, `ImageId` or `InstanceType` can stand here; did you mean `InstanceId`?
            cwbridge.toml:12:31: `dimensions` is the string "host", but must be a list
            cwbridge.toml:12:39: `dimensions` names `host` twice
            cwbridge.toml:13:1: `[[publish.metric]]` has no `names`
            cwbridge.toml:15:12: `interval` is `5m`, but must be from 1s to 1m
            cwbridge.toml:16:9: `only` names `cpus`, but only `cgroup`, `conntrack`, `cpu`, `diskstats`, `entropy`, `filefd`, `filesystem`, `loadavg`, `meminfo`, `netclass`, `netdev`, `netstat`, `os`, `pressure`, `processes`, `procstat`, `sockstat`, `tcpstat`, `textfile`, `time`, `uname` or `vmstat` can stand here; did you mean `cpu`?
            cwbridge.toml:17:13: `[collectors]` has no key `filesystems`; did you mean `filesystem`?
            cwbridge.toml:19:1: `[collectors.filesystem]` has no key `enable`; did you mean `enabled`?
            cwbridge.toml:20:26: `mountpoint` is `(`, which is no regular expression: found open group without closing ')'
            cwbridge.toml:22:11: `max_age` is `1m`, but must be from 1h to 10years
            cwbridge.toml:23:12: `max_size` is `2 parsecs`, but must be a size of at least 10MB, such as `512MB` or `2GB`
            cwbridge.toml:24:1: `[journal]` has no key `max_sise`; did you mean `max_size`?
            cwbridge.toml:26:10: `select` is `hosts`, but must be `host` or `all`; did you mean `host`?
            cwbridge.toml:27:15: `name_prefix` must have 1 to 255 characters
            cwbridge.toml:28:12: `interval` is `1s`, but must be from 10s to 1day
            cwbridge.toml:29:19: `search_interval` must not be shorter than `interval`
            cwbridge.toml:30:1: `[mirror]` has no key `names`; did you mean `name_prefix`?
        "#]],
    );
}

#[test]
fn a_duration_is_written_as_people_write_them() {
    check(
        "[collectors]\ninterval = 10",
        expect![[r#"
            cwbridge.toml:2:12: `interval` is the number 10, but must be a string
        "#]],
    );
    check(
        "[collectors]\ninterval = \"ten\"",
        expect![[r#"
            cwbridge.toml:2:12: `interval` is `ten`, but must be from 1s to 1m, such as `10s`: expected number at 0
        "#]],
    );
}

#[test]
fn syntax_errors_do_not_hide_the_rest() {
    check(
        "[serve]\nlisten = \n[publish]\nregion = \"x\"",
        expect![[r#"
                cwbridge.toml:2:10: string values must be quoted, expected literal string
                cwbridge.toml:4:10: region `x` is malformed; a region is named like `us-east-1`
            "#]],
    );
}

#[test]
fn regions_are_checked_by_their_form() {
    for region in [
        "us-east-1",
        "us-gov-west-1",
        "ap-southeast-4",
        "eusc-de-east-1",
    ] {
        assert_eq!(check_region(region), Ok(()));
    }
    for region in [
        "",
        "us-east-1 ",
        "useast1",
        "us-east-1a",
        "us--1",
        "US-EAST-1",
        "us-east-",
    ] {
        assert!(check_region(region).is_err(), "{region}");
    }
}

#[test]
fn those_who_are_told_have_what_they_need() {
    let config = sound(
        "[mirror]\n[[notify]]\nsns = \"arn:aws:sns:eu-west-1:1:a\"\nwhen = \"ahead\"\n[[notify]]\nalertmanager = \"http://am\"\nwhen = \"always\"\n[[notify]]\nwebhook = \"${env:URL}\"\nwhen = \"unreachable\"\nkey = \"${file:hook.key}\"\nstates = [\"ALARM\"]\ndelay_up = \"1m\"\nrepeat = \"4h\"\n[events]\nfile = \"events.jsonl\"\neventbridge = \"default\"",
    );
    let names: Vec<&str> = config.notify.iter().map(|it| &*it.name).collect();
    let expected = [
        "sns",
        "alertmanager",
        "webhook",
        "events.file",
        "events.eventbridge",
    ];
    assert_eq!(names, expected);
    let [sns, alertmanager, webhook, ..] = &config.notify[..] else {
        unreachable!("there are five");
    };
    assert_eq!(sns.states, ["ALARM", "OK"]);
    assert_eq!(sns.certainties, ["determined"]);
    assert_eq!(alertmanager.states.len(), 3);
    assert_eq!(alertmanager.repeat, Some(Duration::from_mins(1)));
    assert_eq!(
        (webhook.repeat_max, webhook.delay_up),
        (10, Duration::from_mins(1))
    );
}

#[test]
fn whoever_cannot_be_told_is_told_why() {
    check(
        r#"
[[notify]]
when = "always"
[[notify]]
sns = "arn:aws:sns:eu-west-1:1"
lambda = "f"
when = "always"
[[notify]]
name = "a"
lambda = "arn:aws:sns:eu-west-1:1:function:f"
when = "sometimes"
states = ["ALARM", "FINE"]
[[notify]]
name = "a"
webhook = "ftp://x"
key = "secret"
headers = { Authorization = "Bearer x", "a b" = "c" }
shape = "snss"
certainty = []
when = "ahead"
[[notify]]
command = ["page"]
labels = { a = "b" }
repeat = "1s"
[[notify]]
name = "b"
webhook = "https://me:pass@host/x${secret:y}"
alarms = 5
when = "always"
[events]
source = "aws.mine"
"#,
        expect![[r#"
            cwbridge.toml:2:1: `[[notify]]` must have one of `sns`, `lambda`, `webhook`, `alertmanager`, `command` or `journald`, and has none
            cwbridge.toml:4:1: `[[notify]]` must have one of `sns`, `lambda`, `webhook`, `alertmanager`, `command` or `journald`, and has `sns` and `lambda`
            cwbridge.toml:10:10: `lambda` is `arn:aws:sns:eu-west-1:1:function:f`, but must be an ARN such as `arn:aws:lambda:eu-west-1:123456789012:function:page`
            cwbridge.toml:11:8: `when` is `sometimes`, but must be `always`, `ahead` or `unreachable`: CloudWatch has actions of its own
            cwbridge.toml:12:20: `states` names `FINE`, but only `ALARM`, `INSUFFICIENT_DATA` or `OK` can stand here
            cwbridge.toml:13:1: two `[[notify]]` are called `a`; `name` tells them apart
            cwbridge.toml:15:11: `webhook` must be an address that begins with `http://` or `https://` and names a host
            cwbridge.toml:16:7: `key` must be `${file:PATH}` or `${env:NAME}`, so that the key itself does not stand here
            cwbridge.toml:17:29: the header `Authorization` is a secret: `${file:PATH}` or `${env:NAME}` must stand for it
            cwbridge.toml:17:41: `a b` is no name of a header
            cwbridge.toml:18:9: `shape` is `snss`, but must be `sns` or `eventbridge`; did you mean `sns`?
            cwbridge.toml:19:13: `certainty` must name at least one of `history_incomplete`, `undetermined`, `depends_on_range`, `near_threshold`, `measured_in_guest` or `determined`
            cwbridge.toml:20:8: `when` is `ahead`, but without `[mirror]` it is not known what CloudWatch has found
            cwbridge.toml:21:1: `when` is not set, but must be `always`, `ahead` or `unreachable`: CloudWatch has actions of its own
            cwbridge.toml:22:11: `command` must be a list whose first element is the path of a program, such as `["/usr/local/bin/page", "--now"]`; there is no shell
            cwbridge.toml:23:10: `labels` goes with `alertmanager`, not with `command`
            cwbridge.toml:24:10: `repeat` is `1s`, but must be from 1m to 7days
            cwbridge.toml:27:11: `webhook` has `${secret:y}`, but only `${env:NAME}` and `${file:PATH}` can stand here
            cwbridge.toml:28:10: `alarms` is the number 5, but must be a list
            cwbridge.toml:30:1: `source` is `aws.mine`, but EventBridge keeps what begins with `aws.` for AWS services
        "#]],
    );
}

#[test]
fn what_goes_to_cloudwatch_logs_is_read() {
    let (config, findings) = resolve(
        "c.toml",
        "[logs]\ngroup = \"/cwbridge/${hostname}\"\nretention = \"30d\"\ntags = { Team = \"ops\" }\nformat = \"emf\"\n[[logs.file]]\npaths = [\"/var/log/*.log\"]\ntimestamp_format = \"%b %d %H:%M:%S\"\nmulti_line_start = \"{timestamp}\"\n[[logs.journald]]\ngroup = \"/j\"\nunits = [\"nginx.service\"]\nretention = \"1d\"\n",
    );
    assert_eq!(findings, []);
    let record = config.logs.record.as_ref().unwrap();
    assert!(record.transitions && !record.daemon_log);
    assert_eq!(record.target.stream, "${hostname}");
    let file = &config.logs.files[0];
    assert_eq!(file.target.group, "/cwbridge/${hostname}", "that of all");
    assert_eq!(file.target.stream, "${hostname}/${file}");
    assert_eq!(
        (file.target.retention, file.target.tags.len()),
        (Some(30), 1)
    );
    let journal = &config.logs.journals[0];
    assert_eq!(
        (&*journal.target.group, journal.target.retention),
        ("/j", Some(1))
    );
}

#[test]
fn mistakes_about_cloudwatch_logs_are_told_all_at_once() {
    let (_, findings) = resolve(
        "c.toml",
        "[logs]\nretention = \"31d\"\nformat = \"xml\"\ndaemon_log = true\nlines = 1\n[[logs.file]]\ngroup = \"a b\"\nstream = \"a:b\"\npaths = [\"app.log\", \"/a[\"]\nmulti_line_start = \"{timestamp}\"\ninclude = [\"(\"]\ntimezone = \"Europe/Nowhere\"\n[[logs.file]]\ngroup = \"/a\"\ntimestamp_format = \"%Q%\"\nstart_at = \"middle\"\n[[logs.journald]]\npriority = \"warn\"\n",
    );
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    expect![[r#"
        c.toml:1:1: `[logs]` must have a `group`, to which state changes are written
        c.toml:2:13: `retention`: it is `31d`, and CloudWatch Logs keeps events for one of 1d, 3d, 5d, 7d, 14d, 30d, 60d, 90d, 120d, 150d, 180d, 365d, 400d, 545d, 731d, 1096d, 1827d, 2192d, 2557d, 2922d, 3288d, 3653d
        c.toml:3:10: `format` is `xml`, but must be `json`, `emf` or `text`
        c.toml:5:1: `[logs]` has no key `lines`
        c.toml:7:9: `group` is `a b`, but must have 1 to 512 letters, digits and `_-/.#`
        c.toml:8:10: `stream` is `a:b`, but must have 1 to 512 characters, and neither `:` nor `*`
        c.toml:9:10: `paths` has `app.log`, but must have absolute paths
        c.toml:9:21: `paths` has `/a[`, which is no glob: invalid range pattern
        c.toml:10:20: `multi_line_start` is `{timestamp}`, which needs a `timestamp_format`
        c.toml:11:12: `include` has `(`, which is no regular expression: found open group without closing ')'
        c.toml:12:12: `timezone` is `Europe/Nowhere`, but must be `UTC`, `local` or one like `Europe/Berlin`: failed to find time zone `Europe/Nowhere` in time zone database
        c.toml:13:1: `[[logs.file]]` must have `paths`, such as `["/var/log/app/*.log"]`
        c.toml:15:20: `timestamp_format` is `%Q%`, which cannot be read: strftime formatting failed: invalid format string, expected byte after `%`, but found end of format string
        c.toml:16:12: `start_at` is `middle`, but must be `beginning` or `end`
        c.toml:17:1: `[[logs.journald]]` must have a `group`, or `[logs]` one for all
        c.toml:18:12: `priority` names `warn`, but only `debug`, `info`, `notice`, `warning`, `err`, `crit`, `alert` or `emerg` can stand here; did you mean `warning`?"#]].assert_eq(&told.join("\n"));
}

#[test]
fn what_groups_and_times_cannot_be_is_told() {
    let key = "k".repeat(129);
    let text = format!(
        "[logs]\ngroup = \"/a\"\n[logs.tags]\n\"aws:x\" = \"1\"\n{key} = \"2\"\nTeam = \"ops, and others\"\nCost-Center = \"Köln 7\"\n[[logs.file]]\npaths = [\"/b\"]\ntimestamp_format = \"%H:%M:%S\"\n[[logs.file]]\npaths = [\"/b\"]\ntimestamp_format = \"%b %d %H:%M:%S\"\n[[logs.file]]\npaths = [\"/b\"]\ntimestamp_format = \"%s\"\n[[logs.journald]]\nunits = [\"a\"]\n[[logs.journald]]\nunits = [\"b\"]\n[[logs.journald]]\nunits = [\"a\"]\ninclude = [\"x\"]\n"
    );
    let (_, findings) = resolve("c.toml", &text);
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    expect![[r#"
        c.toml:4:1: `tags` has `aws:x`: what begins with `aws:` is AWS's own
        c.toml:5:1: `tags` has `kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk`: its name has 129 characters, but must have 1 to 128
        c.toml:6:1: `tags` has `Team`: only letters, digits, spaces and `_.:/=+-@` can stand in a tag
        c.toml:10:20: `timestamp_format` is `%H:%M:%S`, which cannot be read: date required to parse datetime: a month/day, day-of-year or week date must be present to create a date, but none were found
        c.toml:21:1: `[[logs.journald]]` sends the same units and priority to the same stream as another one; give it a `stream` of its own, or one section for both"#]].assert_eq(&told.join("\n"));
}

/// Tags are asked for only where something is known by them.
#[test]
fn names_of_logs_may_want_tags() {
    let wants_tags = |stream: &str| {
        let text =
            format!("[[logs.file]]\npaths = [\"/a\"]\ngroup = \"g\"\nstream = \"{stream}\"\n");
        resolve("test", &text).0.wants_tags()
    };
    assert!(wants_tags("${tag:Team}/x") && wants_tags("${aws:AutoScalingGroupName}"));
    assert!(!wants_tags("${aws:InstanceId}/${file}"));
}
