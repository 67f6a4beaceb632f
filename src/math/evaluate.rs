//! Working out an expression over a table: a stack of values, and one operation on whole series at a time.
//!
//! An operation writes into the buffer of an operand if nothing else needs it and makes one new buffer otherwise. Types
//! were checked before ([`Queries`](super::Queries) does not exist without), so what does not fit here is a mistake of
//! this program, reported as [`EvaluationError::Unchecked`].

mod array;
mod condition;
mod gap;
mod instant;
mod operator;
mod reduce;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::vec::IntoIter;

pub use array::ARRAY_MAX;

use super::expression::{Expression, Node, NodeKind};
use super::function::{Function, Keyword};
use super::series::{Labeled, Series, Table, Value};

/// Why there is no result, not even an empty one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    #[error("no query has the id `{id}`")]
    UnknownId { id: String },
    #[error("`{function}` draws on data that is not on this host")]
    External { function: &'static str },
    #[error("`ANOMALY_DETECTION_BAND` needs a band, but none was supplied")]
    NoBand,
    #[error("an array is longer than {ARRAY_MAX} series")]
    Array,
    #[error("the table does not have one series for every metric and one value for every slot")]
    Shape,
    #[error("an expression was evaluated that does not pass the check of its types")]
    Unchecked,
}

/// What an id stands for while something is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reference<'a> {
    Metric(&'a Series),
    Result(&'a Value),
}

/// Everything that an expression can refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Environment<'a> {
    pub(super) table: &'a Table<'a>,
    /// The ids of the table's metrics.
    pub(super) metrics: &'a [&'a str],
    pub(super) references: &'a BTreeMap<&'a str, Reference<'a>>,
}

impl<'a> Environment<'a> {
    pub(super) fn evaluate(&self, expression: &'a Expression) -> Result<Value, EvaluationError> {
        if let Some(function) = expression.external() {
            return Err(EvaluationError::External { function });
        }
        let mut stack: Vec<Item<'a>> = Vec::new();
        for node in &expression.nodes {
            let first = stack.len().saturating_sub(node.kind.operands());
            let operands = Operands(stack.split_off(first).into_iter());
            stack.push(self.node(node, operands)?);
        }
        stack.pop().ok_or(EvaluationError::Unchecked)?.into_value()
    }

    fn node(
        &self,
        node: &'a Node,
        mut operands: Operands<'a>,
    ) -> Result<Item<'a>, EvaluationError> {
        match &node.kind {
            NodeKind::Number(number) => Ok(Item::Scalar(*number)),
            NodeKind::Text(text) => Ok(Item::Text(text)),
            NodeKind::Keyword(keyword) => Ok(Item::Keyword(*keyword)),
            NodeKind::Id(id) => self.reference(id),
            NodeKind::Negate => operator::negate(operands.next()?),
            NodeKind::Binary(operator) => {
                operator::binary(*operator, operands.next()?, operands.next()?)
            }
            NodeKind::Array(_) => array::concatenate(operands),
            NodeKind::Call { function, .. } => self.call(*function, operands),
        }
    }

    fn reference(&self, id: &'a str) -> Result<Item<'a>, EvaluationError> {
        match self.references.get(id) {
            Some(&Reference::Metric(series)) => Ok(Item::Series(Named::of(Some(id), series))),
            Some(&Reference::Result(value)) => Ok(borrowed(id, value)),
            None => Err(EvaluationError::UnknownId { id: id.to_owned() }),
        }
    }

    fn call(
        &self,
        function: Function,
        mut operands: Operands<'a>,
    ) -> Result<Item<'a>, EvaluationError> {
        let starts = self.table.starts;
        let slots = starts.len();
        match function {
            Function::Abs => operator::map(operands.next()?, f64::abs),
            Function::Ceil => operator::map(operands.next()?, f64::ceil),
            Function::Floor => operator::map(operands.next()?, f64::floor),
            Function::Log => operator::map(operands.next()?, f64::ln),
            Function::Log10 => operator::map(operands.next()?, f64::log10),
            Function::Avg => reduce::average(operands.next()?, slots),
            Function::Max => reduce::maximum(operands.next()?, slots),
            Function::Min => reduce::minimum(operands.next()?, slots),
            Function::Sum => reduce::sum(operands.next()?, slots),
            Function::Stddev => reduce::deviation(operands.next()?, slots),
            Function::DatapointCount => reduce::count(operands.next()?, slots),
            Function::Diff => gap::difference(operands.next()?),
            Function::DiffTime => gap::seconds_between(operands.next()?, starts),
            Function::Rate => gap::rate(operands.next()?, starts),
            Function::RunningSum => gap::running_sum(operands.next()?),
            Function::Fill => gap::fill(operands.next()?, operands.next()?, starts),
            Function::If => condition::choose(&mut operands, slots),
            Function::First => Ok(array::first(operands.array()?, slots)),
            Function::Last => Ok(array::last(operands.array()?, slots)),
            Function::MetricCount => Ok(Item::Scalar(exact(operands.array()?.len()))),
            Function::RemoveEmpty => Ok(array::remove_empty(operands.array()?)),
            Function::Slice => array::slice(&mut operands),
            Function::Sort => array::sort(&mut operands),
            Function::Metrics => self.metrics(operands.next().ok()),
            Function::Period => Ok(Item::Scalar(seconds(self.table.period.seconds()))),
            Function::TimeSeries => Ok(Item::from(Series::constant(slots, operands.scalar()?))),
            Function::AnomalyDetectionBand => self.band(),
            Function::Minute
            | Function::Hour
            | Function::Day
            | Function::Date
            | Function::Month
            | Function::Year
            | Function::Epoch => Ok(Item::from(instant::parts(function, starts))),
            Function::DbPerfInsights
            | Function::InsightRuleMetric
            | Function::Lambda
            | Function::Search
            | Function::ServiceQuota => Err(EvaluationError::External {
                function: function.name(),
            }),
        }
    }

    /// The metrics of the request, never its expressions; with a string, those whose ids contain it (SPEC section 8.3).
    fn metrics(&self, part: Option<Item<'a>>) -> Result<Item<'a>, EvaluationError> {
        let part = match part {
            None => "",
            Some(Item::Text(part)) => part,
            Some(_) => return Err(EvaluationError::Unchecked),
        };
        let metrics = self.metrics.iter().zip(self.table.metrics);
        let chosen = metrics.filter(|(id, _)| id.contains(part));
        Ok(Item::Array(
            chosen
                .map(|(id, series)| Named::of(Some(id), series))
                .collect(),
        ))
    }

    /// Lower bound first: `LAST` of a band is its upper bound (SPEC section 0).
    fn band(&self) -> Result<Item<'a>, EvaluationError> {
        let band = self.table.band.ok_or(EvaluationError::NoBand)?;
        let bounds = [&band.lower, &band.upper];
        Ok(Item::Array(
            bounds.map(|bound| Named::of(None, bound)).into(),
        ))
    }
}

/// A value on the stack. Series are borrowed until an operation changes them.
#[derive(Clone, Debug)]
enum Item<'a> {
    Scalar(f64),
    Series(Named<'a>),
    Array(Vec<Named<'a>>),
    Text(&'a str),
    Keyword(Keyword),
}

/// A series and the id of the query that it is the result of.
#[derive(Clone, Debug)]
struct Named<'a> {
    id: Option<&'a str>,
    series: Cow<'a, Series>,
}

impl<'a> Named<'a> {
    fn of(id: Option<&'a str>, series: &'a Series) -> Self {
        let series = Cow::Borrowed(series);
        Self { id, series }
    }

    fn into_labeled(self) -> Labeled {
        Labeled {
            id: self.id.map(str::to_owned),
            series: self.series.into_owned(),
        }
    }
}

impl From<Series> for Item<'_> {
    /// What was computed is no query's result yet.
    fn from(series: Series) -> Self {
        let series = Cow::Owned(series);
        Self::Series(Named { id: None, series })
    }
}

impl<'a> Item<'a> {
    fn into_value(self) -> Result<Value, EvaluationError> {
        match self {
            Self::Scalar(scalar) => Ok(Value::Scalar(scalar)),
            Self::Series(named) => Ok(Value::Series(named.series.into_owned())),
            Self::Array(array) => {
                let array = array.into_iter().map(Named::into_labeled);
                Ok(Value::Array(array.collect()))
            }
            Self::Text(_) | Self::Keyword(_) => Err(EvaluationError::Unchecked),
        }
    }

    /// Does the same with a series and with each one of an array, which keep their ids.
    fn each(
        self,
        mut work: impl FnMut(Cow<'a, Series>) -> Series,
    ) -> Result<Self, EvaluationError> {
        match self {
            Self::Series(named) => Ok(Self::from(work(named.series))),
            Self::Array(mut array) => {
                for named in &mut array {
                    let series =
                        std::mem::replace(&mut named.series, Cow::Owned(Series::default()));
                    named.series = Cow::Owned(work(series));
                }
                Ok(Self::Array(array))
            }
            _ => Err(EvaluationError::Unchecked),
        }
    }
}

/// The values that an operation takes, first to last.
#[derive(Debug)]
struct Operands<'a>(IntoIter<Item<'a>>);

impl<'a> Operands<'a> {
    fn next(&mut self) -> Result<Item<'a>, EvaluationError> {
        self.0.next().ok_or(EvaluationError::Unchecked)
    }

    fn scalar(&mut self) -> Result<f64, EvaluationError> {
        match self.next()? {
            Item::Scalar(scalar) => Ok(scalar),
            _ => Err(EvaluationError::Unchecked),
        }
    }

    /// `None` if there is no further operand.
    fn optional_scalar(&mut self) -> Result<Option<f64>, EvaluationError> {
        match self.0.len() {
            0 => Ok(None),
            _ => self.scalar().map(Some),
        }
    }

    fn array(&mut self) -> Result<Vec<Named<'a>>, EvaluationError> {
        match self.next()? {
            Item::Array(array) => Ok(array),
            _ => Err(EvaluationError::Unchecked),
        }
    }

    fn keyword(&mut self) -> Result<Keyword, EvaluationError> {
        match self.next()? {
            Item::Keyword(keyword) => Ok(keyword),
            _ => Err(EvaluationError::Unchecked),
        }
    }
}

/// The result of another expression. A single series is known by that expression's id, those of an array by their own.
fn borrowed<'a>(id: &'a str, value: &'a Value) -> Item<'a> {
    match value {
        Value::Scalar(scalar) => Item::Scalar(*scalar),
        Value::Series(series) => Item::Series(Named::of(Some(id), series)),
        Value::Array(array) => {
            let named = |labeled: &'a Labeled| Named::of(labeled.id.as_deref(), &labeled.series);
            Item::Array(array.iter().map(named).collect())
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are far fewer than 2^52 slots and series"
)]
fn exact(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^52 seconds are farther away than any date that can be written"
)]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}
