//! The values of an input series: promtool's notation, and what CloudWatch has beyond it.
//!
//! | | |
//! |---|---|
//! | `3` | a sample of that value |
//! | `_` | none |
//! | `3x4`, `_x4` | five times the same, or four times none, as promtool counts |
//! | `1+2x3`, `9-2x3` | `1 3 5 7`, `9 7 5 3` |
//! | `{n:5 sum:10 min:1 max:3}` | a statistic set |
//! | `[1*2 10*4]` | values with counts |
//! | `…@+90s` | the same, which comes so late |

use crate::metric::{Content, StatisticSet};

/// The most values that one series may come to.
const VALUES_MAX: usize = 1_000_000;

/// One place in a series: what is there, if anything, and how many seconds late it comes.
pub(super) type Value = Option<(Content, i64)>;

/// The values that a text stands for, or what is wrong with it.
pub(super) fn values(text: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for token in tokens(text)? {
        let (notation, late) = late(token)?;
        let content = |content| Some((content, late));
        match notation.as_bytes() {
            [b'{', ..] => all.push(content(Content::StatisticSet(set(notation)?))),
            [b'[', ..] => all.push(content(Content::Values(counted(notation)?))),
            _ => {
                let expanded = expand(notation)?;
                all.extend(
                    expanded
                        .into_iter()
                        .map(|value| value.and_then(|value| content(Content::Value(value)))),
                );
            }
        }
        if all.len() > VALUES_MAX {
            return Err(format!("a series comes to more than {VALUES_MAX} values"));
        }
    }
    Ok(all)
}

/// Splits at spaces, but not within brackets.
fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let opened = match rest.as_bytes()[0] {
            b'{' => rest.find('}'),
            b'[' => rest.find(']'),
            _ => Some(0),
        };
        let Some(opened) = opened else {
            return Err(format!("`{rest}` is opened and not closed"));
        };
        let end = rest[opened..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |end| opened + end);
        tokens.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(tokens)
}

/// Cuts `@+90s` off.
fn late(token: &str) -> Result<(&str, i64), String> {
    let Some((notation, late)) = token.split_once('@') else {
        return Ok((token, 0));
    };
    let duration = late
        .strip_prefix('+')
        .and_then(|late| humantime::parse_duration(late).ok())
        .and_then(|late| i64::try_from(late.as_secs()).ok());
    match duration {
        Some(late) => Ok((notation, late)),
        None => Err(format!("`@{late}` is no delay; `@+90s` is one")),
    }
}

fn expand(notation: &str) -> Result<Vec<Option<f64>>, String> {
    let wrong = || {
        format!(
            "`{notation}` is no value; `3`, `_`, `3x4`, `_x4`, `1+2x3`, `{{n:5 sum:10 min:1 max:3}}` and `[1*2 10*4]` are"
        )
    };
    let (what, times) = match notation.split_once('x') {
        Some((what, times)) => (what, Some(times.parse::<usize>().map_err(|_| wrong())?)),
        None => (notation, None),
    };
    if times.is_some_and(|times| times >= VALUES_MAX) {
        return Err(format!(
            "`{notation}` comes to more than {VALUES_MAX} values"
        ));
    }
    if what == "_" {
        return Ok(vec![None; times.unwrap_or(1)]);
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    let (first, step) = match number(what) {
        Some(first) => (first, 0.0),
        None => {
            // The sign of the step is the last one that is not the number's own or its exponent's.
            let places = what.char_indices().skip(1);
            let signs = places.filter(|(i, c)| {
                matches!(c, '+' | '-') && !matches!(what.as_bytes()[i - 1], b'e' | b'E')
            });
            let (place, _) = signs.last().ok_or_else(wrong)?;
            let (first, step) = (number(&what[..place]), number(&what[place..]));
            first.zip(step).ok_or_else(wrong)?
        }
    };
    let mut value = first;
    let values = (0..=times.unwrap_or(0)).map(|_| {
        let now = value;
        value += step;
        Some(now)
    });
    Ok(values.collect())
}

/// `{n:5 sum:10 min:1 max:3}`
fn set(notation: &str) -> Result<StatisticSet, String> {
    let wrong = || format!("`{notation}` is no statistic set; `{{n:5 sum:10 min:1 max:3}}` is one");
    let inner = notation
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let mut members = [None; 4];
    for member in inner.ok_or_else(wrong)?.split_whitespace() {
        let (name, value) = member.split_once(':').ok_or_else(wrong)?;
        let place = ["n", "sum", "min", "max"]
            .iter()
            .position(|known| *known == name);
        members[place.ok_or_else(wrong)?] = Some(value.parse::<f64>().map_err(|_| wrong())?);
    }
    let [Some(sample_count), Some(sum), Some(minimum), Some(maximum)] = members else {
        return Err(wrong());
    };
    if minimum > maximum {
        return Err(format!("`{notation}` has a minimum above its maximum"));
    }
    Ok(StatisticSet {
        sample_count,
        sum,
        minimum,
        maximum,
    })
}

/// `[1*2 10*4]`; a value without a count is there once.
fn counted(notation: &str) -> Result<Vec<(f64, f64)>, String> {
    let wrong = || format!("`{notation}` are no values with counts; `[1*2 10*4]` are");
    let inner = notation
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let one = |text: &str| {
        let (value, count) = text.split_once('*').unwrap_or((text, "1"));
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        Ok((number(value)?, number(count)?))
    };
    inner
        .ok_or_else(wrong)?
        .split_whitespace()
        .map(one)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> Vec<Option<f64>> {
        let value = |value: Value| match value {
            Some((Content::Value(value), 0)) => Some(value),
            None => None,
            other => panic!("{other:?}"),
        };
        values(text).unwrap().into_iter().map(value).collect()
    }

    #[test]
    fn values_are_counted_as_promtool_counts_them() {
        assert_eq!(plain("1 _ 2.5"), [Some(1.0), None, Some(2.5)]);
        assert_eq!(
            plain("10x2 _x2"),
            [Some(10.0), Some(10.0), Some(10.0), None, None]
        );
        assert_eq!(plain("1+2x2"), [Some(1.0), Some(3.0), Some(5.0)]);
        assert_eq!(plain("-2-1x1"), [Some(-2.0), Some(-3.0)]);
        assert_eq!(plain("1e3-1e2x1"), [Some(1_000.0), Some(900.0)]);
        assert_eq!(plain(" \n "), []);
    }

    #[test]
    fn sets_counts_and_delays_are_read() {
        let read = values("{n:5 sum:10 min:1 max:3}@+90s [1*2 10]").unwrap();
        let set = StatisticSet {
            sample_count: 5.0,
            sum: 10.0,
            minimum: 1.0,
            maximum: 3.0,
        };
        assert_eq!(
            read,
            [
                Some((Content::StatisticSet(set), 90)),
                Some((Content::Values(vec![(1.0, 2.0), (10.0, 1.0)]), 0))
            ]
        );
    }

    #[test]
    fn what_is_no_value_is_told() {
        for text in [
            "a",
            "1x",
            "x3",
            "{n:1}",
            "{n:2 sum:3 min:2 max:1}",
            "[1*]",
            "{n:1 sum:1",
            "1@90s",
            "1x9999999",
            "NaN",
            "inf",
        ] {
            assert!(values(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|[0-9x_+@s{}\\[\\]*: -]{0,20}") {
            drop(values(&text));
        }
    }
}
