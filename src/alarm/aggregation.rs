//! What a log alarm makes of its query's results: the forms of `AggregationExpression` (SPEC section 12).

/// What can be computed.
const FUNCTIONS: [&str; 5] = ["avg", "count", "max", "min", "sum"];

const FIELDS_MAX: usize = 5;

/// `count(*)`, or the `count`, `avg`, `sum`, `min` or `max` of a field, as one number or one for each group: `avg(latency) by host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    text: String,
    /// Whether it is `count(*)`; the count of a field is missing where there is none.
    counts_all: bool,
    /// The fields that it groups by.
    by: Vec<String>,
}

impl Aggregation {
    /// Reads it, or says what CloudWatch would not take. How groups are sorted (`| sort desc`) is kept and not looked at.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (aggregated, sorted) = text.split_once('|').unwrap_or((text, "sort asc"));
        let words: Vec<&str> = sorted.split_whitespace().collect();
        if !matches!(words[..], ["sort", "asc" | "desc"]) {
            return Err(form(text));
        }
        let aggregated = aggregated.trim();
        let (function, rest) = aggregated.split_once('(').ok_or_else(|| form(text))?;
        let (argument, rest) = rest.split_once(')').ok_or_else(|| form(text))?;
        let (function, argument) = (function.trim().to_ascii_lowercase(), argument.trim());
        let is_all = argument == "*";
        if !FUNCTIONS.contains(&function.as_str())
            || argument.is_empty()
            || is_all && function != "count"
        {
            return Err(form(text));
        }
        Ok(Self {
            by: fields(rest.trim()).ok_or_else(|| form(text))??,
            counts_all: is_all,
            text: text.to_owned(),
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it makes one number of each group.
    pub(super) fn has_groups(&self) -> bool {
        !self.by.is_empty()
    }

    /// Whether it is zero, and not missing, where a query finds nothing.
    pub fn is_zero_over_nothing(&self) -> bool {
        self.counts_all && self.by.is_empty()
    }
}

fn form(text: &str) -> String {
    format!(
        "`{text}` is none of `count(*)`, `count(FIELD)`, `avg(FIELD)`, `sum(FIELD)`, `min(FIELD)` and `max(FIELD)`, with `by FIELD, …` and `| sort asc` or `desc`, or without"
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
    let is_bin =
        |field: &String| field.to_ascii_lowercase().starts_with("bin") && field.contains('(');
    if fields.iter().any(is_bin) {
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
        let zero = ["count( * )", "count(*) by host", "count(x)", "max(x)"].map(is_zero);
        assert_eq!(zero, [true, false, false, false]);
    }

    #[test]
    fn other_forms_are_refused() {
        let refused = |text| Aggregation::parse(text).unwrap_err();
        for text in [
            "avg(*)",
            "count(*) | limit 5",
            "avg()",
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
        assert_eq!(
            refused("max(x) by BIN (5m)"),
            "`bin()` cannot be grouped by"
        );
        assert_eq!(
            refused("max(x) by a, b, c, d, e, f"),
            "6 fields to group by, but at most 5 are allowed"
        );
    }
}
