//! The functions of metric math and what they take and yield: one table, one row per function (SPEC section 8.3).

use Parameter::{
    Anything, Array, Filler, Metric, Order, Scalar, ScalarOrSeries, Series, SeriesOrArray, SortKey,
    Text, TextOrList,
};

/// A function by what it does; its name is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    AnomalyDetectionBand,
    Avg,
    Ceil,
    DatapointCount,
    Date,
    Day,
    DbPerfInsights,
    Diff,
    DiffTime,
    Epoch,
    Fill,
    First,
    Floor,
    Hour,
    If,
    InsightRuleMetric,
    Lambda,
    Last,
    Log,
    Log10,
    Max,
    MetricCount,
    Metrics,
    Min,
    Minute,
    Month,
    Period,
    Rate,
    RemoveEmpty,
    RunningSum,
    Search,
    ServiceQuota,
    Slice,
    Sort,
    Stddev,
    Sum,
    TimeSeries,
    Year,
}

impl Function {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.name == name)?;
        Some(row.function)
    }

    pub(super) fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether the function draws on something that is not on this host. A band is not counted: it can be supplied.
    pub(super) fn is_external(self) -> bool {
        matches!(
            self,
            Self::DbPerfInsights
                | Self::InsightRuleMetric
                | Self::Lambda
                | Self::Search
                | Self::ServiceQuota
        )
    }

    /// The table is in the order of the variants, which a test makes sure of.
    pub(super) fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// A bare word that tells a function how to do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Asc,
    Avg,
    Desc,
    Linear,
    Max,
    Min,
    Repeat,
    Sum,
}

impl Keyword {
    pub(super) const ALL: [Self; 8] = [
        Self::Asc,
        Self::Avg,
        Self::Desc,
        Self::Linear,
        Self::Max,
        Self::Min,
        Self::Repeat,
        Self::Sum,
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Asc => "ASC",
            Self::Avg => "AVG",
            Self::Desc => "DESC",
            Self::Linear => "LINEAR",
            Self::Max => "MAX",
            Self::Min => "MIN",
            Self::Repeat => "REPEAT",
            Self::Sum => "SUM",
        }
    }
}

/// What may stand in one place of an argument list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Scalar,
    Series,
    Array,
    ScalarOrSeries,
    SeriesOrArray,
    /// The id of a metric itself, which alone has a period.
    Metric,
    Text,
    TextOrList,
    Filler,
    SortKey,
    Order,
    /// As the last parameter, as often as wanted.
    Anything,
}

impl Parameter {
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Scalar => "a scalar",
            Self::Series => "a series",
            Self::Array => "an array of series",
            Self::ScalarOrSeries => "a scalar or a series",
            Self::SeriesOrArray => "a series or an array of series",
            Self::Metric => "the id of a metric",
            Self::Text => "a string",
            Self::TextOrList => "a string or an array of strings",
            Self::Filler => "a scalar, a series, `LINEAR` or `REPEAT`",
            Self::SortKey => "`AVG`, `MAX`, `MIN` or `SUM`",
            Self::Order => "`ASC` or `DESC`",
            Self::Anything => "a value",
        }
    }
}

/// How the type of a result follows from the types of the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Yields {
    Scalar,
    Series,
    Array,
    /// The type of the first argument.
    Same,
    /// A scalar for a series, and a series for an array.
    Reduced,
    /// A series for one string as the last argument, and an array for several.
    PerText,
    /// Only the function called knows.
    Undetermined,
}

/// One function as the documents describe it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) function: Function,
    pub(super) name: &'static str,
    parameters: &'static [Parameter],
    required: usize,
    pub(super) yields: Yields,
}

impl Row {
    /// What the argument at `position` must be; `None` if there is no such argument.
    pub(super) fn parameter(&self, position: usize) -> Option<Parameter> {
        let last = self.parameters.last().copied();
        let repeated = last.filter(|&parameter| parameter == Anything);
        self.parameters.get(position).copied().or(repeated)
    }

    pub(super) fn accepts_count(&self, count: usize) -> bool {
        count >= self.required && (count == 0 || self.parameter(count - 1).is_some())
    }

    /// The allowed number of arguments in words.
    pub(super) fn counts(&self) -> String {
        let (least, most) = (self.required, self.parameters.len());
        match (least, most) {
            _ if self.parameters.last() == Some(&Anything) => format!("at least {least}"),
            _ if least == most => format!("{most}"),
            _ => format!("{least} or {most}"),
        }
    }
}

const fn row(
    function: Function,
    name: &'static str,
    required: usize,
    parameters: &'static [Parameter],
    yields: Yields,
) -> Row {
    Row {
        function,
        name,
        parameters,
        required,
        yields,
    }
}

#[rustfmt::skip] // one row per function, as in SPEC section 8.3
const TABLE: [Row; 39] = [
    row(Function::Abs, "ABS", 1, &[SeriesOrArray], Yields::Same),
    row(Function::AnomalyDetectionBand, "ANOMALY_DETECTION_BAND", 1, &[Series, Scalar], Yields::Array),
    row(Function::Avg, "AVG", 1, &[SeriesOrArray], Yields::Reduced),
    row(Function::Ceil, "CEIL", 1, &[SeriesOrArray], Yields::Same),
    row(Function::DatapointCount, "DATAPOINT_COUNT", 1, &[SeriesOrArray], Yields::Reduced),
    row(Function::Date, "DATE", 1, &[Series], Yields::Series),
    row(Function::Day, "DAY", 1, &[Series], Yields::Series),
    row(Function::DbPerfInsights, "DB_PERF_INSIGHTS", 3, &[Text, Text, TextOrList], Yields::PerText),
    row(Function::Diff, "DIFF", 1, &[SeriesOrArray], Yields::Same),
    row(Function::DiffTime, "DIFF_TIME", 1, &[SeriesOrArray], Yields::Same),
    row(Function::Epoch, "EPOCH", 1, &[Series], Yields::Series),
    row(Function::Fill, "FILL", 2, &[SeriesOrArray, Filler], Yields::Same),
    row(Function::First, "FIRST", 1, &[Array], Yields::Series),
    row(Function::Floor, "FLOOR", 1, &[SeriesOrArray], Yields::Same),
    row(Function::Hour, "HOUR", 1, &[Series], Yields::Series),
    row(Function::If, "IF", 2, &[ScalarOrSeries, ScalarOrSeries, ScalarOrSeries], Yields::Series),
    row(Function::InsightRuleMetric, "INSIGHT_RULE_METRIC", 2, &[Text, Text], Yields::Series),
    row(Function::Lambda, "LAMBDA", 1, &[Text, Anything], Yields::Undetermined),
    row(Function::Last, "LAST", 1, &[Array], Yields::Series),
    row(Function::Log, "LOG", 1, &[SeriesOrArray], Yields::Same),
    row(Function::Log10, "LOG10", 1, &[SeriesOrArray], Yields::Same),
    row(Function::Max, "MAX", 1, &[SeriesOrArray], Yields::Reduced),
    row(Function::MetricCount, "METRIC_COUNT", 1, &[Array], Yields::Scalar),
    row(Function::Metrics, "METRICS", 0, &[Text], Yields::Array),
    row(Function::Min, "MIN", 1, &[SeriesOrArray], Yields::Reduced),
    row(Function::Minute, "MINUTE", 1, &[Series], Yields::Series),
    row(Function::Month, "MONTH", 1, &[Series], Yields::Series),
    row(Function::Period, "PERIOD", 1, &[Metric], Yields::Scalar),
    row(Function::Rate, "RATE", 1, &[SeriesOrArray], Yields::Same),
    row(Function::RemoveEmpty, "REMOVE_EMPTY", 1, &[Array], Yields::Array),
    row(Function::RunningSum, "RUNNING_SUM", 1, &[SeriesOrArray], Yields::Same),
    row(Function::Search, "SEARCH", 2, &[Text, Text, Scalar], Yields::Array),
    row(Function::ServiceQuota, "SERVICE_QUOTA", 1, &[Series], Yields::Series),
    row(Function::Slice, "SLICE", 2, &[Array, Scalar, Scalar], Yields::Array),
    row(Function::Sort, "SORT", 3, &[Array, SortKey, Order, Scalar], Yields::Array),
    row(Function::Stddev, "STDDEV", 1, &[SeriesOrArray], Yields::Reduced),
    row(Function::Sum, "SUM", 1, &[SeriesOrArray], Yields::Reduced),
    row(Function::TimeSeries, "TIME_SERIES", 1, &[Scalar], Yields::Series),
    row(Function::Year, "YEAR", 1, &[Series], Yields::Series),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_variants() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.function as usize, i, "{}", row.name);
            assert_eq!(Function::from_name(row.name), Some(row.function));
        }
        assert_eq!(Function::Year as usize, TABLE.len() - 1);
    }

    #[test]
    fn counts_of_arguments_are_in_words() {
        let counts = |function: Function| function.row().counts();
        assert_eq!(counts(Function::Abs), "1");
        assert_eq!(counts(Function::Metrics), "0 or 1");
        assert_eq!(counts(Function::Sort), "3 or 4");
        assert_eq!(counts(Function::Lambda), "at least 1");
    }
}
