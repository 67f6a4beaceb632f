//! Metric math over given series.

use cwbridge::math::{Queries, Rules, Series, Source, Table, Value as Found, parse};
use cwbridge::metric::{Period, Timestamp};
use serde_json::Value;

use super::Differences;
use super::case::{Case, numbers, time};

/// The id of the expression under test.
const RESULT: &str = "result";

pub(super) fn run(case: &Case) -> Differences {
    let refused = case.get("expected_error").as_bool() == Some(true);
    match (evaluate(case), refused) {
        (Err(_), true) => vec![],
        (Err(error), false) => vec![format!("refused: {error}")],
        (Ok(found), true) => vec![format!("expected to be refused, got {found:?}")],
        (Ok(found), false) => {
            let text = case.get("expression").as_str().unwrap();
            compare(case.get("expected"), found, text.contains("SORT"))
        }
    }
}

fn evaluate(case: &Case) -> Result<Found, String> {
    let rules = match case.get("context").as_str() {
        Some("alarm") => Rules::Alarm,
        _ => Rules::Query,
    };
    let inputs: Vec<(&String, Vec<Option<f64>>)> = case
        .get("inputs")
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, values)| (id, numbers(values)))
        .collect();
    let mut sources: Vec<(String, Source)> = inputs
        .iter()
        .map(|(id, _)| ((*id).clone(), Source::Metric))
        .collect();
    let others = case
        .get("other_expressions")
        .as_object()
        .into_iter()
        .flatten();
    let others = others.map(|(id, text)| (id.clone(), text.as_str().unwrap().to_owned()));
    let own = (
        RESULT.to_owned(),
        case.get("expression").as_str().unwrap().to_owned(),
    );
    for (id, text) in others.chain([own]) {
        let expression = parse(&text).map_err(|error| error.to_string())?;
        sources.push((id, Source::Expression(expression)));
    }
    let queries = Queries::new(sources, rules).map_err(|errors| format!("{errors:?}"))?;
    queries
        .check_result(RESULT)
        .map_err(|errors| format!("{errors:?}"))?;
    let slots = inputs
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .unwrap_or(0);
    let period = case.get("period").as_u64().unwrap_or(60);
    let starts = starts(case, slots, period);
    let metrics: Vec<Series> = inputs
        .into_iter()
        .map(|(_, values)| values.into_iter().collect())
        .collect();
    let table = Table {
        starts: &starts,
        period: Period::new(period.try_into().unwrap()).unwrap(),
        metrics: &metrics,
        band: None,
    };
    queries
        .evaluate(RESULT, &table)
        .map_err(|error| error.to_string())
}

fn starts(case: &Case, slots: usize, period: u64) -> Vec<Timestamp> {
    let given = case.list("timestamps");
    if given.is_empty() {
        let first = time("10:00:00");
        return (0..slots as i64)
            .map(|slot| first + slot * period as i64)
            .collect();
    }
    given
        .iter()
        .map(|stamp| time(stamp.as_str().unwrap()))
        .collect()
}

/// A list of values is one series, a list of ids with values an array, which has an order if it was given one.
fn compare(expected: &Value, found: Found, is_sorted: bool) -> Differences {
    let is_array = expected
        .as_array()
        .is_some_and(|list| list.first().is_some_and(Value::is_array));
    match found {
        Found::Series(series) if !is_array => compare_series("", expected, &series),
        Found::Array(mut found) if is_array => {
            let mut expected = expected.as_array().unwrap().clone();
            if !is_sorted {
                expected.sort_by_key(|series| series[0].as_str().map(str::to_owned));
                found.sort_by_key(|series| series.id.clone());
            }
            if expected.len() != found.len() {
                return vec![format!(
                    "expected {} series, got {}",
                    expected.len(),
                    found.len()
                )];
            }
            let pairs = expected.iter().zip(&found);
            pairs
                .flat_map(|(expected, found)| {
                    let id = expected[0].as_str().unwrap();
                    let mut differences = compare_series(id, &expected[1], &found.series);
                    if found.id.as_deref() != Some(id) {
                        differences.push(format!("expected series `{id}`, got {:?}", found.id));
                    }
                    differences
                })
                .collect()
        }
        found => vec![format!("expected {expected}, got {found:?}")],
    }
}

fn compare_series(id: &str, expected: &Value, found: &Series) -> Differences {
    let list = expected.as_array().map_or(&[][..], Vec::as_slice);
    let got: Vec<Option<f64>> = found.iter().collect();
    let near = |expected: f64, got: f64| (expected - got).abs() <= 1e-9 * expected.abs().max(1.0);
    let fits = |(expected, got): (&Value, &Option<f64>)| match (expected, got) {
        (Value::String(star), _) => star == "*",
        (Value::Null, got) => got.is_none(),
        (expected, Some(got)) => expected
            .as_f64()
            .is_some_and(|expected| near(expected, *got)),
        (_, None) => false,
    };
    let all = list.len() == got.len() && list.iter().zip(&got).all(fits);
    if all {
        vec![]
    } else {
        vec![format!("{id} expected {expected}, got {got:?}")]
    }
}
