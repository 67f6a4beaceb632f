//! When a line says that it was written.

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use crate::config::RFC3339;
use crate::metric::Timestamp;

/// How far into a line a time is looked for, in bytes.
const SEARCHED_MAX: usize = 256;

/// The most bytes of a time as RFC 3339 has it.
const RFC3339_MAX: usize = 35;

/// A time without a year is of this year, unless that is further ahead than this, in seconds.
const AHEAD_MAX: i64 = 86_400;

/// How lines tell their times.
#[derive(Debug)]
pub(super) struct Times {
    /// `None` for RFC 3339.
    format: Option<String>,
    zone: TimeZone,
    /// Where the last one was found: mostly all are found there.
    column: usize,
}

impl Times {
    pub(super) fn new(format: &str, zone: &str) -> Self {
        let zone = match zone {
            "local" => TimeZone::system(),
            name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
        };
        Self {
            format: (format != RFC3339).then(|| format.to_owned()),
            zone,
            column: 0,
        }
    }

    /// The first time in a line.
    pub(super) fn find(&mut self, line: &str, now: Timestamp) -> Option<Timestamp> {
        let known = self.column;
        if let Some(found) = self.at(line, known, now) {
            return Some(found);
        }
        let bytes = line.as_bytes();
        let begins = |place: &usize| {
            let is_part = |place: usize| bytes[place].is_ascii_alphanumeric();
            is_part(*place) && (*place == 0 || !is_part(*place - 1))
        };
        let places = (0..bytes.len().min(SEARCHED_MAX)).filter(begins);
        for place in places.filter(|place| *place != known) {
            if let Some(found) = self.at(line, place, now) {
                self.column = place;
                return Some(found);
            }
        }
        None
    }

    fn at(&self, line: &str, place: usize, now: Timestamp) -> Option<Timestamp> {
        let text = line.get(place..).filter(|text| !text.is_empty())?;
        match &self.format {
            None => rfc3339(text),
            Some(format) => self.formatted(format, text, now),
        }
    }

    fn formatted(&self, format: &str, text: &str, now: Timestamp) -> Option<Timestamp> {
        let (mut time, _) = BrokenDownTime::parse_prefix(format, text).ok()?;
        if let Ok(at) = time.to_timestamp() {
            return Some(Timestamp::from_milliseconds(at.as_millisecond()));
        }
        let at = |time: &BrokenDownTime| {
            let at = self.zone.to_timestamp(time.to_datetime().ok()?).ok()?;
            Some(Timestamp::from_milliseconds(at.as_millisecond()))
        };
        if time.year().is_some() {
            return at(&time);
        }
        let year = now.calendar().to_zoned(self.zone.clone()).year();
        time.set_year(Some(year)).ok()?;
        match at(&time) {
            Some(found) if found <= now + AHEAD_MAX => Some(found),
            // It was in December, or on a leap day.
            _ => {
                time.set_year(Some(year - 1)).ok()?;
                at(&time)
            }
        }
    }
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    if !text.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let is_part = |it: &u8| it.is_ascii_alphanumeric() || b"-:.+".contains(it);
    let bytes = text.as_bytes().iter().take(RFC3339_MAX);
    let end = bytes.take_while(|it| is_part(it)).count();
    Timestamp::from_rfc3339(text[..end].trim_end_matches(['-', ':', '.', '+']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(format: &str, zone: &str, line: &str) -> Option<String> {
        let now = Timestamp::from_rfc3339("2026-01-02T00:00:00Z").unwrap();
        let at = Times::new(format, zone).find(line, now)?;
        Some(at.in_history())
    }

    #[test]
    fn times_are_found_wherever_they_stand() {
        for (format, zone, line, expected) in [
            (
                RFC3339,
                "UTC",
                "{\"time\":\"2025-09-25T21:51:00.123+02:00\"}",
                "2025-09-25T19:51:00.123Z",
            ),
            (
                RFC3339,
                "UTC",
                "2025-09-25T21:51:00Z: started",
                "2025-09-25T21:51:00.000Z",
            ),
            (
                "%Y-%m-%d %H:%M:%S%.f",
                "Europe/Berlin",
                "WARN [2025-07-01 12:00:00.5] hot",
                "2025-07-01T10:00:00.500Z",
            ),
            (
                "%d/%b/%Y:%H:%M:%S %z",
                "UTC",
                "127.0.0.1 - - [10/Oct/2025:13:55:36 -0700] \"GET / HTTP/1.0\"",
                "2025-10-10T20:55:36.000Z",
            ),
            (
                "%b %d %H:%M:%S",
                "UTC",
                "Dec 31 23:59:59 web sshd[1]: x",
                "2025-12-31T23:59:59.000Z",
            ),
            (
                "%b %d %H:%M:%S",
                "UTC",
                "Jan  1 00:00:01 web sshd[1]: x",
                "2026-01-01T00:00:01.000Z",
            ),
            ("%s", "UTC", "1700000000 x", "2023-11-14T22:13:20.000Z"),
        ] {
            let told = found(format, zone, line);
            assert_eq!(told.as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn of_a_line_without_a_time_none_is_found() {
        for line in [
            "",
            "  at Main.java:12",
            "2025-09",
            "ä",
            "99999999999999999999",
        ] {
            assert_eq!(found(RFC3339, "UTC", line), None, "{line}");
            assert_eq!(found("%Y-%m-%d %H:%M:%S", "UTC", line), None, "{line}");
        }
    }
}
