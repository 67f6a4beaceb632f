//! Time zones as CloudWatch accepts them (SPEC section 13).

use jiff::tz::{Offset, TimeZone};

/// The farthest that an offset can be from UTC.
const OFFSET_HOURS_MAX: i32 = 18;

/// "The offset must be aligned to a multiple of 5 minutes."
const OFFSET_STEP_MINUTES: i32 = 5;

/// An IANA name, `Z`, `UTC`, `GMT`, an offset such as `+05:30`, or one after `UTC` or `GMT`, where the hour alone will do.
/// Names are told apart by case, as they are by AWS.
pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    let prefixed = ["UTC", "GMT"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    match prefixed {
        Some("") => Ok(TimeZone::UTC),
        Some(offset) if offset.starts_with(['+', '-']) => fixed(text, offset, true),
        _ if text == "Z" => Ok(TimeZone::UTC),
        _ if text.starts_with(['+', '-']) => fixed(text, text, false),
        _ => named(text),
    }
}

fn named(text: &str) -> Result<TimeZone, String> {
    let zone = TimeZone::get(text).ok().filter(|zone| !zone.is_unknown());
    let name = zone.as_ref().and_then(TimeZone::iana_name);
    match (&zone, name) {
        (Some(_), Some(name)) if name != text => {
            Err(format!("time zone is `{text}`; did you mean `{name}`?"))
        }
        (Some(zone), _) => Ok(zone.clone()),
        (None, _) => Err(format!(
            "time zone is `{text}` but must be an IANA name such as `Europe/Berlin`, `UTC`, or an offset such as `+05:30` or `UTC+05:30`"
        )),
    }
}

/// The zone that is always `offset` from UTC; `text` is what was written.
fn fixed(text: &str, offset: &str, hour_alone: bool) -> Result<TimeZone, String> {
    let Some((hours, minutes)) = offset_parts(&offset[1..], hour_alone) else {
        let form = if hour_alone {
            "`±h`, `±hh` or `±hh:mm` after `UTC` or `GMT`"
        } else {
            "`±hh:mm`"
        };
        return Err(format!(
            "time zone is `{text}` but its offset must be {form}"
        ));
    };
    let total = 60 * hours + minutes;
    if minutes >= 60 || total > 60 * OFFSET_HOURS_MAX {
        return Err(format!(
            "time zone is `{text}` but its offset must be from `-{OFFSET_HOURS_MAX}:00` to `+{OFFSET_HOURS_MAX}:00`"
        ));
    }
    if total % OFFSET_STEP_MINUTES != 0 {
        return Err(format!(
            "time zone is `{text}` but its offset must be a multiple of {OFFSET_STEP_MINUTES} minutes"
        ));
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    Offset::from_seconds(sign * 60 * total)
        .map(TimeZone::fixed)
        .map_err(|err| format!("time zone is `{text}`: {err}"))
}

/// Hours and minutes of an offset without its sign, if it has the form of one.
fn offset_parts(digits: &str, hour_alone: bool) -> Option<(i32, i32)> {
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i32>().ok()).flatten()
    };
    match digits.split_once(':') {
        Some((hours, minutes)) if hours.len() == 2 && minutes.len() == 2 => {
            Some((number(hours)?, number(minutes)?))
        }
        None if hour_alone && digits.len() <= 2 => Some((number(digits)?, 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In minutes, on a winter's day.
    #[track_caller]
    fn check(text: &str, expected: Result<i32, &str>) {
        let winter = jiff::Timestamp::from_second(1_767_225_600).unwrap();
        let found = time_zone(text).map(|zone| zone.to_offset(winter).seconds() / 60);
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn names_and_offsets_are_time_zones() {
        check("America/New_York", Ok(-300));
        check("Asia/Kolkata", Ok(330));
        check("Etc/UTC", Ok(0));
        for zero in ["UTC", "GMT", "Z", "+00:00", "-00:00", "UTC+0"] {
            check(zero, Ok(0));
        }
        check("+01:05", Ok(65));
        check("-08:00", Ok(-480));
        check("UTC+05:30", Ok(330));
        check("GMT-08:00", Ok(-480));
        check("GMT-8", Ok(-480));
        check("UTC+14", Ok(840));
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        let no_zone = "time zone is `Mars/Olympus` but must be an IANA name such as `Europe/Berlin`, `UTC`, or an offset such as `+05:30` or `UTC+05:30`";
        check("Mars/Olympus", Err(no_zone));
        check(
            "europe/berlin",
            Err("time zone is `europe/berlin`; did you mean `Europe/Berlin`?"),
        );
        check(
            "+01:03",
            Err("time zone is `+01:03` but its offset must be a multiple of 5 minutes"),
        );
        check(
            "-18:05",
            Err("time zone is `-18:05` but its offset must be from `-18:00` to `+18:00`"),
        );
        check(
            "+5",
            Err("time zone is `+5` but its offset must be `±hh:mm`"),
        );
        check(
            "UTC+5:3",
            Err(
                "time zone is `UTC+5:3` but its offset must be `±h`, `±hh` or `±hh:mm` after `UTC` or `GMT`",
            ),
        );
    }

    #[test]
    fn no_short_or_strange_text_is_a_time_zone() {
        for text in [
            "",
            "+",
            "-",
            "UTC+",
            "GMT-",
            "UTC ",
            "z",
            "+ä:00",
            "+01:60",
            "+00000000000000:00",
            "Etc/Unknown",
        ] {
            assert!(time_zone(text).is_err(), "{text}");
        }
    }
}
