//! The usual metrics of AWS's own services: which dimensions they come with, in which unit, how often, and whether they come
//! when nothing happens.
//!
//! From the services' pages on their CloudWatch metrics. What is not listed is not known, and not judged.

use crate::metric::Metric;

/// When there are datapoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As long as the resource is there: silence means trouble.
    Continuous,
    /// Only when something happens: silence means nothing.
    Sparse,
}

/// Metrics of one namespace that are alike.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) namespace: &'static str,
    pub(super) names: &'static [&'static str],
    /// The sets of dimensions that they come with; none where anything goes.
    pub(super) dimensions: &'static [&'static [&'static str]],
    pub(super) unit: &'static str,
    /// How far datapoints are apart, in seconds.
    pub(super) period: u32,
    pub(super) kind: Kind,
    /// The least and the most that a sample can be.
    pub(super) bounds: (f64, f64),
}

const ANY: (f64, f64) = (0.0, f64::INFINITY);
const PERCENT: (f64, f64) = (0.0, 100.0);

const EC2: &[&[&str]] = &[
    &["InstanceId"],
    &["AutoScalingGroupName"],
    &["InstanceType"],
    &["ImageId"],
    &[],
];
const VOLUME: &[&[&str]] = &[&["VolumeId"], &["InstanceId", "VolumeId"]];
const CLASSIC: &[&[&str]] = &[
    &["LoadBalancerName"],
    &["AvailabilityZone"],
    &["AvailabilityZone", "LoadBalancerName"],
    &["Service"],
    &[],
];
const BALANCER: &[&[&str]] = &[
    &["LoadBalancer"],
    &["AvailabilityZone", "LoadBalancer"],
    &["LoadBalancer", "TargetGroup"],
    &["AvailabilityZone", "LoadBalancer", "TargetGroup"],
    &["TargetGroup"],
];
const TARGETS: &[&[&str]] = &[
    &["LoadBalancer", "TargetGroup"],
    &["AvailabilityZone", "LoadBalancer", "TargetGroup"],
];
const DATABASE: &[&[&str]] = &[
    &["DBInstanceIdentifier"],
    &["DBClusterIdentifier"],
    &["DBClusterIdentifier", "Role"],
    &["DatabaseClass"],
    &["EngineName"],
    &[],
];
const FUNCTION: &[&[&str]] = &[
    &["FunctionName"],
    &["FunctionName", "Resource"],
    &["ExecutedVersion", "FunctionName", "Resource"],
    &[],
];
const TABLE: &[&[&str]] = &[&["TableName"], &["GlobalSecondaryIndexName", "TableName"]];
const OPERATION: &[&[&str]] = &[&["Operation", "TableName"]];

/// Samples of nothing but counts are 0 or more; percentages end at 100.
pub(super) const CATALOGUE: &[Entry] = &[
    entry(
        "AWS/EC2",
        &["CPUUtilization"],
        EC2,
        "Percent",
        300,
        Kind::Continuous,
        PERCENT,
    ),
    entry(
        "AWS/EC2",
        &[
            "DiskReadOps",
            "DiskWriteOps",
            "NetworkPacketsIn",
            "NetworkPacketsOut",
            "EBSReadOps",
            "EBSWriteOps",
            "MetadataNoToken",
        ],
        EC2,
        "Count",
        300,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/EC2",
        &[
            "DiskReadBytes",
            "DiskWriteBytes",
            "NetworkIn",
            "NetworkOut",
            "EBSReadBytes",
            "EBSWriteBytes",
        ],
        EC2,
        "Bytes",
        300,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/EC2",
        &[
            "CPUCreditUsage",
            "CPUCreditBalance",
            "CPUSurplusCreditBalance",
            "CPUSurplusCreditsCharged",
        ],
        EC2,
        "Count",
        300,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/EC2",
        &["EBSIOBalance%", "EBSByteBalance%"],
        EC2,
        "Percent",
        300,
        Kind::Continuous,
        PERCENT,
    ),
    entry(
        "AWS/EC2",
        &[
            "StatusCheckFailed",
            "StatusCheckFailed_Instance",
            "StatusCheckFailed_System",
            "StatusCheckFailed_AttachedEBS",
        ],
        EC2,
        "Count",
        60,
        Kind::Continuous,
        (0.0, 1.0),
    ),
    entry(
        "AWS/EBS",
        &["VolumeReadBytes", "VolumeWriteBytes"],
        VOLUME,
        "Bytes",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/EBS",
        &["VolumeReadOps", "VolumeWriteOps", "VolumeQueueLength"],
        VOLUME,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/EBS",
        &[
            "VolumeTotalReadTime",
            "VolumeTotalWriteTime",
            "VolumeIdleTime",
        ],
        VOLUME,
        "Seconds",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/EBS",
        &["BurstBalance"],
        VOLUME,
        "Percent",
        300,
        Kind::Sparse,
        PERCENT,
    ),
    entry(
        "AWS/ELB",
        &[
            "RequestCount",
            "HTTPCode_Backend_2XX",
            "HTTPCode_Backend_3XX",
            "HTTPCode_Backend_4XX",
            "HTTPCode_Backend_5XX",
            "HTTPCode_ELB_4XX",
            "HTTPCode_ELB_5XX",
            "BackendConnectionErrors",
            "SpilloverCount",
        ],
        CLASSIC,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/ELB",
        &["Latency"],
        CLASSIC,
        "Seconds",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/ELB",
        &["HealthyHostCount", "UnHealthyHostCount", "SurgeQueueLength"],
        CLASSIC,
        "Count",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/ApplicationELB",
        &["HealthyHostCount", "UnHealthyHostCount"],
        TARGETS,
        "Count",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/ApplicationELB",
        &[
            "ActiveConnectionCount",
            "HTTPCode_ELB_3XX_Count",
            "HTTPCode_ELB_4XX_Count",
            "HTTPCode_ELB_5XX_Count",
            "HTTPCode_Target_2XX_Count",
            "HTTPCode_Target_3XX_Count",
            "HTTPCode_Target_4XX_Count",
            "HTTPCode_Target_5XX_Count",
            "NewConnectionCount",
            "RejectedConnectionCount",
            "RequestCount",
            "RequestCountPerTarget",
            "TargetConnectionErrorCount",
        ],
        BALANCER,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/ApplicationELB",
        &["TargetResponseTime"],
        BALANCER,
        "Seconds",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/ApplicationELB",
        &["ProcessedBytes"],
        BALANCER,
        "Bytes",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/NetworkELB",
        &["HealthyHostCount", "UnHealthyHostCount"],
        TARGETS,
        "Count",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/NetworkELB",
        &[
            "ActiveFlowCount",
            "NewFlowCount",
            "TCP_Client_Reset_Count",
            "TCP_ELB_Reset_Count",
            "TCP_Target_Reset_Count",
            "PortAllocationErrorCount",
        ],
        BALANCER,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/NetworkELB",
        &["ProcessedBytes"],
        BALANCER,
        "Bytes",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/RDS",
        &["CPUUtilization"],
        DATABASE,
        "Percent",
        60,
        Kind::Continuous,
        PERCENT,
    ),
    entry(
        "AWS/RDS",
        &["BurstBalance"],
        DATABASE,
        "Percent",
        300,
        Kind::Continuous,
        PERCENT,
    ),
    entry(
        "AWS/RDS",
        &[
            "FreeStorageSpace",
            "FreeableMemory",
            "SwapUsage",
            "BinLogDiskUsage",
            "FreeLocalStorage",
        ],
        DATABASE,
        "Bytes",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/RDS",
        &[
            "DatabaseConnections",
            "DiskQueueDepth",
            "CPUCreditBalance",
            "CPUCreditUsage",
        ],
        DATABASE,
        "Count",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/RDS",
        &["ReadLatency", "WriteLatency", "ReplicaLag"],
        DATABASE,
        "Seconds",
        60,
        Kind::Continuous,
        (-1.0, f64::INFINITY),
    ),
    entry(
        "AWS/RDS",
        &["ReadIOPS", "WriteIOPS"],
        DATABASE,
        "Count/Second",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/RDS",
        &[
            "ReadThroughput",
            "WriteThroughput",
            "NetworkReceiveThroughput",
            "NetworkTransmitThroughput",
        ],
        DATABASE,
        "Bytes/Second",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/Lambda",
        &[
            "Invocations",
            "Errors",
            "Throttles",
            "DeadLetterErrors",
            "DestinationDeliveryFailures",
            "ConcurrentExecutions",
            "UnreservedConcurrentExecutions",
        ],
        FUNCTION,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/Lambda",
        &[
            "Duration",
            "IteratorAge",
            "PostRuntimeExtensionsDuration",
            "AsyncEventAge",
        ],
        FUNCTION,
        "Milliseconds",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/SQS",
        &[
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
            "NumberOfMessagesSent",
            "NumberOfMessagesReceived",
            "NumberOfMessagesDeleted",
            "NumberOfEmptyReceives",
        ],
        &[&["QueueName"]],
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/SQS",
        &["ApproximateAgeOfOldestMessage"],
        &[&["QueueName"]],
        "Seconds",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/SQS",
        &["SentMessageSize"],
        &[&["QueueName"]],
        "Bytes",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/DynamoDB",
        &[
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        ],
        TABLE,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/DynamoDB",
        &[
            "ProvisionedReadCapacityUnits",
            "ProvisionedWriteCapacityUnits",
        ],
        TABLE,
        "Count",
        300,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/DynamoDB",
        &["ThrottledRequests", "SystemErrors", "ReturnedItemCount"],
        OPERATION,
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/DynamoDB",
        &["SuccessfulRequestLatency"],
        OPERATION,
        "Milliseconds",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/DynamoDB",
        &["UserErrors"],
        &[&[]],
        "Count",
        60,
        Kind::Sparse,
        ANY,
    ),
    entry(
        "AWS/S3",
        &["BucketSizeBytes"],
        &[&["BucketName", "StorageType"]],
        "Bytes",
        86_400,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/S3",
        &["NumberOfObjects"],
        &[&["BucketName", "StorageType"]],
        "Count",
        86_400,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "AWS/Billing",
        &["EstimatedCharges"],
        &[
            &["Currency"],
            &["Currency", "ServiceName"],
            &["Currency", "LinkedAccount"],
            &["Currency", "LinkedAccount", "ServiceName"],
        ],
        "None",
        21_600,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "CWAgent",
        &[
            "cpu_usage_active",
            "cpu_usage_idle",
            "cpu_usage_iowait",
            "cpu_usage_steal",
            "cpu_usage_system",
            "cpu_usage_user",
            "disk_used_percent",
            "mem_used_percent",
            "mem_available_percent",
            "swap_used_percent",
        ],
        &[],
        "Percent",
        60,
        Kind::Continuous,
        PERCENT,
    ),
    entry(
        "CWAgent",
        &[
            "disk_free",
            "disk_total",
            "disk_used",
            "mem_available",
            "mem_free",
            "mem_total",
            "mem_used",
            "swap_free",
            "swap_used",
        ],
        &[],
        "Bytes",
        60,
        Kind::Continuous,
        ANY,
    ),
    entry(
        "CWAgent",
        &[
            "disk_inodes_free",
            "disk_inodes_used",
            "netstat_tcp_established",
            "processes_total",
            "processes_running",
            "processes_zombies",
        ],
        &[],
        "Count",
        60,
        Kind::Continuous,
        ANY,
    ),
];

const fn entry(
    namespace: &'static str,
    names: &'static [&'static str],
    dimensions: &'static [&'static [&'static str]],
    unit: &'static str,
    period: u32,
    kind: Kind,
    bounds: (f64, f64),
) -> Entry {
    Entry {
        namespace,
        names,
        dimensions,
        unit,
        period,
        kind,
        bounds,
    }
}

pub(super) fn find(metric: &Metric) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| {
        entry.namespace == metric.namespace && entry.names.contains(&metric.name.as_str())
    })
}

/// The names that the namespace has here.
pub(super) fn names(namespace: &str) -> impl Iterator<Item = &'static str> {
    CATALOGUE
        .iter()
        .filter(move |entry| entry.namespace == namespace)
        .flat_map(|entry| entry.names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Unit;

    #[test]
    fn every_unit_is_cloudwatchs_and_every_metric_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in CATALOGUE {
            assert!(Unit::from_name(entry.unit).is_some(), "{entry:?}");
            assert!(
                entry.dimensions.iter().all(|set| set.is_sorted()),
                "{entry:?}"
            );
            for name in entry.names {
                assert!(seen.insert((entry.namespace, name)), "{name}");
            }
        }
    }
}
