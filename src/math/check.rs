//! What an expression yields, found out before anything is evaluated (SPEC sections 8.1, 8.3 and 8.4).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::error::{Error, ErrorKind, Span};
use super::expression::{Expression, Node, NodeKind, Operator};
use super::function::{Function, Keyword, Parameter, Row, Yields};

/// The kinds of values of metric math, called S, TS, TS\[\], String and String\[\] in the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Scalar,
    Series,
    Array,
    Text,
    Texts,
    /// What a Lambda function returns, or what would follow from a mistake that was reported already. It fits
    /// everywhere.
    Undetermined,
}

impl Type {
    fn is_number(self) -> bool {
        !matches!(self, Self::Text | Self::Texts)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "a scalar",
            Self::Series => "a series",
            Self::Array => "an array of series",
            Self::Text => "a string",
            Self::Texts => "an array of strings",
            Self::Undetermined => "a value of unknown type",
        })
    }
}

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referent {
    Metric,
    /// Another expression, with the type of its result.
    Expression(Type),
}

/// Whose rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Of PutMetricAlarm: no `SEARCH`, and the result is exactly one series.
    Alarm,
    /// Of `GetMetricData`: the result may also be an array of series.
    Query,
}

/// What surrounds an expression.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub ids: &'a BTreeMap<String, Referent>,
    pub rules: Rules,
    /// Whether the result is returned. If it is only for other expressions, it may be a scalar or an array in any case.
    pub is_result: bool,
}

impl Expression {
    /// The type of the result, or everything that is wrong with the types in it.
    pub fn check(&self, scope: &Scope<'_>) -> Result<Type, Vec<Error>> {
        let checker = Checker::run(self, scope);
        if checker.errors.is_empty() {
            Ok(checker.result())
        } else {
            Err(checker.errors)
        }
    }

    /// Why AWS may come to another result for a reason that its documents leave open: the first such reason.
    pub fn uncertain(&self, scope: &Scope<'_>) -> Option<&'static str> {
        let ambiguous = self
            .ambiguous
            .map(|_| "the precedence of `^` without parentheses is undocumented");
        ambiguous.or_else(|| Checker::run(self, scope).uncertain)
    }
}

/// The type of one value and what else matters of it.
#[derive(Clone, Copy)]
struct Entry {
    kind: Kind,
    origin: Origin,
    span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value(Type),
    Keyword(Keyword),
}

/// Where a value comes from, as far as a rule asks for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Metric,
    /// A comparison of a series with a scalar.
    Comparison,
    Other,
}

impl Entry {
    /// A keyword is not the value of anything.
    fn value(self) -> Option<Type> {
        match self.kind {
            Kind::Value(found) => Some(found),
            Kind::Keyword(_) => None,
        }
    }

    fn is(self, wanted: Type) -> bool {
        self.kind == Kind::Value(wanted)
    }

    fn describe(self) -> String {
        match self.kind {
            Kind::Value(found) => found.to_string(),
            Kind::Keyword(keyword) => format!("the word `{}`", keyword.name()),
        }
    }
}

struct Checker<'a> {
    scope: &'a Scope<'a>,
    stack: Vec<Entry>,
    errors: Vec<Error>,
    uncertain: Option<&'static str>,
}

impl<'a> Checker<'a> {
    fn run(expression: &Expression, scope: &'a Scope<'a>) -> Self {
        let mut checker = Self {
            scope,
            stack: Vec::new(),
            errors: Vec::new(),
            uncertain: None,
        };
        for node in &expression.nodes {
            checker.node(node);
        }
        checker.check_result(expression.span());
        checker
    }

    fn result(&self) -> Type {
        let last = self.stack.last().and_then(|entry| entry.value());
        last.unwrap_or(Type::Undetermined)
    }

    fn node(&mut self, node: &Node) {
        let first = self.stack.len().saturating_sub(node.kind.operands());
        let operands = self.stack.split_off(first);
        let mut origin = Origin::Other;
        let found = match &node.kind {
            NodeKind::Number(_) => Type::Scalar,
            NodeKind::Text(_) => Type::Text,
            NodeKind::Keyword(keyword) => {
                let kind = Kind::Keyword(*keyword);
                return self.push(kind, origin, node.span);
            }
            NodeKind::Id(id) => {
                let (found, of) = self.referent(id, node.span);
                origin = of;
                found
            }
            NodeKind::Negate => self.negation(&operands),
            NodeKind::Binary(operator) => {
                let found = self.binary(*operator, &operands, node.span);
                let scalar = operands.iter().any(|operand| operand.is(Type::Scalar));
                if operator.is_comparison() && scalar {
                    origin = Origin::Comparison;
                }
                found
            }
            NodeKind::Call { function, .. } => self.call(*function, &operands, node.span),
            NodeKind::Array(_) => self.array(&operands),
        };
        self.push(Kind::Value(found), origin, node.span);
    }

    fn push(&mut self, kind: Kind, origin: Origin, span: Span) {
        self.stack.push(Entry { kind, origin, span });
    }

    /// Reports a mistake, whose consequences are not reported as well.
    fn refuse(&mut self, kind: ErrorKind, span: Span) -> Type {
        self.errors.push(Error { kind, span });
        Type::Undetermined
    }

    fn referent(&mut self, id: &str, span: Span) -> (Type, Origin) {
        match self.scope.ids.get(id) {
            Some(Referent::Metric) => (Type::Series, Origin::Metric),
            Some(Referent::Expression(found)) => (*found, Origin::Other),
            None => {
                let id = id.to_owned();
                (
                    self.refuse(ErrorKind::UnknownId { id }, span),
                    Origin::Metric,
                )
            }
        }
    }

    fn negation(&mut self, operands: &[Entry]) -> Type {
        let [operand] = operands else {
            return Type::Undetermined;
        };
        match operand.value() {
            Some(found) if found.is_number() => found,
            _ => {
                let found = operand.describe();
                self.refuse(ErrorKind::Negation { found }, operand.span)
            }
        }
    }

    fn binary(&mut self, operator: Operator, operands: &[Entry], span: Span) -> Type {
        let &[left, right] = operands else {
            return Type::Undetermined;
        };
        let found = match (left.value(), right.value()) {
            (Some(left), Some(right)) => combined(operator, left, right),
            _ => None,
        };
        found.unwrap_or_else(|| {
            let kind = ErrorKind::Operands {
                operator,
                left: left.describe(),
                right: right.describe(),
            };
            self.refuse(kind, span)
        })
    }

    /// Series and arrays of series together make one flat array; strings make an array of strings.
    fn array(&mut self, elements: &[Entry]) -> Type {
        let is_text = elements
            .first()
            .is_some_and(|element| element.is(Type::Text));
        let fits = |element: &Entry| match element.value() {
            Some(Type::Undetermined) => true,
            Some(Type::Text) => is_text,
            Some(Type::Series | Type::Array) => !is_text,
            _ => false,
        };
        let mut fit = true;
        for element in elements.iter().filter(|element| !fits(element)) {
            let found = element.describe();
            self.refuse(ErrorKind::Element { found }, element.span);
            fit = false;
        }
        match (fit, is_text) {
            (false, _) => Type::Undetermined,
            (true, true) => Type::Texts,
            (true, false) => Type::Array,
        }
    }

    fn call(&mut self, function: Function, arguments: &[Entry], span: Span) -> Type {
        if function == Function::Search && self.scope.rules == Rules::Alarm {
            return self.refuse(ErrorKind::SearchInAlarm, span);
        }
        let row = function.row();
        let mut fit = self.check_count(row, arguments.len(), span);
        for (i, argument) in arguments.iter().enumerate() {
            fit &= self.check_argument(row, i, *argument);
        }
        if !fit {
            return Type::Undetermined;
        }
        if self.uncertain.is_none() {
            self.uncertain = uncertain(function, arguments);
        }
        yielded(row.yields, arguments)
    }

    fn check_count(&mut self, row: &Row, found: usize, span: Span) -> bool {
        let accepted = row.accepts_count(found);
        if !accepted {
            let kind = ErrorKind::ArgumentCount {
                function: row.name,
                found,
                allowed: row.counts(),
            };
            self.refuse(kind, span);
        }
        accepted
    }

    fn check_argument(&mut self, row: &Row, index: usize, argument: Entry) -> bool {
        // That there is one argument too many is reported already.
        let Some(parameter) = row.parameter(index) else {
            return false;
        };
        let accepted = accepts(parameter, argument);
        if !accepted {
            let kind = ErrorKind::Argument {
                function: row.name,
                position: index + 1,
                found: argument.describe(),
                allowed: parameter.description(),
            };
            self.refuse(kind, argument.span);
        }
        accepted
    }

    fn check_result(&mut self, span: Span) {
        let Some(entry) = self.stack.last().copied() else {
            return;
        };
        let Some(found) = entry.value() else {
            let kind = ErrorKind::Found {
                found: entry.describe(),
                allowed: "a value",
            };
            self.refuse(kind, span);
            return;
        };
        let kind = match (self.scope.rules, found) {
            (_, Type::Series | Type::Undetermined) | (Rules::Query, Type::Array) => return,
            _ if !self.scope.is_result => match found.is_number() {
                true => return,
                false => ErrorKind::PartResult { found },
            },
            (Rules::Alarm, _) => ErrorKind::AlarmResult { found },
            (Rules::Query, _) => ErrorKind::QueryResult { found },
        };
        self.refuse(kind, span);
    }
}

/// The pairs of operands of SPEC section 8.1; `None` for any other.
fn combined(operator: Operator, left: Type, right: Type) -> Option<Type> {
    match (left, right) {
        (left, right) if !left.is_number() || !right.is_number() => None,
        (Type::Undetermined, _) | (_, Type::Undetermined) => Some(Type::Undetermined),
        (Type::Scalar, Type::Scalar) => Some(Type::Scalar),
        (Type::Array, Type::Array) => None,
        (Type::Array, _) | (_, Type::Array) => operator.is_arithmetic().then_some(Type::Array),
        _ => Some(Type::Series),
    }
}

fn accepts(parameter: Parameter, argument: Entry) -> bool {
    let found = match argument.kind {
        Kind::Value(found) => found,
        Kind::Keyword(keyword) => return accepts_keyword(parameter, keyword),
    };
    match (parameter, found) {
        (Parameter::SortKey | Parameter::Order, _) => false,
        (Parameter::Metric, _) => argument.origin == Origin::Metric,
        (Parameter::Anything, _) | (_, Type::Undetermined) => true,
        (Parameter::Scalar, _) => found == Type::Scalar,
        (Parameter::Series, _) => found == Type::Series,
        (Parameter::Array, _) => found == Type::Array,
        (Parameter::ScalarOrSeries | Parameter::Filler, _) => {
            matches!(found, Type::Scalar | Type::Series)
        }
        (Parameter::SeriesOrArray, _) => matches!(found, Type::Series | Type::Array),
        (Parameter::Text, _) => found == Type::Text,
        (Parameter::TextOrList, _) => matches!(found, Type::Text | Type::Texts),
    }
}

fn accepts_keyword(parameter: Parameter, keyword: Keyword) -> bool {
    match keyword {
        Keyword::Asc | Keyword::Desc => parameter == Parameter::Order,
        Keyword::Avg | Keyword::Max | Keyword::Min | Keyword::Sum => {
            parameter == Parameter::SortKey
        }
        Keyword::Linear | Keyword::Repeat => parameter == Parameter::Filler,
    }
}

fn yielded(yields: Yields, arguments: &[Entry]) -> Type {
    let type_of = |entry: Option<&Entry>| entry.and_then(|entry| entry.value());
    let first = type_of(arguments.first()).unwrap_or(Type::Undetermined);
    match yields {
        Yields::Scalar => Type::Scalar,
        Yields::Series => Type::Series,
        Yields::Array => Type::Array,
        Yields::Same => first,
        Yields::Reduced => match first {
            Type::Series => Type::Scalar,
            Type::Array => Type::Series,
            _ => Type::Undetermined,
        },
        Yields::PerText => match type_of(arguments.last()) {
            Some(Type::Text) => Type::Series,
            Some(Type::Texts) => Type::Array,
            _ => Type::Undetermined,
        },
        Yields::Undetermined => Type::Undetermined,
    }
}

/// What the documents leave open about a call, or warn of because an alarm's range holds more datapoints than its
/// evaluation periods (SPEC sections 0, 8.3 and 8.4).
fn uncertain(function: Function, arguments: &[Entry]) -> Option<&'static str> {
    let of_series = arguments
        .first()
        .is_some_and(|first| !first.is(Type::Array));
    match function {
        Function::Stddev => Some("the divisor of `STDDEV` is undocumented"),
        Function::Avg | Function::Max | Function::Min | Function::Sum if of_series => {
            Some("a scalar of a whole series depends on how many datapoints AWS fetches")
        }
        Function::DatapointCount if of_series => {
            Some("`DATAPOINT_COUNT` depends on how many datapoints AWS fetches")
        }
        Function::DatapointCount => {
            Some("`DATAPOINT_COUNT` where no series has a point is undocumented")
        }
        Function::RunningSum => Some("`RUNNING_SUM` depends on how many datapoints AWS fetches"),
        Function::RemoveEmpty => Some("`REMOVE_EMPTY` depends on how many datapoints AWS fetches"),
        Function::Diff => Some("what `DIFF` is at the first datapoint is undocumented"),
        Function::DiffTime => Some("what `DIFF_TIME` is at the first datapoint is undocumented"),
        Function::Rate => Some("`RATE` depends on how many datapoints AWS fetches"),
        Function::Sort => Some("in which order `SORT` puts equal series is undocumented"),
        Function::Fill => uncertain_fill(arguments),
        Function::If => uncertain_if(arguments),
        _ => None,
    }
}

fn uncertain_fill(arguments: &[Entry]) -> Option<&'static str> {
    match arguments.last()?.kind {
        Kind::Keyword(Keyword::Repeat) => {
            Some("what `FILL` with `REPEAT` does at the ends of the range is undocumented")
        }
        Kind::Keyword(_) => {
            Some("what `FILL` with `LINEAR` does at the ends of the range is undocumented")
        }
        Kind::Value(_) => None,
    }
}

/// The documents contradict each other about a missing false value, unless a plain condition chooses between a scalar
/// and a series (SPEC sections 0 and 8.4).
fn uncertain_if(arguments: &[Entry]) -> Option<&'static str> {
    let (condition, when_true) = (arguments.first()?, arguments.get(1)?);
    let when_false = arguments.get(2);
    if condition.is(Type::Scalar) {
        let scalar = when_true.is(Type::Scalar)
            || when_false.is_some_and(|when_false| when_false.is(Type::Scalar));
        return scalar.then_some("`IF` of a scalar condition and a scalar is undocumented");
    }
    let plain = when_true.is(Type::Scalar) && condition.origin != Origin::Comparison;
    let contradictory = when_false.is_some_and(|value| value.is(Type::Series)) && !plain;
    contradictory
        .then_some("the documents contradict each other about a missing false value of `IF`")
}
