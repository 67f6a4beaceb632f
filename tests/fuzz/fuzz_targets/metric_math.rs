//! Metric math: what can be read can be printed, and what passes the check can be evaluated.

#![no_main]

use cwbridge::math::{
    Band, ErrorKind, EvaluationError, Queries, Rules, Series, Source, Table, Value, parse,
};
use cwbridge::metric::{Period, Timestamp};
use libfuzzer_sys::fuzz_target;

const SLOTS: u8 = 6;

fuzz_target!(|text: &str| {
    let Ok(expression) = parse(text) else {
        return;
    };
    let printed = expression.to_string();
    match parse(&printed) {
        Ok(again) => assert_eq!((again.to_string(), again), (printed, expression.clone())),
        // Powers that are ambiguous are printed in parentheses, and so may come to lie deeper than is read.
        Err(error) => assert!(
            error.kind == ErrorKind::Nesting && expression.ambiguous().is_some(),
            "{printed}: {error}"
        ),
    }
    for rules in [Rules::Alarm, Rules::Query] {
        let sources = [
            ("m1", Source::Metric),
            ("m2", Source::Metric),
            (
                "e0",
                Source::Expression(parse("m1 * 2").expect("this is one")),
            ),
            ("e1", Source::Expression(expression.clone())),
        ];
        let sources = sources.map(|(id, source)| (id.to_owned(), source));
        if let Ok(queries) = Queries::new(sources.into(), rules) {
            evaluate(&queries);
        }
    }
});

fn evaluate(queries: &Queries) {
    let starts: Vec<Timestamp> = (0..SLOTS)
        .map(|slot| Timestamp::from_seconds(60 * i64::from(slot)))
        .collect();
    let series = |first: f64| -> Series {
        let value = |slot| (slot != 3).then(|| first + f64::from(slot));
        (0..SLOTS).map(value).collect()
    };
    let band = Band {
        lower: series(0.0),
        upper: series(10.0),
    };
    let table = Table {
        starts: &starts,
        period: Period::new(60).expect("a minute is one"),
        metrics: &[series(-2.0), series(5.0)],
        band: Some(&band),
    };
    let returns_data = queries.check_result("e1").is_ok();
    match queries.evaluate("e1", &table) {
        Ok(Value::Series(series)) => {
            assert_eq!(series.len(), usize::from(SLOTS));
            assert!(series.iter().flatten().all(f64::is_finite));
        }
        Ok(Value::Scalar(_)) => assert!(!returns_data, "a result is a series"),
        Ok(Value::Array(array)) => {
            let mut lengths = array.iter().map(|labeled| labeled.series.len());
            assert!(lengths.all(|length| length == usize::from(SLOTS)));
        }
        Err(EvaluationError::External { .. } | EvaluationError::Array) => {}
        Err(error) => panic!("passed the check, but: {error}"),
    }
}
