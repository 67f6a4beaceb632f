//! Cron expressions: which minutes of which days (SPEC section 15).

use std::iter;
use std::ops::{Range, RangeInclusive};

use jiff::civil::{Date, DateTime, Time};

use super::schedule::ScheduleError;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
/// Sunday is 0 and, at the end of a range, 7.
const WEEKDAYS: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

const SUNDAY: u8 = 0;
const SATURDAY: u8 = 6;

/// A recurring schedule: every minute that its five fields allow.
///
/// AWS says "use standard cron syntax" and no more about rules that restrict both the day of the month and the day of the
/// week. As in standard cron, either is enough then; a field that begins with `*`, or is `?`, restricts nothing that way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    is_every_day: bool,
    is_every_weekday: bool,
    /// `L` in the day of the month.
    on_last_day: bool,
    /// `MON#2`, or `MONL` for the last one.
    nth_weekdays: Vec<(u8, Nth)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nth {
    FromFirst(i8),
    Last,
}

/// Numbers below 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn contains(self, number: u8) -> bool {
        self.0 >> number & 1 == 1
    }

    fn insert(&mut self, number: u8) {
        self.0 |= 1 << number;
    }

    fn iter(self) -> impl DoubleEndedIterator<Item = i8> {
        (0..64_i8).filter(move |number| self.0 >> number & 1 == 1)
    }
}

impl Cron {
    /// Reads what stands between the parentheses, the first character of which is number `offset` of the expression.
    pub(super) fn parse(text: &str, offset: usize) -> Result<Self, ScheduleError> {
        let fields = words(text, offset);
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(ScheduleError {
                message: format!(
                    "cron expression has {} fields but must have 5: minute, hour, day-of-month, month and day-of-week",
                    fields.len()
                ),
                span: offset..offset + text.chars().count(),
            });
        };
        let (days, on_last_day) = days(day)?;
        let (weekdays, nth_weekdays) = weekdays(weekday)?;
        Ok(Self {
            minutes: MINUTE.set(minute, |_| false)?,
            hours: HOUR.set(hour, |_| false)?,
            days,
            months: MONTH.set(month, |_| false)?,
            weekdays,
            is_every_day: is_every(day),
            is_every_weekday: is_every(weekday),
            on_last_day,
            nth_weekdays,
        })
    }

    /// The times of every day on which the schedule occurs at all, in order.
    pub(super) fn times(&self) -> impl DoubleEndedIterator<Item = Time> {
        let minutes = self.minutes;
        let of_hour = move |hour| {
            minutes
                .iter()
                .map(move |minute| Time::new(hour, minute, 0, 0))
        };
        self.hours.iter().flat_map(of_hour).flatten()
    }

    /// The last local time up to `at` at which the schedule occurs, if it is after `after`.
    pub(super) fn last_until(&self, at: DateTime, after: DateTime) -> Option<DateTime> {
        let mut dates = iter::successors(Some(at.date()), |date| date.yesterday().ok())
            .take_while(|date| *date >= after.date())
            .filter(|date| self.is_on(*date));
        let last_on = |date: Date| {
            let mut times = self.times().rev().map(|time| date.to_datetime(time));
            times.find(|time| *time <= at)
        };
        dates.find_map(last_on).filter(|time| *time > after)
    }

    /// The first date from `from` to `last` on which the schedule occurs.
    pub(super) fn next_date(&self, from: Date, last: Date) -> Option<Date> {
        let mut date = from;
        while date <= last {
            if self.is_on(date) {
                return Some(date);
            }
            let passed = match self.is_in_month(date) {
                true => date,
                false => date.last_of_month(),
            };
            date = passed.tomorrow().ok()?;
        }
        None
    }

    pub(super) fn is_on(&self, date: Date) -> bool {
        let day = self.days.contains(date.day().unsigned_abs())
            || (self.on_last_day && date == date.last_of_month());
        let weekday = self.is_on_weekday(date);
        let either = !self.is_every_day && !self.is_every_weekday;
        self.is_in_month(date)
            && if either {
                day || weekday
            } else {
                day && weekday
            }
    }

    fn is_in_month(&self, date: Date) -> bool {
        self.months.contains(date.month().unsigned_abs())
    }

    fn is_on_weekday(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset().unsigned_abs();
        let is_nth = |nth| match nth {
            Nth::FromFirst(nth) => (date.day() - 1) / 7 + 1 == nth,
            Nth::Last => date.day() + 7 > date.days_in_month(),
        };
        let is_listed = |&(listed, nth): &(u8, Nth)| listed == weekday && is_nth(nth);
        self.weekdays.contains(weekday) || self.nth_weekdays.iter().any(is_listed)
    }
}

/// A part of the expression, and where it stands, in characters.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    start: usize,
}

impl Word<'_> {
    fn span(self) -> Range<usize> {
        self.start..self.start + self.text.chars().count()
    }
}

/// What white space separates.
fn words(text: &str, offset: usize) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = offset;
    for text in text.split(char::is_whitespace) {
        if !text.is_empty() {
            words.push(Word { text, start });
        }
        start += text.chars().count() + 1;
    }
    words
}

/// One of the five fields: its numbers and names, and whether steps are supported.
struct Field {
    name: &'static str,
    range: RangeInclusive<u8>,
    /// Names of the numbers from the first one on.
    names: &'static [&'static str],
    has_steps: bool,
    has_question_mark: bool,
    allowed: &'static str,
}

const MINUTE: Field = Field {
    name: "minute",
    range: 0..=59,
    names: &[],
    has_steps: true,
    has_question_mark: false,
    allowed: "0 to 59 with `*`, `,`, `-` and `/`",
};
const HOUR: Field = Field {
    name: "hour",
    range: 0..=23,
    names: &[],
    has_steps: true,
    has_question_mark: false,
    allowed: "0 to 23 with `*`, `,`, `-` and `/`",
};
const DAY: Field = Field {
    name: "day-of-month",
    range: 1..=31,
    names: &[],
    has_steps: true,
    has_question_mark: true,
    allowed: "1 to 31 with `*`, `?`, `,`, `-`, `/` and `L`",
};
const MONTH: Field = Field {
    name: "month",
    range: 1..=12,
    names: &MONTHS,
    has_steps: true,
    has_question_mark: false,
    allowed: "1 to 12 or JAN to DEC with `*`, `,`, `-` and `/`",
};
const WEEKDAY: Field = Field {
    name: "day-of-week",
    range: 0..=7,
    names: &WEEKDAYS,
    has_steps: false,
    has_question_mark: true,
    allowed: "0 to 7 or SUN to SAT with `*`, `?`, `,`, `-`, `L` and `#`",
};

/// Whether a field restricts nothing, as far as the other field for days is concerned.
fn is_every(word: Word<'_>) -> bool {
    word.text.starts_with('*') || word.text == "?"
}

/// The field's numbers, and whether the last day of the month is among them: `L`.
fn days(word: Word<'_>) -> Result<(Set, bool), ScheduleError> {
    let mut on_last_day = false;
    let set = DAY.set(word, |item| {
        let is_last_day = item.eq_ignore_ascii_case("L");
        on_last_day |= is_last_day;
        is_last_day
    })?;
    Ok((set, on_last_day))
}

/// The field's numbers, 0 for Sunday, and its weekdays of certain weeks. `L` alone is the last day of the week, Saturday.
fn weekdays(word: Word<'_>) -> Result<(Set, Vec<(u8, Nth)>), ScheduleError> {
    let (mut nth, mut on_last_day) = (Vec::new(), false);
    let mut set = WEEKDAY.set(word, |item| {
        let is_last_day = item.eq_ignore_ascii_case("L");
        on_last_day |= is_last_day;
        let before = nth.len();
        nth.extend(nth_weekday(item));
        is_last_day || nth.len() > before
    })?;
    if on_last_day {
        set.insert(SATURDAY);
    }
    if set.contains(7) {
        set.insert(SUNDAY);
    }
    Ok((set, nth))
}

/// Reads `SUN#4`, the fourth Sunday, and `SUNL`, the last one.
fn nth_weekday(item: &str) -> Option<(u8, Nth)> {
    let (weekday, nth) = match item.split_once('#') {
        Some((weekday, nth)) => {
            let nth = digits(nth).filter(|nth| (1..=5).contains(nth))?;
            (weekday, Nth::FromFirst(i8::try_from(nth).ok()?))
        }
        None => (item.strip_suffix(['L', 'l'])?, Nth::Last),
    };
    Some((WEEKDAY.number(weekday)? % 7, nth))
}

impl Field {
    /// What the items of the field come to, without those that `special` takes for itself.
    fn set(
        &self,
        word: Word<'_>,
        mut special: impl FnMut(&str) -> bool,
    ) -> Result<Set, ScheduleError> {
        let mut set = Set::default();
        let text = match word.text {
            "?" if self.has_question_mark => "*",
            text => text,
        };
        for item in text.split(',') {
            if !special(item) {
                let (start, end, step) = self.item(item).ok_or_else(|| self.refuse(word))?;
                (start..=end)
                    .step_by(step)
                    .for_each(|number| set.insert(number));
            }
        }
        Ok(set)
    }

    /// First, last and step of `*`, a number or a range. A number with a step begins a range to the end.
    fn item(&self, text: &str) -> Option<(u8, u8, usize)> {
        let (numbers, step) = match text.split_once('/') {
            Some((numbers, step)) => (numbers, Some(self.step(step)?)),
            None => (text, None),
        };
        let (start, end) = match numbers.split_once('-') {
            _ if numbers == "*" => (*self.range.start(), *self.range.end()),
            Some((start, end)) => (self.number(start)?, self.end(end)?),
            None => {
                let start = self.number(numbers)?;
                (start, step.map_or(start, |_| *self.range.end()))
            }
        };
        (start <= end).then_some((start, end, step.unwrap_or(1)))
    }

    fn step(&self, text: &str) -> Option<usize> {
        let numbers = self.range.end() - self.range.start() + 1;
        let step = digits(text).filter(|step| (1..=numbers).contains(step))?;
        self.has_steps.then_some(usize::from(step))
    }

    fn number(&self, text: &str) -> Option<u8> {
        self.named(text).next().or_else(|| self.in_range(text))
    }

    /// A number that ends a range: of two that bear the same name, the second.
    fn end(&self, text: &str) -> Option<u8> {
        self.named(text).last().or_else(|| self.in_range(text))
    }

    fn named(&self, text: &str) -> impl Iterator<Item = u8> {
        let named = self.names.iter().zip(self.range.clone());
        named.filter_map(move |(name, number)| name.eq_ignore_ascii_case(text).then_some(number))
    }

    fn in_range(&self, text: &str) -> Option<u8> {
        digits(text).filter(|number| self.range.contains(number))
    }

    fn refuse(&self, word: Word<'_>) -> ScheduleError {
        ScheduleError {
            message: format!(
                "{} is `{}` but must be {}",
                self.name, word.text, self.allowed
            ),
            span: word.span(),
        }
    }
}

/// A number without a sign.
fn digits(text: &str) -> Option<u8> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
