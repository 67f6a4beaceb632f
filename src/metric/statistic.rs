//! The four numbers that summarise samples, and the statistics of a period.

use std::fmt;
use std::sync::Arc;

use super::ExtendedStatistic;

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
    pub fn get(&self, statistic: BasicStatistic) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        Some(match statistic {
            BasicStatistic::Average => self.sum / self.sample_count,
            BasicStatistic::Sum => self.sum,
            BasicStatistic::Minimum => self.minimum,
            BasicStatistic::Maximum => self.maximum,
            BasicStatistic::SampleCount => self.sample_count,
        })
    }

    /// The one value that every sample has, if all are alike: then the set says as much as its samples (SPEC section 2.5).
    pub fn only_value(&self) -> Option<f64> {
        const ROUNDING: f64 = 1e-9;
        let sum = self.minimum * self.sample_count;
        let alike = self.minimum >= self.maximum && (self.sum - sum).abs() <= ROUNDING * sum.abs();
        alike.then_some(self.minimum)
    }
}

/// A statistic that a statistic set is enough for, by its CloudWatch name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BasicStatistic {
    Average,
    Sum,
    Minimum,
    Maximum,
    SampleCount,
}

impl BasicStatistic {
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

/// What is read from the samples of a period.
#[derive(Clone, Debug, PartialEq)]
pub enum Statistic {
    Basic(BasicStatistic),
    /// Needs the samples themselves.
    Extended(Arc<ExtendedStatistic>),
}

impl Statistic {
    /// Any statistic by the name that `MetricStat` takes: `Average`, `p99`, `TM(10%:90%)`; `None` for any other.
    pub fn from_name(name: &str) -> Option<Self> {
        let extended = || ExtendedStatistic::from_name(name).map(Arc::new);
        BasicStatistic::from_name(name)
            .map(Self::Basic)
            .or_else(|| extended().map(Self::Extended))
    }

    /// As it was written.
    pub fn name(&self) -> &str {
        match self {
            Self::Basic(basic) => basic.name(),
            Self::Extended(extended) => extended.name(),
        }
    }

    pub fn is_extended(&self) -> bool {
        matches!(self, Self::Extended(_))
    }

    /// The statistic of a period. `values` are its samples, ascending, with their counts; `None` where they are not known,
    /// so that only a basic statistic has a value.
    pub fn of(&self, set: &StatisticSet, values: Option<&[(f64, f64)]>) -> Option<f64> {
        match self {
            Self::Basic(basic) => set.get(*basic),
            // CloudWatch has none where a sample is negative (SPEC section 2.5).
            Self::Extended(_) if set.minimum < 0.0 => None,
            Self::Extended(extended) => extended.of(values?),
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
        let got = BasicStatistic::ALL.map(|statistic| set.get(statistic));
        assert_eq!(
            got,
            [Some(7.0), Some(42.0), Some(1.0), Some(10.0), Some(6.0)]
        );
    }

    #[test]
    fn nothing_is_missing_not_zero() {
        assert_eq!(StatisticSet::EMPTY.get(BasicStatistic::Sum), None);
        assert_eq!(
            StatisticSet::of(0.0, 1.0).get(BasicStatistic::Sum),
            Some(0.0)
        );
    }

    #[test]
    fn merging_with_nothing_changes_nothing() {
        let mut set = StatisticSet::of(3.0, 1.0);
        set.merge(&StatisticSet::EMPTY);
        assert_eq!(set, StatisticSet::of(3.0, 1.0));
    }

    #[test]
    fn a_set_of_equal_samples_says_what_they_are() {
        assert_eq!(StatisticSet::of(5.0, 10.0).only_value(), Some(5.0));
        let mut set = StatisticSet::of(1.0, 1.0);
        set.merge(&StatisticSet::of(2.0, 1.0));
        assert_eq!(set.only_value(), None);
    }
}
