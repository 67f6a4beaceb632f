//! What a log alarm makes of its query's results: the forms of `AggregationExpression` (SPEC section 12).

/// What can be computed.
const FUNCTIONS: [&str; 5] = ["avg", "count", "max", "min", "sum"];

const FIELDS_MAX: usize = 5;

/// `count(*)`, or `avg`, `sum`, `min` or `max` of a field, as one number or one for each group: `avg(latency) by host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    text: String,
    counts: bool,
    /// The fields that it groups by.
    by: Vec<String>,
}

impl Aggregation {
    /// Reads it, or says what CloudWatch would not take. How groups are sorted (`| sort desc`) is kept and not looked at.
    pub fn parse(text: &str) -> Result<Self, String> {
        let aggregated = text.split('|').next().unwrap_or_default().trim();
        let (function, rest) = aggregated.split_once('(').ok_or_else(|| form(text))?;
        let (_, rest) = rest.split_once(')').ok_or_else(|| form(text))?;
        let function = function.trim().to_ascii_lowercase();
        if !FUNCTIONS.contains(&function.as_str()) {
            return Err(form(text));
        }
        Ok(Self {
            by: fields(rest.trim()).ok_or_else(|| form(text))??,
            counts: function == "count",
            text: text.to_owned(),
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is zero, and not missing, where a query finds nothing.
    pub(super) fn is_zero_over_nothing(&self) -> bool {
        self.counts && self.by.is_empty()
    }
}

fn form(text: &str) -> String {
    format!(
        "`{text}` is none of `count(*)`, `avg(FIELD)`, `sum(FIELD)`, `min(FIELD)` and `max(FIELD)`, with `by FIELD, …` or without"
    )
}

/// The fields after `by`; `None` if something else stands there.
fn fields(rest: &str) -> Option<Result<Vec<String>, String>> {
    if rest.is_empty() {
        return Some(Ok(Vec::new()));
    }
    let (by, fields) = rest.split_once(char::is_whitespace)?;
    let fields: Vec<String> = fields.split(',').map(|field| field.trim().into()).collect();
    if !by.eq_ignore_ascii_case("by") || fields.contains(&String::new()) {
        return None;
    }
    if fields.iter().any(|field| field.starts_with("bin(")) {
        return Some(Err("`bin()` cannot be grouped by".to_owned()));
    }
    Some(match fields.len() {
        0..=FIELDS_MAX => Ok(fields),
        found => Err(format!(
            "{found} fields to group by, but at most {FIELDS_MAX} are allowed"
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_forms_are_read() {
        let by = |text| Aggregation::parse(text).unwrap().by;
        assert_eq!(by("count(*)"), [""; 0]);
        assert_eq!(by("avg(latency) by host | sort desc"), ["host"]);
        assert_eq!(by("sum( bytes )  BY a,b, c"), ["a", "b", "c"]);
        let is_zero = |text| Aggregation::parse(text).unwrap().is_zero_over_nothing();
        let zero = ["count(*)", "count(*) by host", "max(x)"].map(is_zero);
        assert_eq!(zero, [true, false, false]);
    }

    #[test]
    fn other_forms_are_refused() {
        let refused = |text| Aggregation::parse(text).unwrap_err();
        for text in [
            "",
            "count",
            "count(*",
            "median(x)",
            "max(x) host",
            "max(x) by",
            "max(x) by a,,b",
        ] {
            assert_eq!(refused(text), form(text));
        }
        assert_eq!(refused("max(x) by bin(5m)"), "`bin()` cannot be grouped by");
        assert_eq!(
            refused("max(x) by a, b, c, d, e, f"),
            "6 fields to group by, but at most 5 are allowed"
        );
    }
}
