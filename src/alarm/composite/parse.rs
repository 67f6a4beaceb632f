//! From text to alarm rule: the grammar of SPEC section 7.1, by recursive descent of bounded depth.

use std::ops::Range;

use super::{AlarmRule, ChildRef, Expression, NESTING_MAX, Need, Operator, Quorum, RuleError};
use crate::alarm::StateValue;

/// What may stand where a condition begins, in CloudWatch's words.
const OPERAND: &str = "'(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA";
const OPERATOR: &str = "'AND', 'OR', or the end of the rule";
const OPERATOR_IN_GROUP: &str = "')', 'AND', or 'OR'";
const REFERENCE: &str = "an alarm name or ARN";
const STATE: &str = "ALARM, OK, or INSUFFICIENT_DATA";
const CONDITION: &str = "ALARM, OK, or INSUFFICIENT_DATA, or one of them after 'NOT'";
const NEED: &str = "a number of alarms or a percentage such as 50%";

pub(super) fn parse(text: &str) -> Result<AlarmRule, RuleError> {
    let (token, span) = token(text, 0)?;
    let mut parser = Parser {
        text,
        token,
        span,
        nesting: 0,
        elements: 0,
    };
    let expression = parser.joined(Operator::Or)?;
    match parser.token {
        Token::End => Ok(AlarmRule {
            expression,
            characters: text.chars().count(),
            elements: parser.elements,
        }),
        _ => Err(parser.unsupported(OPERATOR)),
    }
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Word(&'a str),
    Quoted(String),
    End,
}

/// The first token at or after byte `from`, and the bytes that it takes.
fn token(text: &str, from: usize) -> Result<(Token<'_>, Range<usize>), RuleError> {
    let rest = text[from..].trim_start();
    let start = text.len() - rest.len();
    let (token, length) = match rest.chars().next() {
        None => (Token::End, 0),
        Some('(') => (Token::Open, 1),
        Some(')') => (Token::Close, 1),
        Some(',') => (Token::Comma, 1),
        Some('"') => match quoted(rest) {
            Some((name, length)) => (Token::Quoted(name), length),
            None => {
                let found = "Unclosed quotation mark".to_owned();
                return Err(error(text, start..text.len(), found, "closed by '\"'"));
            }
        },
        Some(_) => {
            let ends = |c: char| c.is_whitespace() || "(),".contains(c);
            let length = rest.find(ends).unwrap_or(rest.len());
            (Token::Word(&rest[..length]), length)
        }
    };
    Ok((token, start..start + length))
}

/// The name between the quotation marks that `rest` begins with, and the length of both together. A backslash escapes a
/// quotation mark or a backslash; before anything else it stands for itself.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Some((name, at + 1)),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '"' | '\\' => {}
            _ if escaped => name.push('\\'),
            _ => {}
        }
        name.push(c);
        escaped = false;
    }
    None
}

/// The error at these bytes of `text`.
fn error(text: &str, bytes: Range<usize>, found: String, must_be: impl Into<String>) -> RuleError {
    let start = text[..bytes.start].chars().count();
    let length = text[bytes].chars().count();
    RuleError {
        found,
        must_be: must_be.into(),
        span: start..start + length,
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The token to be read next, and its bytes.
    token: Token<'a>,
    span: Range<usize>,
    nesting: usize,
    /// Child alarms, TRUE and FALSE, and parentheses that group. Those of a function are part of it: nothing says that they
    /// count, and a rule must not be refused for a limit that it may keep.
    elements: usize,
}

impl Parser<'_> {
    /// `OR` and `AND` differ only in what they join.
    fn joined(&mut self, operator: Operator) -> Result<Expression, RuleError> {
        let mut operands = Vec::new();
        loop {
            operands.push(match operator {
                Operator::Or => self.joined(Operator::And)?,
                Operator::And => self.operand()?,
            });
            if self.token != Token::Word(operator.word()) {
                return Ok(Expression::joined(operator, operands));
            }
            self.next()?;
        }
    }

    fn operand(&mut self) -> Result<Expression, RuleError> {
        match self.token {
            Token::Open => self.nested(Self::group),
            Token::Word("NOT") => self.nested(Self::not),
            Token::Word("AT_LEAST") => self.at_least().map(Expression::AtLeast),
            Token::Word(word) => {
                if let Some(value) = constant(word) {
                    self.elements += 1;
                    self.next()?;
                    return Ok(Expression::Constant(value));
                }
                self.is_in_state()
            }
            _ => Err(self.unsupported(OPERAND)),
        }
    }

    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Expression, RuleError>,
    ) -> Result<Expression, RuleError> {
        if self.nesting == NESTING_MAX {
            return Err(self.error(
                "Nesting too deep".to_owned(),
                format!("at most {NESTING_MAX} levels"),
            ));
        }
        self.next()?;
        self.nesting += 1;
        let expression = inner(self)?;
        self.nesting -= 1;
        Ok(expression)
    }

    /// After its opening parenthesis.
    fn group(&mut self) -> Result<Expression, RuleError> {
        let expression = self.joined(Operator::Or)?;
        self.expect(Token::Close, OPERATOR_IN_GROUP)?;
        self.elements += 2;
        Ok(expression)
    }

    /// After its `NOT`.
    fn not(&mut self) -> Result<Expression, RuleError> {
        Ok(Expression::Not(Box::new(self.operand()?)))
    }

    fn is_in_state(&mut self) -> Result<Expression, RuleError> {
        let state = self.state(OPERAND)?;
        self.expect(Token::Open, "'('")?;
        let child = self.reference()?;
        self.expect(Token::Close, "')'")?;
        Ok(Expression::Is(state, child))
    }

    fn at_least(&mut self) -> Result<Quorum, RuleError> {
        self.next()?;
        self.expect(Token::Open, "'('")?;
        let (need, need_span) = self.need()?;
        self.expect(Token::Comma, "','")?;
        let negated = self.token == Token::Word("NOT");
        if negated {
            self.next()?;
        }
        let state = self.state(if negated { STATE } else { CONDITION })?;
        self.expect(Token::Comma, "','")?;
        self.expect(Token::Open, "'('")?;
        let alarms = self.references()?;
        self.expect(Token::Close, "')'")?;
        self.check_need(need, need_span, alarms.len())?;
        Ok(Quorum {
            need,
            state,
            negated,
            alarms,
        })
    }

    fn need(&mut self) -> Result<(Need, Range<usize>), RuleError> {
        let need = match self.token {
            Token::Word(word) => need(word),
            _ => None,
        };
        let need = need.ok_or_else(|| self.unsupported(NEED))?;
        let span = self.span.clone();
        self.next()?;
        Ok((need, span))
    }

    /// Refuses what can never be true or never be false (SPEC section 7.1).
    fn check_need(&self, need: Need, span: Range<usize>, alarms: usize) -> Result<(), RuleError> {
        let (found, max, must_be) = match need {
            Need::Count(found) => (
                found,
                alarms,
                format!("from 1 to the number of alarms, {alarms}"),
            ),
            Need::Percent(found) => (found, 100, "from 1% to 100%".to_owned()),
        };
        if (1..=max).contains(&found) {
            return Ok(());
        }
        let found = unsupported(&self.text[span.clone()]);
        Err(error(self.text, span, found, must_be))
    }

    fn state(&mut self, must_be: &str) -> Result<StateValue, RuleError> {
        let state = StateValue::ALL
            .into_iter()
            .find(|state| self.token == Token::Word(state.name()))
            .ok_or_else(|| self.unsupported(must_be))?;
        self.next()?;
        Ok(state)
    }

    /// One or more, after the opening parenthesis and up to the closing one.
    fn references(&mut self) -> Result<Vec<ChildRef>, RuleError> {
        let mut references = vec![self.reference()?];
        while self.token == Token::Comma {
            self.next()?;
            references.push(self.reference()?);
        }
        self.expect(Token::Close, "')' or ','")?;
        Ok(references)
    }

    fn reference(&mut self) -> Result<ChildRef, RuleError> {
        let reference = match &self.token {
            Token::Word(word) => (*word).to_owned(),
            Token::Quoted(name) if !name.is_empty() => name.clone(),
            _ => return Err(self.unsupported(REFERENCE)),
        };
        self.elements += 1;
        self.next()?;
        Ok(ChildRef(reference))
    }

    fn expect(&mut self, expected: Token<'_>, must_be: &str) -> Result<(), RuleError> {
        if self.token != expected {
            return Err(self.unsupported(must_be));
        }
        self.next()
    }

    fn next(&mut self) -> Result<(), RuleError> {
        (self.token, self.span) = token(self.text, self.span.end)?;
        Ok(())
    }

    fn unsupported(&self, must_be: &str) -> RuleError {
        let found = match self.token {
            Token::End => "Unsupported end of rule".to_owned(),
            _ => unsupported(&self.text[self.span.clone()]),
        };
        self.error(found, must_be)
    }

    fn error(&self, found: String, must_be: impl Into<String>) -> RuleError {
        error(self.text, self.span.clone(), found, must_be)
    }
}

fn unsupported(token: &str) -> String {
    format!("Unsupported token '{token}'")
}

fn constant(word: &str) -> Option<bool> {
    [("TRUE", true), ("FALSE", false)]
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// `None` for a word that is no number, or no number of this world.
fn need(word: &str) -> Option<Need> {
    let (digits, percent) = match word.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (word, false),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let number = usize::try_from(number).ok()?;
    Some(if percent {
        Need::Percent(number)
    } else {
        Need::Count(number)
    })
}
