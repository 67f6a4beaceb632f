//! Metric math: the expressions of `MetricDataQuery`, as an alarm or a query may hold them (SPEC section 8).
//!
//! `parse` turns text into an [`Expression`], `check` finds out what it yields before anything is evaluated, `queries` puts
//! expressions and metrics together by their ids, and `evaluate` works them out over a table of aligned slots. The series of
//! a table come from elsewhere, and so does the decision what a result means for an alarm.

mod check;
mod error;
mod evaluate;
mod expression;
mod function;
mod lex;
mod parse;
mod queries;
mod series;
#[cfg(test)]
mod tests;

pub use check::{Referent, Rules, Scope, Type};
pub use error::{Error, ErrorKind, Span};
pub use evaluate::{ARRAY_MAX, EvaluationError};
pub use expression::{Expression, Operator};
pub use parse::{NESTING_MAX, parse};
pub use queries::{Queries, QueryError, Source};
pub use series::{Band, Labeled, Series, Table, Value};
