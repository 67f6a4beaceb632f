//! CloudWatch Logs: groups, streams, and the events in them.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, OrderBy, RejectedLogEventsInfo};

use crate::metric::Timestamp;

use super::failure::{Failure, failure};
use super::{ATTEMPTS_MAX, READ_ATTEMPTS_MAX, said, sdk_config};

/// The most groups, and streams, that one request tells of.
const PAGE_MAX: i32 = 50;

/// A group of streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    pub name: String,
    pub created: Timestamp,
    /// In days; `None` for ever.
    pub retention: Option<i32>,
    pub stored_bytes: i64,
    pub arn: String,
}

/// A stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    pub name: String,
    pub created: Timestamp,
    /// Of the first and the last event, if there are any.
    pub first_event: Option<Timestamp>,
    pub last_event: Option<Timestamp>,
}

/// An event as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEvent {
    pub id: String,
    pub stream: String,
    pub at: Timestamp,
    pub taken_at: Option<Timestamp>,
    pub message: String,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsAsked {
    pub group: String,
    pub stream_prefix: Option<String>,
    pub pattern: Option<String>,
    pub start: Option<Timestamp>,
    /// Not included.
    pub end: Option<Timestamp>,
}

/// An event that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub at: Timestamp,
    pub message: String,
}

/// How many events of a request were not taken, though it was answered with success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// More than fourteen days old.
    pub too_old: usize,
    /// Older than the retention of the group.
    pub expired: usize,
    /// More than two hours ahead.
    pub too_new: usize,
}

/// Why events were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPut {
    /// There is no such group or stream.
    Missing,
    Failure(Failure),
}

/// What is asked for next, if there is more.
pub type Token = Option<String>;

/// CloudWatch Logs.
#[derive(Clone, Debug)]
pub struct Logs(Client);

impl Logs {
    /// For whoever waits for the answer, also where requests are throttled.
    pub async fn connect(region: &str, endpoint_url: Option<&str>) -> Self {
        let config = sdk_config(region, endpoint_url, READ_ATTEMPTS_MAX).await;
        Self(Client::new(&config))
    }

    /// For the daemon, which tries again by itself.
    pub async fn connect_to_ship(region: &str, endpoint_url: Option<&str>) -> Self {
        Self(Client::new(
            &sdk_config(region, endpoint_url, ATTEMPTS_MAX).await,
        ))
    }

    /// `logs:CreateLogGroup`; `false` if it is there already.
    pub async fn create_group(
        &self,
        name: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<bool, Failure> {
        let tags = (!tags.is_empty()).then(|| tags.clone().into_iter().collect());
        let asked = self.0.create_log_group().log_group_name(name);
        created(asked.set_tags(tags).send().await)
    }

    /// `logs:PutRetentionPolicy`, in days.
    pub async fn put_retention(&self, group: &str, days: i32) -> Result<(), Failure> {
        let asked = self.0.put_retention_policy().log_group_name(group);
        let answered = asked.retention_in_days(days).send().await;
        answered.map(drop).map_err(|error| failure(&error))
    }

    /// `logs:CreateLogStream`; `false` if it is there already.
    pub async fn create_stream(&self, group: &str, stream: &str) -> Result<bool, NotPut> {
        let asked = self.0.create_log_stream().log_group_name(group);
        let answered = asked.log_stream_name(stream).send().await;
        let is_missing = |code: Option<&str>| code == Some("ResourceNotFoundException");
        match answered {
            Err(error) if is_missing(error.code()) => Err(NotPut::Missing),
            answered => created(answered).map_err(NotPut::Failure),
        }
    }

    /// `logs:PutLogEvents`: events in the order of their time, within the limits of a request.
    pub async fn put(
        &self,
        group: &str,
        stream: &str,
        events: Vec<NewEvent>,
    ) -> Result<Rejected, NotPut> {
        let count = events.len();
        let events = events.into_iter().map(|event| {
            let new = InputLogEvent::builder().timestamp(event.at.milliseconds());
            let new = new.message(event.message).build();
            new.expect("the time and the message are set")
        });
        let asked = self.0.put_log_events().log_group_name(group);
        let asked = asked.log_stream_name(stream);
        let answered = asked.set_log_events(Some(events.collect())).send().await;
        let answered = answered.map_err(|error| match error.code() {
            Some("ResourceNotFoundException") => NotPut::Missing,
            _ => NotPut::Failure(failure(&error)),
        })?;
        let rejected = answered.rejected_log_events_info();
        Ok(rejected.map_or_else(Rejected::default, |info| rejected_of(info, count)))
    }

    /// `logs:DescribeLogGroups`, a page of them.
    pub async fn groups(
        &self,
        prefix: Option<&str>,
        token: Token,
    ) -> Result<(Vec<LogGroup>, Token), String> {
        let asked = self.0.describe_log_groups().limit(PAGE_MAX);
        let asked = asked.set_log_group_name_prefix(prefix.map(str::to_owned));
        let page = asked.set_next_token(token).send().await;
        let page = page.map_err(|error| format!("DescribeLogGroups: {}", said(&error)))?;
        let group = |group: &aws_sdk_cloudwatchlogs::types::LogGroup| LogGroup {
            name: group.log_group_name().unwrap_or_default().to_owned(),
            created: instant(group.creation_time()).unwrap_or_default(),
            retention: group.retention_in_days(),
            stored_bytes: group.stored_bytes().unwrap_or_default(),
            arn: group.arn().unwrap_or_default().to_owned(),
        };
        let groups = page.log_groups().iter().map(group).collect();
        Ok((groups, page.next_token().map(str::to_owned)))
    }

    /// `logs:DescribeLogStreams`, a page of them: those whose names begin so, by name, or all, the last written first.
    pub async fn streams(
        &self,
        group: &str,
        prefix: Option<&str>,
        token: Token,
    ) -> Result<(Vec<LogStream>, Token), String> {
        let asked = self.0.describe_log_streams().log_group_name(group);
        let asked = match prefix {
            // The API does not order by time what it finds by prefix.
            Some(prefix) => asked.log_stream_name_prefix(prefix),
            None => asked.order_by(OrderBy::LastEventTime).descending(true),
        };
        let page = asked.limit(PAGE_MAX).set_next_token(token).send().await;
        let page = page.map_err(|error| format!("DescribeLogStreams: {}", said(&error)))?;
        let stream = |stream: &aws_sdk_cloudwatchlogs::types::LogStream| LogStream {
            name: stream.log_stream_name().unwrap_or_default().to_owned(),
            created: instant(stream.creation_time()).unwrap_or_default(),
            first_event: instant(stream.first_event_timestamp()),
            last_event: instant(stream.last_event_timestamp()),
        };
        let streams = page.log_streams().iter().map(stream).collect();
        Ok((streams, page.next_token().map(str::to_owned)))
    }

    /// `logs:FilterLogEvents`, a page of them, which may be empty though there are more.
    pub async fn events(
        &self,
        of: &EventsAsked,
        token: Token,
    ) -> Result<(Vec<FoundEvent>, Token), String> {
        let asked = self.0.filter_log_events().log_group_name(&of.group);
        let asked = asked
            .set_log_stream_name_prefix(of.stream_prefix.clone())
            .set_filter_pattern(of.pattern.clone())
            .set_start_time(of.start.map(Timestamp::milliseconds))
            .set_end_time(of.end.map(|end| end.milliseconds() - 1));
        let page = asked.set_next_token(token).send().await;
        let page = page.map_err(|error| format!("FilterLogEvents: {}", said(&error)))?;
        let event = |event: &aws_sdk_cloudwatchlogs::types::FilteredLogEvent| FoundEvent {
            id: event.event_id().unwrap_or_default().to_owned(),
            stream: event.log_stream_name().unwrap_or_default().to_owned(),
            at: instant(event.timestamp()).unwrap_or_default(),
            taken_at: instant(event.ingestion_time()),
            message: event.message().unwrap_or_default().to_owned(),
        };
        let events = page.events().iter().map(event).collect();
        Ok((events, page.next_token().map(str::to_owned)))
    }
}

fn instant(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.map(Timestamp::from_milliseconds)
}

/// Whether it was created by this request.
fn created<T, E>(answered: Result<T, SdkError<E>>) -> Result<bool, Failure>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    match answered {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("ResourceAlreadyExistsException") => Ok(false),
        Err(error) => Err(failure(&error)),
    }
}

/// The API tells where too old events end, and where too new ones begin.
fn rejected_of(info: &RejectedLogEventsInfo, count: usize) -> Rejected {
    let place = |index: Option<i32>| index.and_then(|index| usize::try_from(index).ok());
    let too_old = place(info.too_old_log_event_end_index()).unwrap_or(0);
    let too_old = too_old.min(count);
    let expired = place(info.expired_log_event_end_index()).unwrap_or(0);
    let expired = expired.min(count).saturating_sub(too_old);
    let too_new = place(info.too_new_log_event_start_index());
    Rejected {
        too_old,
        expired,
        too_new: too_new.map_or(0, |start| count.saturating_sub(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_counted_once() {
        let info = RejectedLogEventsInfo::builder()
            .too_old_log_event_end_index(3)
            .expired_log_event_end_index(5)
            .too_new_log_event_start_index(8)
            .build();
        let expected = Rejected {
            too_old: 3,
            expired: 2,
            too_new: 2,
        };
        assert_eq!(rejected_of(&info, 10), expected);
        let none = RejectedLogEventsInfo::builder().build();
        assert_eq!(rejected_of(&none, 10), Rejected::default());
    }
}
