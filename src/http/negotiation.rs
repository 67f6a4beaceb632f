//! What a client would rather have: the headers `Accept` and `Accept-Encoding`.

use super::Format;

/// OpenMetrics where it is asked for at least as much as text; text 0.0.4 without any wish.
pub(super) fn format(accept: &str) -> Format {
    let open_metrics = quality(accept, &["application/openmetrics-text"]);
    let text = quality(accept, &["text/plain", "text/*", "*/*"]);
    if open_metrics > 0.0 && open_metrics >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

pub(super) fn gzip(accept_encoding: &str) -> bool {
    quality(accept_encoding, &["gzip", "*"]) > 0.0
}

/// The greatest `q` that any of `names` is listed with; the first of them decides if it is listed at all.
fn quality(header: &str, names: &[&str]) -> f64 {
    let listed: Vec<(&str, f64)> = header.split(',').map(item).collect();
    let of = |name: &&str| {
        listed
            .iter()
            .filter(|(listed, _)| listed.eq_ignore_ascii_case(name))
            .map(|(_, q)| *q)
            .reduce(f64::max)
    };
    names.iter().find_map(of).unwrap_or(0.0)
}

fn item(item: &str) -> (&str, f64) {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let q = parts
        .find_map(|part| part.strip_prefix("q="))
        .map_or(Some(1.0), |q| q.parse().ok());
    (name, q.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_open_metrics_and_a_browser_gets_text() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(prometheus), Format::OpenMetrics);
        assert_eq!(
            format("text/html,application/xhtml+xml,*/*;q=0.8"),
            Format::Text
        );
        assert_eq!(format(""), Format::Text);
        assert_eq!(
            format("application/openmetrics-text;q=0.1,text/plain"),
            Format::Text
        );
        assert_eq!(format("application/openmetrics-text;q=0"), Format::Text);
    }

    #[test]
    fn gzip_is_used_where_it_is_understood() {
        for header in ["gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"] {
            assert!(gzip(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip;q=0, *", "gzip;q=x"] {
            assert!(!gzip(header), "{header}");
        }
    }
}
