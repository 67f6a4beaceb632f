//! What is written to CloudWatch Logs.

use std::time::Duration;

/// For how many days a group can keep its events
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>).
pub const RETENTIONS: [i32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// The days of a retention that is written as a duration, like `30d`.
pub fn retention(text: &str) -> Result<i32, String> {
    const DAY: u64 = 86_400;
    let is_of = |duration: Duration, days: i32| {
        u64::try_from(days).is_ok_and(|days| duration == Duration::from_secs(days * DAY))
    };
    let known = humantime::parse_duration(text).ok().and_then(|duration| {
        let mut known = RETENTIONS.iter().copied();
        known.find(|days| is_of(duration, *days))
    });
    known.ok_or_else(|| {
        let days = RETENTIONS.iter();
        let days: Vec<String> = days.map(|days| format!("{days}d")).collect();
        format!("it is `{text}`, and CloudWatch Logs keeps events for one of {}", days.join(", "))
    })
}
