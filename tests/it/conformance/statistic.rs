//! Statistics of samples that fall into one slot.

use std::collections::HashMap;
use std::sync::Arc;

use cwbridge::definition::metric_data;
use cwbridge::metric::{Reading, Statistic, Timestamp, Unit};
use cwbridge::store::{DatapointStore, Need};
use serde_json::{Value, json};

use super::Differences;
use super::case::{Case, time};

pub(super) fn run(case: &Case) -> Differences {
    let mut slot = Slot::of(case);
    let mut differences = Vec::new();
    for (name, expected) in case.get("expected").as_object().into_iter().flatten() {
        match (name.as_str(), Unit::from_name(name)) {
            ("equal", _) => differences.extend(
                expected
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|pair| slot.equal(pair)),
            ),
            ("product", _) => differences.extend(
                expected
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|row| slot.product(row)),
            ),
            (_, Some(unit)) => {
                for (name, expected) in expected.as_object().into_iter().flatten() {
                    differences.extend(slot.check(name, Some(unit), expected));
                }
            }
            (name, None) => differences.extend(slot.check(name, None, expected)),
        }
    }
    differences
}

/// The samples of a case, all of one metric and in one minute.
struct Slot {
    store: DatapointStore,
    start: Timestamp,
}

impl Slot {
    fn of(case: &Case) -> Self {
        let start = time("10:00:00");
        let data: Vec<Value> = case
            .list("samples")
            .iter()
            .map(|sample| {
                let mut datum = sample.clone();
                datum["MetricName"] = "m".into();
                datum
            })
            .collect();
        let request = json!({"Namespace": "n", "MetricData": data});
        let samples =
            metric_data("case", &request.to_string(), start).expect("the samples are sound");
        let mut store = DatapointStore::default();
        let need = Need {
            seconds: 3_600,
            values: true,
        };
        store.keep_history(HashMap::from([(Arc::clone(&samples[0].metric), need)]));
        let mut dropped = Vec::new();
        store.record(&Reading { at: start, samples }, &mut dropped);
        assert_eq!(dropped, [], "every sample is taken");
        store.close_all();
        Self { store, start }
    }

    /// The value of a statistic, of the only unit unless one is named.
    fn value(&mut self, name: &str, unit: Option<Unit>) -> Option<f64> {
        let statistic =
            Statistic::from_name(name).unwrap_or_else(|| panic!("there is no statistic `{name}`"));
        let metric = cwbridge::metric::Metric::new("n", "m", vec![]);
        let series: Vec<_> = self.store.series(&metric, unit).collect();
        assert_eq!(series.len(), 1, "one unit is read");
        let period = (self.start, self.start + 60);
        self.store
            .period(series[0], &statistic, period, self.start + 60)
            .value
    }

    fn check(&mut self, name: &str, unit: Option<Unit>, expected: &Value) -> Differences {
        differ(name, expected.as_f64(), self.value(name, unit))
    }

    /// Two statistics that have the same value.
    fn equal(&mut self, pair: &Value) -> Differences {
        let [a, b] = [0, 1].map(|i| pair[i].as_str().unwrap());
        let (expected, got) = (self.value(b, None), self.value(a, None));
        differ(&format!("{a} = {b}"), expected, got)
    }

    /// A statistic that is the product of two others.
    fn product(&mut self, row: &Value) -> Differences {
        let [product, a, b] = [0, 1, 2].map(|i| row[i].as_str().unwrap());
        let (x, y) = (self.value(a, None), self.value(b, None));
        let expected = x.zip(y).map(|(x, y)| x * y);
        differ(
            &format!("{product} = {a} * {b}"),
            expected,
            self.value(product, None),
        )
    }
}

fn differ(what: &str, expected: Option<f64>, got: Option<f64>) -> Differences {
    let near = |expected: f64, got: f64| (expected - got).abs() <= 1e-9 * expected.abs().max(1.0);
    let same = match (expected, got) {
        (Some(expected), Some(got)) => near(expected, got),
        (expected, got) => expected == got,
    };
    if same {
        vec![]
    } else {
        vec![format!("{what}: expected {expected:?}, got {got:?}")]
    }
}
