//! From text to an expression: operator precedence after Pratt (SPEC section 8.1).

#[cfg(test)]
mod tests;

use super::error::{Error, ErrorKind, Span};
use super::expression::{Binding, Expression, Node, NodeKind, Operator};
use super::function::{Function, Keyword};
use super::lex::{Token, tokens};

/// How many parentheses, brackets, argument lists and signs may lie within each other. Only they make the parser call
/// itself; a chain of operators, however long, does not.
pub const NESTING_MAX: usize = 100;

/// What `text` says.
pub fn parse(text: &str) -> Result<Expression, Error> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        nodes: Vec::new(),
        ambiguous: None,
    };
    parser.expression(Binding::Or)?;
    match parser.peek() {
        Token::End => Ok(Expression {
            nodes: parser.nodes,
            ambiguous: parser.ambiguous,
        }),
        _ => Err(parser.surprise(parser.next, "an operator or the end")),
    }
}

struct Parser<'a> {
    tokens: Vec<(Token<'a>, Span)>,
    next: usize,
    depth: usize,
    nodes: Vec<Node>,
    ambiguous: Option<Span>,
}

/// What was just parsed; its nodes are the last ones written.
#[derive(Clone, Copy)]
struct Parsed {
    span: Span,
    /// Of the outermost operator that no parentheses enclose.
    binding: Binding,
}

impl<'a> Parser<'a> {
    /// As much as holds together at least as tightly as `least`.
    fn expression(&mut self, least: Binding) -> Result<Parsed, Error> {
        let mut left = self.operand()?;
        while let Token::Operator(operator) = self.peek() {
            if operator.binding() < least {
                break;
            }
            self.advance();
            let right = self.expression(operator.binding().tighter())?;
            left = self.binary(left, operator, right);
        }
        Ok(left)
    }

    fn binary(&mut self, left: Parsed, operator: Operator, right: Parsed) -> Parsed {
        let span = left.span.to(right.span);
        let bare = |parsed: Parsed| matches!(parsed.binding, Binding::Power | Binding::Negation);
        if operator == Operator::Power && (bare(left) || bare(right)) {
            self.ambiguous.get_or_insert(span);
        }
        self.write(NodeKind::Binary(operator), span);
        let binding = operator.binding();
        Parsed { span, binding }
    }

    fn operand(&mut self) -> Result<Parsed, Error> {
        let at = self.next;
        let (token, span) = self.advance();
        let kind = match token {
            Token::Number(number) => NodeKind::Number(number),
            Token::Text(text) => NodeKind::Text(text.to_owned()),
            Token::Word(word) if self.peek() == Token::Open => return self.call(word, span),
            Token::Word(word) => bare_word(word, span)?,
            Token::Operator(Operator::Subtract) => return self.nested(span, Self::negation),
            Token::Open => return self.nested(span, Self::group),
            Token::OpenArray => return self.nested(span, Self::array),
            _ => return Err(self.surprise(at, "a value")),
        };
        Ok(self.atom(kind, span))
    }

    /// Runs `rule` one level deeper, `span` being what begins the level.
    fn nested(
        &mut self,
        span: Span,
        rule: impl FnOnce(&mut Self, Span) -> Result<Parsed, Error>,
    ) -> Result<Parsed, Error> {
        if self.depth == NESTING_MAX {
            let kind = ErrorKind::Nesting;
            return Err(Error { kind, span });
        }
        self.depth += 1;
        let parsed = rule(self, span)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn negation(&mut self, minus: Span) -> Result<Parsed, Error> {
        let operand = self.expression(Binding::Negation)?;
        let span = minus.to(operand.span);
        if operand.binding == Binding::Power {
            self.ambiguous.get_or_insert(span);
        }
        self.write(NodeKind::Negate, span);
        let binding = Binding::Negation;
        Ok(Parsed { span, binding })
    }

    fn group(&mut self, open: Span) -> Result<Parsed, Error> {
        self.expression(Binding::Or)?;
        let close = self.expect(Token::Close, "an operator or `)`")?;
        Ok(Parsed {
            span: open.to(close),
            binding: Binding::Atom,
        })
    }

    fn array(&mut self, open: Span) -> Result<Parsed, Error> {
        let elements = self.list()?;
        let close = self.expect(Token::CloseArray, "an operator, `,` or `]`")?;
        Ok(self.atom(NodeKind::Array(elements), open.to(close)))
    }

    fn call(&mut self, name: &str, span: Span) -> Result<Parsed, Error> {
        let function = function(name, span)?;
        self.advance();
        self.nested(span, |parser, span| {
            let arguments = match parser.peek() {
                Token::Close => 0,
                _ => parser.list()?,
            };
            let close = parser.expect(Token::Close, "an operator, `,` or `)`")?;
            let kind = NodeKind::Call {
                function,
                arguments,
            };
            Ok(parser.atom(kind, span.to(close)))
        })
    }

    /// One or more expressions between commas; says how many.
    fn list(&mut self) -> Result<usize, Error> {
        self.expression(Binding::Or)?;
        let mut count = 1;
        while self.peek() == Token::Comma {
            self.advance();
            self.expression(Binding::Or)?;
            count += 1;
        }
        Ok(count)
    }

    fn atom(&mut self, kind: NodeKind, span: Span) -> Parsed {
        self.write(kind, span);
        let binding = Binding::Atom;
        Parsed { span, binding }
    }

    fn write(&mut self, kind: NodeKind, span: Span) {
        self.nodes.push(Node { kind, span });
    }

    fn expect(&mut self, token: Token<'_>, allowed: &'static str) -> Result<Span, Error> {
        if self.peek() == token {
            Ok(self.advance().1)
        } else {
            Err(self.surprise(self.next, allowed))
        }
    }

    fn peek(&self) -> Token<'a> {
        self.tokens[self.next].0
    }

    /// The next token is not passed by if it is the last, [`Token::End`].
    fn advance(&mut self) -> (Token<'a>, Span) {
        let token = self.tokens[self.next];
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// The token at `position` is none of those `allowed` there.
    fn surprise(&self, position: usize, allowed: &'static str) -> Error {
        let (token, span) = self.tokens[position];
        let kind = match token {
            Token::Word(word @ ("and" | "or")) => ErrorKind::OperatorCase {
                operator: word.to_uppercase(),
            },
            _ => ErrorKind::Found {
                found: describe(token),
                allowed,
            },
        };
        Error { kind, span }
    }
}

fn function(name: &str, span: Span) -> Result<Function, Error> {
    let upper = name.to_uppercase();
    let kind = match (Function::from_name(name), Function::from_name(&upper)) {
        (Some(function), _) => return Ok(function),
        (None, Some(meant)) => ErrorKind::FunctionCase { name: meant.name() },
        (None, None) => ErrorKind::UnknownFunction {
            name: name.to_owned(),
        },
    };
    Err(Error { kind, span })
}

/// A word without an argument list: a keyword or an id.
fn bare_word(word: &str, span: Span) -> Result<NodeKind, Error> {
    if let Some(keyword) = Keyword::from_name(word) {
        return Ok(NodeKind::Keyword(keyword));
    }
    if word.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(NodeKind::Id(word.to_owned()));
    }
    let kind = match Function::from_name(word) {
        Some(function) => ErrorKind::BareFunction {
            name: function.name(),
        },
        None => ErrorKind::UnknownWord {
            word: word.to_owned(),
        },
    };
    Err(Error { kind, span })
}

fn describe(token: Token<'_>) -> String {
    match token {
        Token::Number(number) => format!("`{number}`"),
        Token::Word(word) => format!("`{word}`"),
        Token::Text(_) => "a string".to_owned(),
        Token::Operator(operator) => format!("`{operator}`"),
        Token::Open => "`(`".to_owned(),
        Token::Close => "`)`".to_owned(),
        Token::OpenArray => "`[`".to_owned(),
        Token::CloseArray => "`]`".to_owned(),
        Token::Comma => "`,`".to_owned(),
        Token::End => "the end".to_owned(),
    }
}
