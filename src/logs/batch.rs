//! What one request can carry.

use crate::aws::NewEvent;

/// The limits of a `PutLogEvents` request
/// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>): events, bytes of UTF-8 with so
/// many more for each event, and the time from the first to the last, in milliseconds.
const EVENTS_MAX: usize = 10_000;
pub(super) const BYTES_MAX: usize = 1_048_576;
const OVERHEAD: usize = 26;
const SPAN_MAX: i64 = 24 * 3_600_000;

/// The most bytes of one event.
pub(super) const EVENT_MAX: usize = BYTES_MAX - OVERHEAD;

/// Events for one request.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    events: Vec<NewEvent>,
    bytes: usize,
    bytes_max: usize,
    /// The times of the earliest and the latest, in milliseconds.
    span: Option<(i64, i64)>,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new(BYTES_MAX)
    }
}

impl Batch {
    /// For no more than so many bytes, unless one event has more.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            events: Vec::new(),
            bytes: 0,
            bytes_max: bytes_max.min(BYTES_MAX),
            span: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// As the API counts them, but for what each event has beside its text.
    pub(super) fn bytes(&self) -> usize {
        self.bytes - OVERHEAD * self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether it fitted in. What is larger than an event may be fits nowhere.
    pub(super) fn push(&mut self, event: NewEvent) -> bool {
        let at = event.at.milliseconds();
        let (earliest, latest) = self.span.unwrap_or((at, at));
        let (earliest, latest) = (earliest.min(at), latest.max(at));
        let bytes = self.bytes + event.message.len() + OVERHEAD;
        let bytes_max = match self.is_empty() {
            true => BYTES_MAX,
            false => self.bytes_max,
        };
        let fits = self.events.len() < EVENTS_MAX
            && bytes <= bytes_max
            && latest.saturating_sub(earliest) <= SPAN_MAX;
        if fits {
            (self.bytes, self.span) = (bytes, Some((earliest, latest)));
            self.events.push(event);
        }
        fits
    }

    /// The events in the order in which they came, in two batches, if there are several.
    pub(super) fn halves(mut self) -> (Self, Option<Self>) {
        if self.len() < 2 {
            return (self, None);
        }
        let rest = self.events.split_off(self.len() / 2);
        let part = |events: Vec<NewEvent>| {
            let mut part = Self::default();
            // Each is within what both were within.
            for event in events {
                part.push(event);
            }
            part
        };
        (part(self.events), Some(part(rest)))
    }

    /// In the order of their time, as the API wants them; what happened at the same time stays in its order.
    pub(super) fn into_events(mut self) -> Vec<NewEvent> {
        self.events.sort_by_key(|event| event.at);
        self.events
    }
}

/// The longest start of a text that has no more than so many bytes.
pub(super) fn cut(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Timestamp;

    fn event(at: i64, length: usize) -> NewEvent {
        NewEvent {
            at: Timestamp::from_seconds(at),
            message: "x".repeat(length),
        }
    }

    #[test]
    fn a_batch_keeps_to_the_limits_of_a_request() {
        let mut by_count = Batch::default();
        for at in 0..10_000 {
            assert!(by_count.push(event(at, 1)));
        }
        assert!(!by_count.push(event(0, 1)));
        let mut by_size = Batch::default();
        assert!(by_size.push(event(0, EVENT_MAX - OVERHEAD - 1)));
        assert!(!by_size.push(event(0, 2)));
        assert!(by_size.push(event(0, 1)));
        let mut by_span = Batch::default();
        assert!(by_span.push(event(86_400, 1)));
        assert!(by_span.push(event(0, 1)));
        assert!(!by_span.push(event(86_401, 1)));
        assert!(!Batch::default().push(event(0, EVENT_MAX + 1)));
        let mut small = Batch::new(1_000);
        assert!(small.push(event(0, EVENT_MAX)), "it has to go some time");
        assert!(!small.push(event(0, 1)));
    }

    #[test]
    fn halves_have_everything_in_its_order() {
        let mut batch = Batch::default();
        for length in 1..=5 {
            batch.push(event(0, length));
        }
        let bytes = batch.bytes();
        let (first, rest) = batch.halves();
        let rest = rest.unwrap();
        assert_eq!((first.len(), rest.len()), (2, 3));
        assert_eq!(first.bytes() + rest.bytes(), bytes);
        let lengths = |batch: Batch| batch.into_events().into_iter().map(|it| it.message.len());
        let all: Vec<usize> = lengths(first).chain(lengths(rest)).collect();
        assert_eq!(all, [1, 2, 3, 4, 5]);
        let mut one = Batch::default();
        one.push(event(0, 1));
        assert!(one.halves().1.is_none());
    }

    #[test]
    fn events_are_in_the_order_of_their_time() {
        let mut batch = Batch::default();
        for (at, length) in [(3, 1), (1, 2), (3, 3), (2, 4)] {
            batch.push(event(at, length));
        }
        let events = batch.into_events().into_iter();
        let lengths: Vec<usize> = events.map(|event| event.message.len()).collect();
        assert_eq!(lengths, [2, 4, 1, 3]);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "aé".to_owned();
        assert!(cut(&mut text, 2));
        assert_eq!(text, "a");
        assert!(!cut(&mut text, 1));
    }
}
