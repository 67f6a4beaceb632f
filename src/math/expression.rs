//! An expression after its text was understood.

use std::fmt;

use super::error::Span;
use super::function::{Function, Keyword};

/// One metric math expression.
///
/// It is kept in the order in which it is worked out: every node stands after its operands. Walking it needs a stack of
/// values but no recursion, so that no text, however long, can exhaust the stack of a thread.
#[derive(Clone, Debug)]
pub struct Expression {
    pub(super) nodes: Vec<Node>,
    pub(super) ambiguous: Option<Span>,
}

impl Expression {
    /// Where `^` meets a unary minus or another `^` without parentheses. The documents do not say which is first, so
    /// what follows from such an expression is a guess (SPEC section 8.1).
    pub fn ambiguous(&self) -> Option<Span> {
        self.ambiguous
    }

    /// The first function that draws on something outside this host, such as `SEARCH`. Its values are not known here.
    pub fn external(&self) -> Option<&'static str> {
        let external = self.functions().find(|function| function.is_external());
        external.map(Function::name)
    }

    /// The names of the functions that it calls, as often as it does.
    pub fn function_names(&self) -> impl Iterator<Item = &'static str> {
        self.functions().map(Function::name)
    }

    /// Whether the expression can only be evaluated over a table that comes with a [`Band`](super::Band).
    pub fn uses_band(&self) -> bool {
        self.functions()
            .any(|function| function == Function::AnomalyDetectionBand)
    }

    /// Whether its values change with the time of day or the date alone, without any metric changing.
    pub fn uses_calendar(&self) -> bool {
        self.functions().any(|function| {
            matches!(
                function,
                Function::Minute
                    | Function::Hour
                    | Function::Day
                    | Function::Date
                    | Function::Month
                    | Function::Year
                    | Function::Epoch
            )
        })
    }

    /// The ids that the expression names, as often as it names them. `METRICS()` names none.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Id(id) => Some(id.as_str()),
            _ => None,
        })
    }

    /// The whole of the text without what surrounds it.
    pub(super) fn span(&self) -> Span {
        self.nodes.last().map(|node| node.span).unwrap_or_default()
    }

    fn functions(&self) -> impl Iterator<Item = Function> {
        self.nodes.iter().filter_map(|node| match node.kind {
            NodeKind::Call { function, .. } => Some(function),
            _ => None,
        })
    }
}

/// Two expressions are equal if they say the same, wherever it stands in their texts.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        let mine = self.nodes.iter().map(|node| &node.kind);
        mine.eq(other.nodes.iter().map(|node| &node.kind))
    }
}

/// Canonical text: parentheses only where the expression would mean something else, or be ambiguous, without them.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stack: Vec<Printed> = Vec::new();
        for node in &self.nodes {
            let operands = stack.split_off(stack.len().saturating_sub(node.kind.operands()));
            stack.push(print(&node.kind, operands));
        }
        stack
            .iter()
            .try_for_each(|printed| f.write_str(&printed.text))
    }
}

/// One step of working out an expression, and the text it came from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum NodeKind {
    /// Never negative: a sign is a [`NodeKind::Negate`].
    Number(f64),
    Text(String),
    Id(String),
    Keyword(Keyword),
    Negate,
    Binary(Operator),
    Call {
        function: Function,
        arguments: usize,
    },
    /// With the number of its elements.
    Array(usize),
}

impl NodeKind {
    /// How many of the values before it the node takes up.
    pub(super) fn operands(&self) -> usize {
        match *self {
            Self::Number(_) | Self::Text(_) | Self::Id(_) | Self::Keyword(_) => 0,
            Self::Negate => 1,
            Self::Binary(_) => 2,
            Self::Call { arguments, .. } => arguments,
            Self::Array(elements) => elements,
        }
    }
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Power,
    Multiply,
    Divide,
    Add,
    Subtract,
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    And,
    Or,
}

impl Operator {
    pub(super) fn is_arithmetic(self) -> bool {
        self.binding() >= Binding::Sum
    }

    pub(super) fn is_comparison(self) -> bool {
        self.binding() == Binding::Comparison
    }

    pub(super) fn binding(self) -> Binding {
        match self {
            Self::Power => Binding::Power,
            Self::Multiply | Self::Divide => Binding::Product,
            Self::Add | Self::Subtract => Binding::Sum,
            Self::Equal
            | Self::NotEqual
            | Self::LessOrEqual
            | Self::GreaterOrEqual
            | Self::Less
            | Self::Greater => Binding::Comparison,
            Self::And => Binding::And,
            Self::Or => Binding::Or,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Power => "^",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::Greater => ">",
            Self::And => "AND",
            Self::Or => "OR",
        })
    }
}

/// How tightly something holds its operands, loosest first. The order is inferred from that of the documents' tables
/// (SPEC section 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Negation,
    Power,
    /// What nothing can be taken out of: a number, an id, a call.
    Atom,
}

impl Binding {
    /// The next tighter one, which the right operand of a left-associative operator must have.
    pub(super) fn tighter(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Comparison,
            Self::Comparison => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product => Self::Negation,
            Self::Negation => Self::Power,
            Self::Power | Self::Atom => Self::Atom,
        }
    }
}

/// A part of an expression as text.
struct Printed {
    text: String,
    binding: Binding,
}

impl Printed {
    fn atom(text: String) -> Self {
        let binding = Binding::Atom;
        Self { text, binding }
    }

    /// In parentheses, unless it holds together well enough.
    fn within(self, least: Binding) -> String {
        if self.binding >= least {
            self.text
        } else {
            format!("({})", self.text)
        }
    }
}

fn print(kind: &NodeKind, mut operands: Vec<Printed>) -> Printed {
    match kind {
        NodeKind::Number(number) => Printed::atom(print_number(*number)),
        NodeKind::Text(text) => Printed::atom(print_text(text)),
        NodeKind::Id(id) => Printed::atom(id.clone()),
        NodeKind::Keyword(keyword) => Printed::atom(keyword.name().to_owned()),
        NodeKind::Negate => print_negation(operands.pop()),
        NodeKind::Binary(operator) => print_binary(*operator, operands),
        NodeKind::Call { function, .. } => {
            Printed::atom(format!("{}({})", function.name(), list(operands)))
        }
        NodeKind::Array(_) => Printed::atom(format!("[{}]", list(operands))),
    }
}

/// A power is put in parentheses too, because without them it would be ambiguous.
fn print_negation(operand: Option<Printed>) -> Printed {
    let operand = operand.map(|operand| match operand.binding {
        Binding::Negation => operand.text,
        _ => operand.within(Binding::Atom),
    });
    Printed {
        text: format!("-{}", operand.unwrap_or_default()),
        binding: Binding::Negation,
    }
}

/// The left operand is printed into the same buffer, so that a long chain is printed in linear time.
fn print_binary(operator: Operator, operands: Vec<Printed>) -> Printed {
    let binding = operator.binding();
    let least_left = match operator {
        Operator::Power => Binding::Atom,
        _ => binding,
    };
    let mut operands = operands.into_iter();
    let mut text = operands
        .next()
        .map_or_else(String::new, |left| left.within(least_left));
    let right = operands.next().map(|right| right.within(binding.tighter()));
    for part in [" ", &operator.to_string(), " ", &right.unwrap_or_default()] {
        text.push_str(part);
    }
    Printed { text, binding }
}

fn list(operands: Vec<Printed>) -> String {
    let texts: Vec<String> = operands.into_iter().map(|operand| operand.text).collect();
    texts.join(", ")
}

/// Shortest text that gives the same number again, with an exponent where there would be many zeros.
fn print_number(number: f64) -> String {
    if number == 0.0 || (1e-6..1e16).contains(&number) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// No text that was parsed holds both kinds of quotes.
fn print_text(text: &str) -> String {
    let quote = if text.contains('"') { '\'' } else { '"' };
    format!("{quote}{text}{quote}")
}
