//! Configurations of the CloudWatch agent, and what is made of them.

use super::*;
use crate::config::resolve;
use expect_test::expect;

const AGENT: &str = r#"{
  "agent": {"metrics_collection_interval": 60, "run_as_user": "cwagent", "region": "eu-west-1", "credentials": {"role_arn": "arn"}},
  "logs": {
    "log_stream_name": "{instance_id}-{local_hostname}", "force_flush_interval": 15,
    "logs_collected": {
      "files": {"collect_list": [
        {"file_path": "/var/log/messages", "log_group_name": "messages", "retention_in_days": 30, "timezone": "UTC", "timestamp_format": "%b %d %H:%M:%S", "multi_line_start_pattern": "{timestamp_format}"},
        {"file_path": "/var/log/app/*.log", "log_group_name": "/app/{hostname}/{ip_address}", "log_stream_name": "{instance_id}", "timestamp_format": "%Y-%m-%d %H:%M:%S,%f", "multi_line_start_pattern": "^\\S", "filters": [{"type": "include", "expression": "ERROR"}, {"type": "include", "expression": "disk"}, {"type": "exclude", "expression": "(?=a)"}], "auto_removal": true},
        {"file_path": "/opt/a.d/{x,y} z", "timestamp_format": "%d %Z", "encoding": "latin-1", "retention_in_days": -1, "blacklist": "gz$"},
        {"file_path": "relative.log"}
      ]},
      "windows_events": {"collect_list": []}
    }
  },
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
        dimensions = [["AutoScalingGroupName?", "InstanceId?", "cpu"], ["InstanceId"], ["AutoScalingGroupName"], []]
        high_resolution = true
        rename = { cpu_usage_user = "User" }
        include = { cpu = "^cpu" }

        [[publish.metric]]
        names = ["disk_used_percent"]
        dimensions = [["AutoScalingGroupName?", "InstanceId?", "path", "fstype"], ["InstanceId"], ["AutoScalingGroupName"], ["path"], []]
        include = { path = "^(/|/data\\.1)$" }
        exclude = { fstype = "^(tmpfs)$" }

        [[publish.metric]]
        names = ["mem_used_percent"]
        dimensions = [["AutoScalingGroupName?", "InstanceId?"], ["InstanceId"], ["AutoScalingGroupName"], []]

        [[logs.file]]
        paths = ["/var/log/messages"]
        group = "messages"
        stream = "${aws:InstanceId}-${hostname}"
        retention = "30d"
        timestamp_format = "%b %d %H:%M:%S"
        multi_line_start = "{timestamp}"

        [[logs.file]]
        paths = ["/var/log/app/*.log"]
        group = "/app/${hostname}/ip_address"
        stream = "${aws:InstanceId}"
        timestamp_format = "%Y-%m-%d %H:%M:%S,%f"
        timezone = "local"
        multi_line_start = "^\\S"
        include = ["ERROR"]

        [[logs.file]]
        paths = ["/opt/a.d/x z", "/opt/a.d/y z"]
        group = "/opt/a.d/_x_y__z"
        stream = "${aws:InstanceId}-${hostname}"
        multi_line_start = "^[\\S]"
    "##]].assert_eq(&imported.text);
    expect![[r#"
        `agent.credentials`
        the unit of `cpu_usage_user`
        the roll-ups of single cores: all cores together are rolled up alone
        the metric `mem_unheard_of`
        `metrics.metrics_collected.mem.append_dimensions`
        `metrics.metrics_collected.statsd`
        what `{ip_address}` stands for in `/app/{hostname}/{ip_address}`
        the pattern `(?=a)`: look-around is not supported
        that events of `/var/log/app/*.log` have to match `disk` as well
        that only the newest of the files at `/var/log/app/*.log` is sent: all are
        `logs.logs_collected.files.auto_removal`
        the time format `%d %Z`
        files that are left out of `/opt/a.d/{x,y} z` by "gz$"
        that only the newest of the files at `/opt/a.d/{x,y} z` is sent: all are
        the encoding `latin-1` of `/opt/a.d/{x,y} z`: it is read as UTF-8
        the files at `relative.log`
        `logs.logs_collected.windows_events`
    "#]]
    .assert_eq(&(imported.not_taken.join("\n") + "\n"));
    let (config, findings) = resolve("imported.toml", &imported.text);
    assert_eq!(findings, []);
    assert_eq!(config.publish.metrics.len(), 3);
}

const STANDARD: &str = r#"{
      "agent": {"metrics_collection_interval": 60, "run_as_user": "root"},
      "metrics": {
        "aggregation_dimensions": [["InstanceId"]],
        "append_dimensions": {"AutoScalingGroupName": "${aws:AutoScalingGroupName}", "ImageId": "${aws:ImageId}", "InstanceId": "${aws:InstanceId}", "InstanceType": "${aws:InstanceType}"},
        "metrics_collected": {
          "cpu": {"measurement": ["cpu_usage_idle", "cpu_usage_iowait"], "metrics_collection_interval": 60, "totalcpu": false, "drop_original_metrics": ["cpu_usage_iowait"], "resources": ["*"]},
          "disk": {"measurement": ["used_percent", "inodes_free"], "metrics_collection_interval": 60, "resources": ["/", "/dev/shm"]},
          "diskio": {"measurement": ["io_time"], "metrics_collection_interval": 60, "resources": ["*"]},
          "mem": {"measurement": ["mem_used_percent"], "metrics_collection_interval": 60},
          "net": {"measurement": ["bytes_sent"], "metrics_collection_interval": 120},
          "procstat": [{"exe": "nginx", "measurement": ["cpu_usage", "memory_rss"]}, {"pid_file": "/run/a.pid", "measurement": ["cpu_usage", "num_threads", "pid_count", "rlimit_cpu_time_hard"]}, {"exe": "mysqld", "measurement": ["cpu_usage"]}, {"pattern": "nginx", "measurement": ["cpu_usage"]}],
          "swap": {"measurement": ["swap_used_percent"], "metrics_collection_interval": 60}
        }
      }
    }"#;

/// What the agent's wizard writes at its level `standard` on EC2, and originals that are dropped one by one.
#[test]
fn what_the_agents_wizard_writes_is_taken() {
    let imported = cloudwatch_agent(STANDARD).unwrap();
    expect![[r##"
        # Made from a configuration of the CloudWatch agent.
        [publish]
        namespace = "CWAgent"

        [[publish.metric]]
        names = ["cpu_usage_idle"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "cpu"], ["InstanceId"]]

        [[publish.metric]]
        names = ["cpu_usage_iowait"]
        dimensions = [["InstanceId"]]

        [[publish.metric]]
        names = ["disk_used_percent", "disk_inodes_free"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "path", "device", "fstype"], ["InstanceId"]]
        include = { path = "^(/|/dev/shm)$" }

        [[publish.metric]]
        names = ["diskio_io_time"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "name"], ["InstanceId"]]
        include = { name = ".*" }

        [[publish.metric]]
        names = ["mem_used_percent"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?"], ["InstanceId"]]

        [[publish.metric]]
        names = ["net_bytes_sent"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "interface"], ["InstanceId"]]

        [[publish.metric]]
        names = ["procstat_memory_rss"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "exe", "process_name"], ["InstanceId"]]
        include = { exe = "^(nginx)$" }
        exclude = { pattern = ".*", pidfile = ".*" }

        [[publish.metric]]
        names = ["procstat_cpu_usage"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "exe", "pattern", "pidfile", "process_name"], ["InstanceId"]]

        [[publish.metric]]
        names = ["procstat_lookup_pid_count", "procstat_num_threads"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?", "pidfile", "process_name"], ["InstanceId"]]
        exclude = { exe = ".*", pattern = ".*" }

        [[publish.metric]]
        names = ["swap_used_percent"]
        dimensions = [["AutoScalingGroupName?", "ImageId?", "InstanceId?", "InstanceType?"], ["InstanceId"]]

        [collectors.diskstats]
        interval = "60s"

        [collectors.procstat]
        interval = "60s"

        [[collectors.procstat.group]]
        name = "nginx"
        exe = "nginx"

        [[collectors.procstat.group]]
        name = "/run/a.pid"
        pidfile = "/run/a.pid"

        [[collectors.procstat.group]]
        name = "mysqld"
        exe = "mysqld"

        [[collectors.procstat.group]]
        name = "nginx (pattern)"
        pattern = "nginx"
    "##]].assert_eq(&imported.text);
    expect![[r#"
        the roll-ups of single cores: all cores together are rolled up alone
        the file system at `/dev/shm`, which is none to store things in
        the interval of `netdev`, 120 s: at most a minute passes from one look to the next
        the metric `procstat_rlimit_cpu_time_hard`
    "#]]
    .assert_eq(&(imported.not_taken.join("\n") + "\n"));
    let (_, findings) = resolve("imported.toml", &imported.text);
    assert_eq!(findings, []);
}

#[test]
fn an_agent_that_collects_nothing_publishes_nothing() {
    let imported = cloudwatch_agent("{}").unwrap();
    let (config, findings) = resolve("imported.toml", &imported.text);
    assert_eq!((config.publish.metrics, findings), (vec![], vec![]));
    assert!(cloudwatch_agent("[]").is_err() && cloudwatch_agent("{").is_err());
}
