//! The tokens of an expression.

use super::error::{Error, ErrorKind, Span};
use super::expression::Operator;

/// The smallest piece of an expression that means something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    /// An id, a function's name or a keyword.
    Word(&'a str),
    /// What stands between the quotes; the documents know no escapes.
    Text(&'a str),
    Operator(Operator),
    Open,
    Close,
    OpenArray,
    CloseArray,
    Comma,
    End,
}

/// Every token of `text` and where it stands, the last one being [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, Span)>, Error> {
    let mut tokens = Vec::new();
    let mut start = 0;
    loop {
        let spaces = text[start..].len() - text[start..].trim_start().len();
        start += spaces;
        let (token, length) = token(text, start)?;
        let end = start + length;
        tokens.push((token, Span { start, end }));
        if token == Token::End {
            return Ok(tokens);
        }
        start = end;
    }
}

/// The token that begins at `start`, and its length in bytes.
fn token(text: &str, start: usize) -> Result<(Token<'_>, usize), Error> {
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else {
        return Ok((Token::End, 0));
    };
    match first {
        '0'..='9' | '.' => number(rest, start),
        'a'..='z' | 'A'..='Z' | '_' => Ok(word(rest)),
        '"' | '\'' => string(rest, first, start),
        _ => symbol(rest).ok_or_else(|| meaningless(first, start)),
    }
}

/// Digits with at most one point among them and an optional exponent.
fn number(rest: &str, start: usize) -> Result<(Token<'_>, usize), Error> {
    let digits = |from: usize| from + run(&rest[from..], |c| c.is_ascii_digit());
    let mut end = digits(0);
    if rest[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if let Some(exponent) = exponent(&rest[end..]) {
        end += exponent;
    }
    let number = &rest[..end];
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), end)),
        Ok(_) => {
            let end = start + end;
            let number = number.to_owned();
            Err(error(ErrorKind::Number { number }, start, end))
        }
        Err(_) => Err(meaningless('.', start)),
    }
}

/// The length of an exponent at the start of `rest`. Without digits it is none, and the letter begins a word.
fn exponent(rest: &str) -> Option<usize> {
    let unsigned = rest.strip_prefix(['e', 'E'])?;
    let digits = unsigned.strip_prefix(['+', '-']).unwrap_or(unsigned);
    let count = run(digits, |c| c.is_ascii_digit());
    (count > 0).then_some(rest.len() - digits.len() + count)
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let length = run(rest, is_word);
    let token = match &rest[..length] {
        "AND" => Token::Operator(Operator::And),
        "OR" => Token::Operator(Operator::Or),
        word => Token::Word(word),
    };
    (token, length)
}

fn string(rest: &str, quote: char, start: usize) -> Result<(Token<'_>, usize), Error> {
    let inside = &rest[1..];
    match inside.find(quote) {
        Some(length) => Ok((Token::Text(&inside[..length]), length + 2)),
        None => Err(error(
            ErrorKind::OpenText { quote },
            start,
            start + rest.len(),
        )),
    }
}

fn symbol(rest: &str) -> Option<(Token<'static>, usize)> {
    const SYMBOLS: [(&str, Token<'static>); 18] = [
        ("==", Token::Operator(Operator::Equal)),
        ("!=", Token::Operator(Operator::NotEqual)),
        ("<=", Token::Operator(Operator::LessOrEqual)),
        (">=", Token::Operator(Operator::GreaterOrEqual)),
        ("&&", Token::Operator(Operator::And)),
        ("||", Token::Operator(Operator::Or)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::Greater)),
        ("+", Token::Operator(Operator::Add)),
        ("-", Token::Operator(Operator::Subtract)),
        ("*", Token::Operator(Operator::Multiply)),
        ("/", Token::Operator(Operator::Divide)),
        ("^", Token::Operator(Operator::Power)),
        ("(", Token::Open),
        (")", Token::Close),
        ("[", Token::OpenArray),
        ("]", Token::CloseArray),
        (",", Token::Comma),
    ];
    let (text, token) = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text))?;
    Some((*token, text.len()))
}

fn meaningless(found: char, start: usize) -> Error {
    let hint = match found {
        '=' => "; did you mean `==`?",
        '&' => "; did you mean `&&`?",
        '|' => "; did you mean `||`?",
        '!' => "; did you mean `!=`?",
        _ => "",
    };
    let end = start + found.len_utf8();
    error(ErrorKind::Character { found, hint }, start, end)
}

fn error(kind: ErrorKind, start: usize, end: usize) -> Error {
    let span = Span { start, end };
    Error { kind, span }
}

/// How many bytes of `text` lie before the first character that is not `wanted`.
fn run(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

/// Whether `c` may follow the first letter of an id (SPEC section 8.1).
pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
