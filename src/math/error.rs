//! What can be wrong with one expression, and where in its text.

use super::check::Type;
use super::expression::Operator;
use super::parse::NESTING_MAX;

/// A range of bytes in the text of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// From the start of this span to the end of `last`.
    pub(super) fn to(self, last: Self) -> Self {
        Self {
            start: self.start,
            end: last.end,
        }
    }
}

/// One mistake in an expression.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    pub kind: ErrorKind,
    pub span: Span,
}

/// The mistakes of text come first, those of types after them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ErrorKind {
    #[error("found `{found}`, which has no meaning in an expression{hint}")]
    Character { found: char, hint: &'static str },
    #[error("this string has no closing {quote}")]
    OpenText { quote: char },
    #[error("number `{number}` is too large")]
    Number { number: String },
    #[error("found {found}, but {allowed} must stand here")]
    Found {
        found: String,
        allowed: &'static str,
    },
    #[error("operators are upper case; did you mean `{operator}`?")]
    OperatorCase { operator: String },
    #[error("function names are upper case; did you mean `{name}`?")]
    FunctionCase { name: &'static str },
    #[error("there is no function `{name}`")]
    UnknownFunction { name: String },
    #[error("function `{name}` needs its arguments in parentheses")]
    BareFunction { name: &'static str },
    #[error("there is no word `{word}`, and ids begin with a lower-case letter")]
    UnknownWord { word: String },
    #[error("nested too deeply, at most {NESTING_MAX} levels are allowed")]
    Nesting,

    #[error("no query has the id `{id}`")]
    UnknownId { id: String },
    #[error("`{function}` has {} but takes {allowed}", arguments(*found))]
    ArgumentCount {
        function: &'static str,
        found: usize,
        allowed: String,
    },
    #[error("argument {position} of `{function}` is {found} but must be {allowed}")]
    Argument {
        function: &'static str,
        position: usize,
        found: String,
        allowed: &'static str,
    },
    #[error("`{operator}` cannot combine {left} and {right}")]
    Operands {
        operator: Operator,
        left: String,
        right: String,
    },
    #[error("`-` cannot negate {found}")]
    Negation { found: String },
    #[error("an array holds either series or strings, but this element is {found}")]
    Element { found: String },
    #[error("an alarm needs exactly one series, but this expression yields {found}")]
    AlarmResult { found: Type },
    #[error("a query needs a series or an array of series, but this expression yields {found}")]
    QueryResult { found: Type },
    #[error(
        "an expression needs a scalar, a series or an array of series, but this one yields {found}"
    )]
    PartResult { found: Type },
    /// Worded by the service (SPEC section 8.3).
    #[error("SEARCH is not supported on Metric Alarms.")]
    SearchInAlarm,
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no argument".to_owned(),
        1 => "1 argument".to_owned(),
        _ => format!("{count} arguments"),
    }
}
