//! Numbers as CloudWatch writes them in state reasons.

use std::fmt;

/// A double in Java's notation: `21.5`, `0.0`, `45628.0`, and from ten million on `1.0E7` (SPEC section 6.1).
#[derive(Clone, Copy, Debug)]
pub struct JavaDouble(pub f64);

impl fmt::Display for JavaDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        let magnitude = value.abs();
        if magnitude == 0.0 || !magnitude.is_finite() || (1e-3..1e7).contains(&magnitude) {
            return fmt::Debug::fmt(value, f);
        }
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        write!(f, "{digits}{point}E{exponent}")
    }
}

#[cfg(test)]
mod tests {
    use super::JavaDouble;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        let cases = [
            (21.5, "21.5"),
            (0.0, "0.0"),
            (45628.0, "45628.0"),
            (-1.0, "-1.0"),
            (0.020_599_444_741_798_756, "0.020599444741798756"),
            (99.501_602_296_934_34, "99.50160229693434"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.5, "1.23456785E7"),
            (0.001, "0.001"),
            (0.000_25, "2.5E-4"),
            (-1e300, "-1.0E300"),
        ];
        for (value, written) in cases {
            assert_eq!(JavaDouble(value).to_string(), written);
        }
    }
}
