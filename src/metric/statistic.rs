//! The four numbers that summarise samples, and the statistics read from them.

use std::fmt;

/// Sample count, sum, minimum and maximum: enough to merge, and to rebuild every basic statistic of a longer period
/// (SPEC section 2.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatisticSet {
    pub sample_count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

impl StatisticSet {
    /// No sample at all: what a missing datapoint holds.
    pub const EMPTY: Self = Self {
        sample_count: 0.0,
        sum: 0.0,
        minimum: f64::INFINITY,
        maximum: f64::NEG_INFINITY,
    };

    /// `count` samples of the same `value`.
    pub fn of(value: f64, count: f64) -> Self {
        Self {
            sample_count: count,
            sum: value * count,
            minimum: value,
            maximum: value,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.sample_count == 0.0
    }

    pub fn merge(&mut self, other: &Self) {
        self.sample_count += other.sample_count;
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
    }

    /// `None` without a sample: the datapoint is missing, which is not the same as 0.
    pub fn get(&self, statistic: Statistic) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        Some(match statistic {
            Statistic::Average => self.sum / self.sample_count,
            Statistic::Sum => self.sum,
            Statistic::Minimum => self.minimum,
            Statistic::Maximum => self.maximum,
            Statistic::SampleCount => self.sample_count,
        })
    }
}

/// A basic statistic, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    Average,
    Sum,
    Minimum,
    Maximum,
    SampleCount,
}

impl Statistic {
    pub const ALL: [Self; 5] = [
        Self::Average,
        Self::Sum,
        Self::Minimum,
        Self::Maximum,
        Self::SampleCount,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|statistic| statistic.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Sum => "Sum",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::SampleCount => "SampleCount",
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded by `LocalStack` on AWS (`test_put_metric_data_values_list`): values 1 and 10, counts 2 and 4.
    #[test]
    fn values_with_counts_sum_up_as_recorded() {
        let mut set = StatisticSet::of(1.0, 2.0);
        set.merge(&StatisticSet::of(10.0, 4.0));
        let got = Statistic::ALL.map(|statistic| set.get(statistic));
        assert_eq!(
            got,
            [Some(7.0), Some(42.0), Some(1.0), Some(10.0), Some(6.0)]
        );
    }

    #[test]
    fn nothing_is_missing_not_zero() {
        assert_eq!(StatisticSet::EMPTY.get(Statistic::Sum), None);
        assert_eq!(StatisticSet::of(0.0, 1.0).get(Statistic::Sum), Some(0.0));
    }

    #[test]
    fn merging_with_nothing_changes_nothing() {
        let mut set = StatisticSet::of(3.0, 1.0);
        set.merge(&StatisticSet::EMPTY);
        assert_eq!(set, StatisticSet::of(3.0, 1.0));
    }
}
