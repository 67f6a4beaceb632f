//! Metrics and expressions that belong together, such as the `Metrics` of one alarm (SPEC section 8.5).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;

use crate::order::{Order, order};

use super::check::{Referent, Rules, Scope, Type};
use super::error::{Error, ErrorKind, Span};
use super::evaluate::{Environment, EvaluationError, Reference};
use super::expression::Expression;
use super::lex::is_word;
use super::series::{Table, Value};

/// What an id stands for, before it is known whether that makes sense.
#[derive(Clone, Debug)]
pub enum Source {
    Metric,
    Expression(Expression),
}

/// What is wrong with a set of queries.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    #[error(
        "id `{id}` must begin with a lower-case letter and hold only letters, digits and underscores"
    )]
    Id { id: String },
    #[error("id `{id}` is used more than once")]
    Duplicate { id: String },
    #[error("these expressions need each other's results: {}", quoted(ids))]
    Cycle { ids: Vec<String> },
    #[error("expression `{id}`: {error}")]
    Expression { id: String, error: Error },
}

/// A set of queries that can be evaluated: every id is known and unique, no expression needs itself, and all types fit.
#[derive(Clone, Debug)]
pub struct Queries {
    /// In the order in which they were declared.
    declared: Vec<Query>,
    index: BTreeMap<String, usize>,
    /// The expressions among them, each after those it needs.
    order: Vec<usize>,
    rules: Rules,
}

#[derive(Clone, Debug)]
struct Query {
    id: String,
    source: Source,
    referent: Referent,
    /// The other queries whose ids its expression names.
    needs: Vec<usize>,
}

impl Queries {
    /// Checks everything but what the returned expression must yield, for which there is [`Queries::check_result`].
    pub fn new(sources: Vec<(String, Source)>, rules: Rules) -> Result<Self, Vec<QueryError>> {
        let mut errors = Vec::new();
        let index = index(&sources, &mut errors);
        let needs: Vec<Vec<usize>> = sources
            .iter()
            .map(|(_, source)| needs(source, &index))
            .collect();
        let Order { order, cycles } = order(&needs);
        let ids = |cycle: Vec<usize>| cycle.into_iter().map(|i| sources[i].0.clone()).collect();
        let cycles = cycles
            .into_iter()
            .map(|cycle| QueryError::Cycle { ids: ids(cycle) });
        errors.extend(cycles);
        let mut queries = Self {
            declared: sources.into_iter().zip(needs).map(query).collect(),
            index,
            order,
            rules,
        };
        queries.check(&mut errors);
        queries
            .order
            .retain(|&i| matches!(queries.declared[i].source, Source::Expression(_)));
        if errors.is_empty() {
            Ok(queries)
        } else {
            Err(errors)
        }
    }

    /// The type of what `id` stands for.
    pub fn type_of(&self, id: &str) -> Option<Type> {
        let query = &self.declared[*self.index.get(id)?];
        Some(match query.referent {
            Referent::Metric => Type::Series,
            Referent::Expression(found) => found,
        })
    }

    /// What is wrong with returning the result of `id`: an alarm needs one series, a query at least one. The band of an
    /// anomaly detection alarm is not such a result but an array (SPEC section 9).
    pub fn check_result(&self, id: &str) -> Result<(), Vec<Error>> {
        let Some(&i) = self.index.get(id) else {
            let kind = ErrorKind::UnknownId { id: id.to_owned() };
            let span = Span::default();
            return Err(vec![Error { kind, span }]);
        };
        match &self.declared[i].source {
            Source::Metric => Ok(()),
            Source::Expression(expression) => {
                let ids = self.referents();
                expression.check(&self.scope(&ids, true)).map(drop)
            }
        }
    }

    /// The first external function among everything that `id` needs; see [`Expression::external`].
    pub fn external(&self, id: &str) -> Option<&'static str> {
        self.expressions_for(id).find_map(Expression::external)
    }

    /// The functions that the expressions call; see [`Expression::function_names`].
    pub fn function_names(&self) -> impl Iterator<Item = &'static str> {
        let expressions = self.expressions().map(|(_, expression)| expression);
        expressions.flat_map(Expression::function_names)
    }

    /// The ids of `id` and of everything that it needs.
    pub fn needed_by(&self, id: &str) -> impl Iterator<Item = &str> {
        let wanted = self.index.get(id).copied();
        let needed = wanted.map(|wanted| self.needed(wanted)).unwrap_or_default();
        let declared = self.declared.iter().zip(needed);
        declared
            .filter(|(_, needed)| *needed)
            .map(|(query, _)| query.id.as_str())
    }

    /// Whether anything that `id` needs takes a band; see [`Expression::uses_band`].
    pub fn uses_band(&self, id: &str) -> bool {
        self.expressions_for(id).any(Expression::uses_band)
    }

    /// Whether anything that `id` needs changes with time alone; see [`Expression::uses_calendar`].
    pub fn uses_calendar(&self, id: &str) -> bool {
        self.expressions_for(id).any(Expression::uses_calendar)
    }

    /// The first reason for doubt in anything that `id` needs; see [`Expression::uncertain`].
    pub fn uncertain(&self, id: &str) -> Option<&'static str> {
        let ids = self.referents();
        let scope = self.scope(&ids, false);
        self.expressions_for(id)
            .find_map(|expression| expression.uncertain(&scope))
    }

    /// The value of `id` over `table`. Nothing is evaluated that it does not need.
    pub fn evaluate(&self, id: &str, table: &Table<'_>) -> Result<Value, EvaluationError> {
        let metrics: Vec<&str> = self.metrics().collect();
        if !table.has_shape(metrics.len()) {
            return Err(EvaluationError::Shape);
        }
        let Some(&wanted) = self.index.get(id) else {
            return Err(EvaluationError::UnknownId { id: id.to_owned() });
        };
        let mut results: Vec<Option<Value>> = vec![None; self.declared.len()];
        let needed = self.needed(wanted);
        for (i, expression) in self.expressions().filter(|(i, _)| needed[*i]) {
            let references = self.references(table, &results);
            let environment = Environment {
                table,
                metrics: &metrics,
                references: &references,
            };
            results[i] = Some(environment.evaluate(expression)?);
        }
        match results[wanted].take() {
            Some(value) => Ok(value),
            None => Ok(Value::Series(table.metrics[self.metric(wanted)].clone())),
        }
    }

    fn metrics(&self) -> impl Iterator<Item = &str> {
        let metrics = self.declared.iter().filter(|query| query.is_metric());
        metrics.map(|query| query.id.as_str())
    }

    /// The position of a query that is a metric among all that are.
    fn metric(&self, query: usize) -> usize {
        let before = self.declared[..query].iter();
        before.filter(|query| query.is_metric()).count()
    }

    /// What every id stands for so far.
    fn references<'a>(
        &'a self,
        table: &Table<'a>,
        results: &'a [Option<Value>],
    ) -> BTreeMap<&'a str, Reference<'a>> {
        let mut metrics = table.metrics.iter();
        let references = self
            .declared
            .iter()
            .zip(results)
            .filter_map(|(query, result)| {
                let reference = match query.source {
                    Source::Metric => Reference::Metric(metrics.next()?),
                    Source::Expression(_) => Reference::Result(result.as_ref()?),
                };
                Some((query.id.as_str(), reference))
            });
        references.collect()
    }

    /// In the order in which they can be evaluated.
    fn expressions(&self) -> impl Iterator<Item = (usize, &Expression)> {
        self.order
            .iter()
            .filter_map(|&i| match &self.declared[i].source {
                Source::Metric => None,
                Source::Expression(expression) => Some((i, expression)),
            })
    }

    fn expressions_for(&self, id: &str) -> impl Iterator<Item = &Expression> {
        let wanted = self.index.get(id).copied();
        let needed = wanted.map(|wanted| self.needed(wanted)).unwrap_or_default();
        self.expressions()
            .filter(move |(i, _)| needed.get(*i).copied().unwrap_or_default())
            .map(|(_, expression)| expression)
    }

    /// For each query whether `wanted` needs it, be it through others.
    fn needed(&self, wanted: usize) -> Vec<bool> {
        let mut needed = vec![false; self.declared.len()];
        let mut open = vec![wanted];
        while let Some(i) = open.pop() {
            if !std::mem::replace(&mut needed[i], true) {
                open.extend(&self.declared[i].needs);
            }
        }
        needed
    }

    fn referents(&self) -> BTreeMap<String, Referent> {
        let queries = self.declared.iter().rev();
        queries
            .map(|query| (query.id.clone(), query.referent))
            .collect()
    }

    fn scope<'a>(&self, ids: &'a BTreeMap<String, Referent>, is_result: bool) -> Scope<'a> {
        let rules = self.rules;
        Scope {
            ids,
            rules,
            is_result,
        }
    }

    /// Finds the type of every expression, those first that others need. What is in a cycle has no type and comes last.
    fn check(&mut self, errors: &mut Vec<QueryError>) {
        let mut ids = self.referents();
        let in_cycles = (0..self.declared.len()).filter(|i| !self.order.contains(i));
        let order: Vec<usize> = self.order.iter().copied().chain(in_cycles).collect();
        for i in order {
            let query = &self.declared[i];
            let Source::Expression(expression) = &query.source else {
                continue;
            };
            match expression.check(&self.scope(&ids, false)) {
                Ok(found) => {
                    let referent = Referent::Expression(found);
                    ids.insert(query.id.clone(), referent);
                    self.declared[i].referent = referent;
                }
                Err(found) => {
                    errors.extend(found.into_iter().map(|error| QueryError::Expression {
                        id: query.id.clone(),
                        error,
                    }));
                }
            }
        }
    }
}

impl Query {
    fn is_metric(&self) -> bool {
        matches!(self.source, Source::Metric)
    }
}

/// Where each id stands; the first place if there are several.
fn index(sources: &[(String, Source)], errors: &mut Vec<QueryError>) -> BTreeMap<String, usize> {
    let mut index = BTreeMap::new();
    for (i, (id, _)) in sources.iter().enumerate() {
        let id = id.clone();
        if !is_id(&id) {
            errors.push(QueryError::Id { id: id.clone() });
        }
        match index.entry(id) {
            MapEntry::Vacant(entry) => drop(entry.insert(i)),
            MapEntry::Occupied(entry) => errors.push(QueryError::Duplicate {
                id: entry.key().clone(),
            }),
        }
    }
    index
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(is_word)
}

fn needs(source: &Source, index: &BTreeMap<String, usize>) -> Vec<usize> {
    match source {
        Source::Metric => Vec::new(),
        Source::Expression(expression) => {
            let mut needs: Vec<usize> = expression
                .ids()
                .filter_map(|id| index.get(id).copied())
                .collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        }
    }
}

fn query(((id, source), needs): ((String, Source), Vec<usize>)) -> Query {
    let referent = match source {
        Source::Metric => Referent::Metric,
        Source::Expression(_) => Referent::Expression(Type::Undetermined),
    };
    Query {
        id,
        source,
        referent,
        needs,
    }
}

fn quoted(ids: &[String]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    quoted.join(", ")
}
