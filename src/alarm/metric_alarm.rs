//! An alarm on one series of numbers: a metric's statistic, metric math, a band or a query.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::metric::{Metric, Period, Statistic, Unit};

use super::MathSource;

/// Why an alarm on a band is not judged unless the band is supplied.
pub(super) const NEEDS_MODEL: &str = "anomaly detection needs a model that only CloudWatch has";

/// An alarm on M out of N datapoints (SPEC section 5).
#[derive(Clone, Debug, PartialEq)]
pub struct MetricAlarm {
    pub source: Source,
    pub period: Period,
    /// N in "M out of N".
    pub evaluation_periods: u32,
    /// M in "M out of N", where the definition sets it: the state reason depends on that.
    pub datapoints_to_alarm: Option<u32>,
    pub comparison: Comparison,
    pub treat_missing_data: Option<TreatMissingData>,
    pub low_sample_percentile: Option<LowSamplePercentile>,
    pub evaluation_window: EvaluationWindow,
    pub warm_up: Option<WarmUp>,
}

/// Where the datapoints come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Stat(MetricStat),
    /// Boxed, being much larger than the usual case.
    Math(Box<MathSource>),
    /// A Metrics Insights query, which only CloudWatch can run (SPEC section 10).
    Query {
        id: String,
        query: String,
    },
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricStat {
    pub metric: Arc<Metric>,
    pub statistic: Statistic,
    /// Only samples of this unit are read.
    pub unit: Option<Unit>,
}

/// What a datapoint is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    Threshold {
        operator: ComparisonOperator,
        threshold: f64,
    },
    /// The band of an anomaly detection model (SPEC section 9).
    Band {
        operator: BandOperator,
        /// Which query returns the band.
        threshold_metric_id: String,
    },
}

/// The bounds that a value is expected in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    pub lower: f64,
    pub upper: f64,
}

/// `EvaluateLowSampleCountPercentile` (SPEC section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowSamplePercentile {
    Evaluate,
    /// The state is kept while there are too few samples.
    Ignore,
}

/// Where periods begin and end.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum EvaluationWindow {
    /// At the evaluation, whenever that is (SPEC section 4.1).
    #[default]
    Sliding,
    /// On the clock of a time zone (SPEC section 13).
    WallClock { zone: TimeZone },
}

impl EvaluationWindow {
    /// The time zone of a wall clock, by its name or its offset from UTC.
    pub fn zone_name(&self) -> Option<String> {
        let Self::WallClock { zone } = self else {
            return None;
        };
        let offset = || zone.to_fixed_offset().map(|offset| offset.to_string());
        let name = zone.iana_name().map(str::to_owned);
        name.or_else(|| offset().ok())
    }
}

/// For how long a new alarm is not judged (SPEC section 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    pub minutes: u32,
    /// Whether it lasts to its end although there is data enough before.
    pub to_the_end: bool,
}

impl MetricAlarm {
    /// M: every evaluation period, unless set.
    pub fn minimum_to_alarm(&self) -> u32 {
        self.datapoints_to_alarm.unwrap_or(self.evaluation_periods)
    }

    /// `missing` unless set, `ignore` for DynamoDB's metrics (SPEC section 5.6).
    pub fn treatment(&self) -> TreatMissingData {
        self.treat_missing_data
            .unwrap_or(match self.is_dynamo_db() {
                true => TreatMissingData::Ignore,
                false => TreatMissingData::Missing,
            })
    }

    /// Whether AWS's documents contradict each other on how missing data is treated (SPEC sections 0 and 5.6).
    pub fn is_treatment_disputed(&self) -> bool {
        self.is_dynamo_db() && self.treatment() != TreatMissingData::Ignore
    }

    fn is_dynamo_db(&self) -> bool {
        self.stat()
            .is_some_and(|stat| stat.metric.namespace == "AWS/DynamoDB")
    }

    /// The one statistic that is compared with a threshold, unless it is computed from several.
    pub fn stat(&self) -> Option<&MetricStat> {
        match &self.source {
            Source::Stat(stat) => Some(stat),
            Source::Math(_) | Source::Query { .. } => None,
        }
    }

    /// Every statistic that is read.
    pub fn stats(&self) -> Vec<&MetricStat> {
        match &self.source {
            Source::Stat(stat) => vec![stat],
            Source::Math(math) => math.stats().collect(),
            Source::Query { .. } => Vec::new(),
        }
    }

    /// The same on other metrics, for which `replace` is asked; the first error ends it.
    pub fn with_metrics<E>(
        &self,
        mut replace: impl FnMut(&MetricStat) -> Result<MetricStat, E>,
    ) -> Result<Self, E> {
        let source = match &self.source {
            Source::Stat(stat) => Source::Stat(replace(stat)?),
            Source::Math(math) => Source::Math(Box::new(math.with_metrics(replace)?)),
            Source::Query { .. } => self.source.clone(),
        };
        Ok(Self {
            source,
            ..self.clone()
        })
    }

    /// `None` for a band.
    pub fn threshold(&self) -> Option<f64> {
        match self.comparison {
            Comparison::Threshold { threshold, .. } => Some(threshold),
            Comparison::Band { .. } => None,
        }
    }

    /// Whether its datapoints can be computed by CloudWatch alone, whatever is supplied.
    pub(super) fn is_external(&self) -> bool {
        match &self.source {
            Source::Stat(_) => false,
            Source::Math(math) => math.external().is_some(),
            Source::Query { .. } => true,
        }
    }

    /// What only CloudWatch has and this alarm needs.
    pub fn needs(&self) -> Option<String> {
        match (&self.source, &self.comparison) {
            (Source::Query { .. }, _) => {
                Some("Metrics Insights queries can only be run by CloudWatch".to_owned())
            }
            (Source::Math(math), _) => math.needs(),
            (_, Comparison::Band { .. }) => Some(NEEDS_MODEL.to_owned()),
            (Source::Stat(_), _) => None,
        }
    }
}

impl Comparison {
    /// Whether a datapoint is breaching; `None` where the band that it should be compared with is missing.
    pub fn is_breaching(&self, value: f64, band: Option<Band>) -> Option<bool> {
        match self {
            Self::Threshold {
                operator,
                threshold,
            } => Some(operator.is_breaching(value, *threshold)),
            Self::Band { operator, .. } => Some(operator.is_breaching(value, band?)),
        }
    }
}

/// How a statistic is compared with the threshold; the statistic is the left operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonOperator {
    GreaterThanThreshold,
    GreaterThanOrEqualToThreshold,
    LessThanThreshold,
    LessThanOrEqualToThreshold,
}

impl ComparisonOperator {
    pub const ALL: [Self; 4] = [
        Self::GreaterThanThreshold,
        Self::GreaterThanOrEqualToThreshold,
        Self::LessThanThreshold,
        Self::LessThanOrEqualToThreshold,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::GreaterThanThreshold => "GreaterThanThreshold",
            Self::GreaterThanOrEqualToThreshold => "GreaterThanOrEqualToThreshold",
            Self::LessThanThreshold => "LessThanThreshold",
            Self::LessThanOrEqualToThreshold => "LessThanOrEqualToThreshold",
        }
    }

    /// As state reasons put it: `greater than or equal to` (SPEC section 6.2).
    pub fn words(self) -> &'static str {
        match self {
            Self::GreaterThanThreshold => "greater than",
            Self::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Self::LessThanThreshold => "less than",
            Self::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }

    pub fn is_breaching(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanThreshold => value > threshold,
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
        }
    }
}

/// What a missing datapoint counts as, by its CloudWatch value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TreatMissingData {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl TreatMissingData {
    pub const ALL: [Self; 4] = [
        Self::Breaching,
        Self::NotBreaching,
        Self::Ignore,
        Self::Missing,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|treatment| treatment.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

/// How a value is compared with a band. On the bounds themselves it is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandOperator {
    LessThanLowerOrGreaterThanUpperThreshold,
    LessThanLowerThreshold,
    GreaterThanUpperThreshold,
}

impl BandOperator {
    pub const ALL: [Self; 3] = [
        Self::LessThanLowerOrGreaterThanUpperThreshold,
        Self::LessThanLowerThreshold,
        Self::GreaterThanUpperThreshold,
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::LessThanLowerOrGreaterThanUpperThreshold => {
                "LessThanLowerOrGreaterThanUpperThreshold"
            }
            Self::LessThanLowerThreshold => "LessThanLowerThreshold",
            Self::GreaterThanUpperThreshold => "GreaterThanUpperThreshold",
        }
    }

    fn is_breaching(self, value: f64, band: Band) -> bool {
        let (below, above) = (value < band.lower, value > band.upper);
        match self {
            Self::LessThanLowerOrGreaterThanUpperThreshold => below || above,
            Self::LessThanLowerThreshold => below,
            Self::GreaterThanUpperThreshold => above,
        }
    }
}
