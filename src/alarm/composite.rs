//! Alarm rules: the expressions by which composite alarms follow other alarms (SPEC section 7).
//!
//! An alarm rule is a value; what it refers to, and when it is judged, is for others to know.

mod parse;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use super::StateValue;

/// The most alarms that one alarm rule may follow (SPEC section 7.2).
const CHILDREN_MAX: usize = 100;

/// The most elements of an alarm rule (SPEC section 7.2).
const ELEMENTS_MAX: usize = 500;

/// The most characters of an alarm rule (SPEC section 7.2).
const CHARACTERS_MAX: usize = 10_240;

/// How deep parentheses and `NOT` may stand in each other. A rule of 500 elements has at most 249 pairs of parentheses; the
/// bound keeps the stack small for texts that are no such rules.
const NESTING_MAX: usize = 256;

/// The expression of a composite alarm: true is ALARM, false is OK (SPEC section 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmRule {
    expression: Expression,
    /// How much was written, for the limits.
    characters: usize,
    elements: usize,
}

/// Why a text is no alarm rule, in the form of CloudWatch's own answer (SPEC section 7.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Error in AlarmRule [{found} at char {}, must be: {must_be}]", .span.start)]
pub struct RuleError {
    found: String,
    must_be: String,
    /// What of the text is at fault, in characters counted from zero.
    pub span: Range<usize>,
}

/// A reference to an alarm, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChildRef(String);

impl ChildRef {
    /// The alarm's name or ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `:alarm:` in the ARN of an alarm, otherwise the text itself.
    pub fn name(&self) -> &str {
        super::alarm_name(&self.0)
    }

    /// Without quotes "alarm names or ARNs must not contain spaces, round brackets, or commas".
    fn needs_quotes(&self) -> bool {
        let ends_word = |c: char| c.is_whitespace() || "(),\"\\".contains(c);
        self.0.is_empty() || self.0.contains(ends_word)
    }
}

/// The reference as it stands in a rule: quoted where it must be.
impl fmt::Display for ChildRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needs_quotes() {
            write!(
                f,
                "\"{}\"",
                self.0.replace('\\', r"\\").replace('"', "\\\"")
            )
        } else {
            f.write_str(&self.0)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

impl Operator {
    fn word(self) -> &'static str {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
        }
    }

    /// The value of an operand that decides the whole, whatever the others are.
    fn decisive(self) -> bool {
        self == Self::Or
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Constant(bool),
    Is(StateValue, ChildRef),
    AtLeast(Quorum),
    Not(Box<Expression>),
    /// Two or more operands, none of them joined by the same operator.
    Joined(Operator, Vec<Expression>),
}

/// So many of these alarms are, or are not, in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Quorum {
    need: Need,
    state: StateValue,
    negated: bool,
    /// An alarm that is listed twice counts twice.
    alarms: Vec<ChildRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Count(usize),
    Percent(usize),
}

impl Expression {
    /// Whether it asks the same of the same alarms, named or by their ARNs.
    fn means(&self, other: &Self) -> bool {
        let same = |(one, other): (&ChildRef, &ChildRef)| one.name() == other.name();
        match (self, other) {
            (Self::Is(state, child), Self::Is(other_state, other)) => {
                state == other_state && same((child, other))
            }
            (Self::AtLeast(one), Self::AtLeast(other)) => {
                one.need == other.need
                    && one.state == other.state
                    && one.negated == other.negated
                    && one.alarms.len() == other.alarms.len()
                    && one.alarms.iter().zip(&other.alarms).all(same)
            }
            (Self::Not(one), Self::Not(other)) => one.means(other),
            (Self::Joined(operator, all), Self::Joined(other_operator, others)) => {
                operator == other_operator
                    && all.len() == others.len()
                    && all.iter().zip(others).all(|(one, other)| one.means(other))
            }
            _ => self == other,
        }
    }
}

impl AlarmRule {
    /// Whether it says the same, however it is written.
    pub fn means(&self, other: &Self) -> bool {
        self.expression.means(&other.expression)
    }

    /// Reads the expression (SPEC section 7.1). Words are upper case, except that `true` and `false` may be written in any
    /// case: `PutCompositeAlarm`'s own documentation breaks cycles with the rule `false`.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        parse::parse(text)
    }

    /// What the rule comes to if `state_of` knows the state of the alarm of a name; `None` if that depends on alarms
    /// which `state_of` does not know.
    pub fn evaluate(&self, state_of: impl Fn(&str) -> Option<StateValue>) -> Option<bool> {
        self.expression.evaluate(&state_of)
    }

    /// Every alarm that the rule follows, once, in the order of their first mention. A name and an ARN of that name are one
    /// alarm: all children are of the composite alarm's account and Region.
    pub fn children(&self) -> Vec<&ChildRef> {
        let mut children = Vec::new();
        self.expression
            .visit(&mut |expression| children.extend(expression.own_children()));
        let mut names = HashSet::new();
        children.retain(|child| names.insert(child.name()));
        children
    }

    /// Every limit of CloudWatch that the rule exceeds (SPEC section 7.2).
    pub fn limits_exceeded(&self) -> Vec<String> {
        let sizes = [
            (self.children().len(), CHILDREN_MAX, "child alarms"),
            (self.elements, ELEMENTS_MAX, "elements"),
            (self.characters, CHARACTERS_MAX, "characters"),
        ];
        sizes
            .into_iter()
            .filter(|(found, max, _)| found > max)
            .map(|(found, max, what)| {
                format!("AlarmRule has {found} {what} but must have at most {max}")
            })
            .collect()
    }

    /// Why CloudWatch may come to another result although every child is known.
    pub fn uncertain(&self) -> Option<&'static str> {
        let mut depends_on_rounding = false;
        self.expression.visit(&mut |expression| {
            if let Expression::AtLeast(quorum) = expression {
                depends_on_rounding |= quorum.depends_on_rounding();
            }
        });
        depends_on_rounding.then_some(
            "the percentage in `AT_LEAST` is not a whole number of alarms, and AWS does not say how it is rounded",
        )
    }
}

/// The rule in canonical form: one line, no more parentheses and quotes than it takes.
impl fmt::Display for AlarmRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl Expression {
    /// `operands` joined to one; what is already joined by the same operator is taken apart.
    fn joined(operator: Operator, operands: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(operands.len());
        for operand in operands {
            match operand {
                Self::Joined(inner, operands) if inner == operator => flat.extend(operands),
                operand => flat.push(operand),
            }
        }
        match flat.pop() {
            Some(only) if flat.is_empty() => only,
            last => {
                flat.extend(last);
                Self::Joined(operator, flat)
            }
        }
    }

    /// Kleene's three-valued logic: `None` is "not known".
    fn evaluate(&self, state_of: &impl Fn(&str) -> Option<StateValue>) -> Option<bool> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Is(state, child) => Some(state_of(child.name())? == *state),
            Self::AtLeast(quorum) => quorum.evaluate(state_of),
            Self::Not(operand) => operand.evaluate(state_of).map(|value| !value),
            Self::Joined(operator, operands) => {
                let mut value = Some(!operator.decisive());
                for operand in operands {
                    match operand.evaluate(state_of) {
                        Some(found) if found == operator.decisive() => return Some(found),
                        Some(_) => {}
                        None => value = None,
                    }
                }
                value
            }
        }
    }

    /// This expression and those inside it, in the order in which they are written.
    fn visit<'a>(&'a self, each: &mut impl FnMut(&'a Self)) {
        each(self);
        match self {
            Self::Not(operand) => operand.visit(each),
            Self::Joined(_, operands) => operands.iter().for_each(|operand| operand.visit(each)),
            Self::Constant(_) | Self::Is(..) | Self::AtLeast(_) => {}
        }
    }

    /// The children named here, not those of operands.
    fn own_children(&self) -> &[ChildRef] {
        match self {
            Self::Is(_, child) => std::slice::from_ref(child),
            Self::AtLeast(quorum) => &quorum.alarms,
            Self::Constant(_) | Self::Not(_) | Self::Joined(..) => &[],
        }
    }

    /// How closely the expression holds together.
    fn precedence(&self) -> u8 {
        match self {
            Self::Joined(Operator::Or, _) => 0,
            Self::Joined(Operator::And, _) => 1,
            _ => 2,
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |f: &mut fmt::Formatter<'_>, operand: &Self, least: u8| {
            if operand.precedence() < least {
                write!(f, "({operand})")
            } else {
                write!(f, "{operand}")
            }
        };
        match self {
            Self::Constant(true) => f.write_str("TRUE"),
            Self::Constant(false) => f.write_str("FALSE"),
            Self::Is(state, child) => write!(f, "{state}({child})"),
            Self::AtLeast(quorum) => quorum.fmt(f),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                operand(f, inner, 2)
            }
            Self::Joined(operator, operands) => {
                for (i, inner) in operands.iter().enumerate() {
                    if i > 0 {
                        write!(f, " {} ", operator.word())?;
                    }
                    operand(f, inner, self.precedence() + 1)?;
                }
                Ok(())
            }
        }
    }
}

impl Quorum {
    fn evaluate(&self, state_of: &impl Fn(&str) -> Option<StateValue>) -> Option<bool> {
        let (mut matching, mut unknown) = (0, 0);
        for alarm in &self.alarms {
            match state_of(alarm.name()) {
                Some(state) => matching += usize::from((state == self.state) != self.negated),
                None => unknown += 1,
            }
        }
        let least = self.is_met(matching);
        (least == self.is_met(matching + unknown)).then_some(least)
    }

    /// A percentage is compared as it is, not rounded to a number of alarms (SPEC section 7.1).
    fn is_met(&self, matching: usize) -> bool {
        match self.need {
            Need::Count(count) => matching >= count,
            Need::Percent(percent) => matching * 100 >= percent * self.alarms.len(),
        }
    }

    fn depends_on_rounding(&self) -> bool {
        match self.need {
            Need::Count(_) => false,
            Need::Percent(percent) => !(percent * self.alarms.len()).is_multiple_of(100),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.need {
            Need::Count(count) => write!(f, "AT_LEAST({count}, ")?,
            Need::Percent(percent) => write!(f, "AT_LEAST({percent}%, ")?,
        }
        let not = if self.negated { "NOT " } else { "" };
        let alarms: Vec<String> = self.alarms.iter().map(ToString::to_string).collect();
        write!(f, "{not}{}, ({}))", self.state, alarms.join(", "))
    }
}
