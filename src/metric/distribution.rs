//! The distinct values of a slot with their counts, as PutMetricData takes them.

use std::collections::BTreeMap;

/// The most distinct values that one datum may carry (SPEC section 2.2).
pub const DISTRIBUTION_VALUES_MAX: usize = 150;

/// The growth of bucket bounds that bucketing starts with; squared as often as needed to stay within
/// [`DISTRIBUTION_VALUES_MAX`].
const FINEST_GROWTH: f64 = 1.001;

/// Distinct values with counts: exact while they fit into one datum, beyond that gathered into buckets whose bounds
/// grow by a constant factor, so that every value is known to within [`Distribution::relative_error`].
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Ascending by value.
    Exact(Vec<(f64, f64)>),
    Bucketed {
        growth: f64,
        counts: BTreeMap<Bucket, f64>,
    },
}

/// Ascending with the values it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bucket {
    /// Holds `-growth^-n ..= -growth^(-n - 1)` exclusive of the latter; the exponent is negated to sort.
    Negative(i32),
    Zero,
    /// Holds `growth^(n - 1) < value <= growth^n`.
    Positive(i32),
}

impl Distribution {
    pub fn new() -> Self {
        Self(Kind::Exact(Vec::new()))
    }

    pub fn add(&mut self, value: f64, count: f64) {
        match &mut self.0 {
            Kind::Exact(values) => {
                match values.binary_search_by(|(known, _)| known.total_cmp(&value)) {
                    Ok(i) => values[i].1 += count,
                    Err(i) => values.insert(i, (value, count)),
                }
                if values.len() > DISTRIBUTION_VALUES_MAX {
                    self.0 = bucketed(values);
                }
            }
            Kind::Bucketed { growth, counts } => {
                *counts.entry(Bucket::of(value, *growth)).or_default() += count;
                coarsen(growth, counts);
            }
        }
    }

    /// How many distinct values there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Exact(values) => values.len(),
            Kind::Bucketed { counts, .. } => counts.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ascending values with their counts; bucket representatives where values were bucketed.
    pub fn values(&self) -> Vec<(f64, f64)> {
        match &self.0 {
            Kind::Exact(values) => values.clone(),
            Kind::Bucketed { growth, counts } => counts
                .iter()
                .map(|(bucket, count)| (bucket.representative(*growth), *count))
                .collect(),
        }
    }

    /// How far a value may be from the sample it stands for, as a share of the sample; 0 while values are exact.
    pub fn relative_error(&self) -> f64 {
        match &self.0 {
            Kind::Exact(_) => 0.0,
            Kind::Bucketed { growth, .. } => (growth - 1.0) / (growth + 1.0),
        }
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

fn bucketed(values: &[(f64, f64)]) -> Kind {
    let mut growth = FINEST_GROWTH;
    let mut counts = BTreeMap::new();
    for (value, count) in values {
        *counts.entry(Bucket::of(*value, growth)).or_default() += count;
    }
    coarsen(&mut growth, &mut counts);
    Kind::Bucketed { growth, counts }
}

/// Joins neighbouring buckets until they fit into one datum.
fn coarsen(growth: &mut f64, counts: &mut BTreeMap<Bucket, f64>) {
    while counts.len() > DISTRIBUTION_VALUES_MAX {
        *growth *= *growth;
        for (bucket, count) in std::mem::take(counts) {
            *counts.entry(bucket.joined()).or_default() += count;
        }
    }
}

impl Bucket {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "ln of a finite f64 over ln 1.001 is below a million"
    )]
    fn of(value: f64, growth: f64) -> Self {
        if value == 0.0 {
            return Self::Zero;
        }
        let exponent = (value.abs().ln() / growth.ln()).ceil() as i32;
        if value > 0.0 {
            Self::Positive(exponent)
        } else {
            Self::Negative(-exponent)
        }
    }

    /// The bucket that holds this one when the growth is squared.
    fn joined(self) -> Self {
        let half = |exponent: i32| (exponent + 1).div_euclid(2);
        match self {
            Self::Negative(negated) => Self::Negative(-half(-negated)),
            Self::Zero => Self::Zero,
            Self::Positive(exponent) => Self::Positive(half(exponent)),
        }
    }

    /// The value that is relatively as far from the bucket's lower as from its upper bound.
    fn representative(self, growth: f64) -> f64 {
        let magnitude = |exponent: i32| 2.0 * growth.powi(exponent) / (growth + 1.0);
        match self {
            Self::Negative(negated) => -magnitude(-negated),
            Self::Zero => 0.0,
            Self::Positive(exponent) => magnitude(exponent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_values_are_counted_together() {
        let mut distribution = Distribution::new();
        for value in [2.0, 1.0, 2.0] {
            distribution.add(value, 1.0);
        }
        assert_eq!(distribution.values(), [(1.0, 1.0), (2.0, 2.0)]);
        assert!(distribution.relative_error() == 0.0);
    }

    proptest! {
        #[test]
        fn any_samples_fit_one_datum_within_the_stated_error(
            mut samples in prop::collection::vec(prop_oneof![Just(0.0), -1e9..1e9_f64, 1e-9..1e-3_f64], 1..1000)
        ) {
            let mut distribution = Distribution::new();
            for sample in &samples {
                distribution.add(*sample, 1.0);
            }
            let values = distribution.values();
            prop_assert!(values.len() <= DISTRIBUTION_VALUES_MAX);
            prop_assert!(values.is_sorted_by(|a, b| a.0 < b.0));
            samples.sort_by(f64::total_cmp);
            let mut rest = samples.iter();
            for (value, count) in values {
                for _ in 0..count as usize {
                    let sample = rest.next().expect("counts add up to the samples");
                    let error = (value - sample).abs();
                    prop_assert!(error <= sample.abs() * distribution.relative_error() * (1.0 + 1e-6), "{value} for {sample}");
                }
            }
            prop_assert!(rest.next().is_none());
        }
    }
}
