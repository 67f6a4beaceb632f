//! Percentiles, trimmed and winsorized statistics: what needs the samples themselves (SPEC section 2.5).

/// A statistic of the samples inside two bounds, or at one.
///
/// How CloudWatch interpolates is undocumented, and it stores samples only approximately. Here a percentile is the value at
/// its nearest rank, and percent bounds cut a sample that lies across them: it counts with the part inside.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtendedStatistic {
    name: String,
    kind: Kind,
    bounds: Bounds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Percentile,
    TrimmedMean,
    TrimmedCount,
    TrimmedSum,
    WinsorizedMean,
    PercentileRank,
}

/// What lies inside; an open end is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bounds {
    /// Parts of the samples in ascending order.
    Percent(Option<Percent>, Option<Percent>),
    /// Values: the lower one lies outside, the upper one inside.
    Absolute(Option<f64>, Option<f64>),
}

/// In ten-billionths, so that decimals are exact: names carry at most ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Percent(u64);

const DECIMALS_MAX: usize = 10;
const WHOLE: f64 = 1e12;

impl ExtendedStatistic {
    /// Reads `p99.9`, `tm90`, `IQM`, `TM(10%:90%)`, `PR(:300)`; `None` for what is no extended statistic.
    ///
    /// CloudWatch looks at the integer part alone, so that `p100.5` passes (SPEC section 2.5).
    pub fn from_name(name: &str) -> Option<Self> {
        let (kind, bounds) = if name == "IQM" {
            let quarters = |n| Some(Percent::whole(n));
            (
                Kind::TrimmedMean,
                Bounds::Percent(quarters(25), quarters(75)),
            )
        } else if let Some((kind, inside)) =
            name.strip_suffix(')').and_then(|name| name.split_once('('))
        {
            (upper_case(kind)?, bounds(inside, kind != "PR")?)
        } else {
            let number = name.find(|c: char| c.is_ascii_digit())?;
            let upper = Percent::parse(&name[number..])?;
            (
                lower_case(&name[..number])?,
                Bounds::Percent(None, Some(upper)),
            )
        };
        let name = name.to_owned();
        Some(Self { name, kind, bounds })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_percentile(&self) -> bool {
        self.kind == Kind::Percentile
    }

    /// Whether so few samples are too few for CloudWatch's `EvaluateLowSampleCountPercentile`: fewer than 10/(1-p) for p of
    /// a half and more, fewer than 10/p below (SPEC section 5.5).
    pub fn is_low_sample(&self, sample_count: f64) -> bool {
        let Bounds::Percent(_, Some(p)) = self.bounds else {
            return false;
        };
        let tail = p.of_whole().min(WHOLE - p.of_whole()).max(0.0);
        self.is_percentile() && sample_count * tail < 10.0 * WHOLE
    }

    /// The statistic of `values`, ascending with their counts; `None` where nothing lies inside that has a mean.
    pub fn of(&self, values: &[(f64, f64)]) -> Option<f64> {
        let count: f64 = values.iter().map(|(_, count)| count).sum();
        if count <= 0.0 {
            return None;
        }
        let inside = || Inside::of(self.bounds, values, count);
        match self.kind {
            Kind::Percentile => match self.bounds {
                Bounds::Percent(_, Some(upper)) => percentile(values, count, upper),
                _ => None,
            },
            Kind::TrimmedMean => inside().mean(),
            Kind::TrimmedCount => Some(inside().count),
            Kind::TrimmedSum => Some(inside().mean().map_or(0.0, |mean| mean * inside().count)),
            Kind::PercentileRank => Some(100.0 * inside().count / count),
            Kind::WinsorizedMean => Some(winsorized_mean(self.bounds, values, count)),
        }
    }
}

impl Percent {
    fn whole(percent: u64) -> Self {
        Self(percent * 10_u64.pow(10))
    }

    fn of_whole(self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "at most 101e10, which is below 2^53"
        )]
        let share = self.0 as f64;
        share
    }

    /// One to three digits, at most 100, and up to ten decimals.
    fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 3) || !digits(decimals, DECIMALS_MAX) {
            return None;
        }
        let whole: u64 = whole.parse().ok().filter(|whole| *whole <= 100)?;
        let decimals: u64 = format!("{decimals:0<10}").parse().ok()?;
        Some(Self(Self::whole(whole).0 + decimals))
    }
}

fn lower_case(kind: &str) -> Option<Kind> {
    Some(match kind {
        "p" => Kind::Percentile,
        "tm" => Kind::TrimmedMean,
        "tc" => Kind::TrimmedCount,
        "ts" => Kind::TrimmedSum,
        "wm" => Kind::WinsorizedMean,
        _ => return None,
    })
}

fn upper_case(kind: &str) -> Option<Kind> {
    Some(match kind {
        "TM" => Kind::TrimmedMean,
        "TC" => Kind::TrimmedCount,
        "TS" => Kind::TrimmedSum,
        "WM" => Kind::WinsorizedMean,
        "PR" => Kind::PercentileRank,
        _ => return None,
    })
}

/// `10%:90%`, `150:1000`, `:300`: at least one bound, both of one kind, in order.
fn bounds(text: &str, percent_allowed: bool) -> Option<Bounds> {
    let (lower, upper) = text.split_once(':')?;
    if lower.is_empty() && upper.is_empty() {
        return None;
    }
    if percent_allowed && text.contains('%') {
        let percent = |text: &str| Percent::parse(text.strip_suffix('%')?);
        let (lower, upper) = both(lower, upper, percent)?;
        return Some(Bounds::Percent(lower, upper));
    }
    let number = |text: &str| {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let value: f64 = text.parse().ok()?;
        (plain && value.is_finite()).then_some(value)
    };
    let (lower, upper) = both(lower, upper, number)?;
    Some(Bounds::Absolute(lower, upper))
}

/// Both bounds, an empty text being an open end, if they are sound and in order.
fn both<T: PartialOrd>(
    lower: &str,
    upper: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<(Option<T>, Option<T>)> {
    let (open_below, open_above) = (lower.is_empty(), upper.is_empty());
    let (lower, upper) = (parse(lower), parse(upper));
    let sound = (open_below || lower.is_some()) && (open_above || upper.is_some());
    (sound && in_order(lower.as_ref(), upper.as_ref())).then_some((lower, upper))
}

fn in_order<T: PartialOrd>(lower: Option<T>, upper: Option<T>) -> bool {
    !matches!((lower, upper), (Some(lower), Some(upper)) if lower >= upper)
}

/// The value at the nearest rank: the least one at or below which lie so many samples. Compared in products of whole
/// numbers, which are exact, so that 99.9 percent of 1000 samples are 999.
fn percentile(values: &[(f64, f64)], count: f64, percent: Percent) -> Option<f64> {
    let wanted = percent.of_whole() * count;
    let mut below = 0.0;
    let at = values.iter().find(|(_, count)| {
        below += count;
        below * WHOLE >= wanted
    });
    at.or(values.last()).map(|(value, _)| *value)
}

/// How many samples lie inside the bounds, and their sum.
struct Inside {
    count: f64,
    sum: f64,
}

impl Inside {
    fn of(bounds: Bounds, values: &[(f64, f64)], count: f64) -> Self {
        let mut inside = Self {
            count: 0.0,
            sum: 0.0,
        };
        let mut below = 0.0;
        for &(value, times) in values {
            let part = match bounds {
                Bounds::Absolute(lower, upper) if is_inside(value, lower, upper) => times,
                Bounds::Absolute(..) => 0.0,
                Bounds::Percent(lower, upper) => {
                    let from = lower.map_or(0.0, |lower| lower.of_whole() * count / WHOLE);
                    let to = upper.map_or(count, |upper| upper.of_whole() * count / WHOLE);
                    ((below + times).min(to) - below.max(from)).max(0.0)
                }
            };
            below += times;
            inside.count += part;
            inside.sum += value * part;
        }
        inside
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

fn is_inside(value: f64, lower: Option<f64>, upper: Option<f64>) -> bool {
    lower.is_none_or(|lower| value > lower) && upper.is_none_or(|upper| value <= upper)
}

/// The mean after every sample outside is replaced by the bound, or by the value at the bound's percentile.
fn winsorized_mean(bounds: Bounds, values: &[(f64, f64)], count: f64) -> f64 {
    let (lower, upper) = match bounds {
        Bounds::Absolute(lower, upper) => (lower, upper),
        Bounds::Percent(lower, upper) => (
            lower.and_then(|lower| percentile(values, count, lower)),
            upper.and_then(|upper| percentile(values, count, upper)),
        ),
    };
    let clamped = |value: f64| {
        let value = lower.map_or(value, |lower| value.max(lower));
        upper.map_or(value, |upper| value.min(upper))
    };
    values
        .iter()
        .map(|&(value, times)| clamped(value) * times)
        .sum::<f64>()
        / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(name: &str, samples: &[f64]) -> Option<f64> {
        let mut samples = samples.to_vec();
        samples.sort_by(f64::total_cmp);
        let values: Vec<_> = samples.into_iter().map(|value| (value, 1.0)).collect();
        ExtendedStatistic::from_name(name).unwrap().of(&values)
    }

    fn one_to(n: u32) -> Vec<f64> {
        (1..=n).map(f64::from).collect()
    }

    #[track_caller]
    fn check(samples: &[f64], expected: &[(&str, Option<f64>)]) {
        for (name, value) in expected {
            assert_eq!(of(name, samples), *value, "{name}");
        }
    }

    #[test]
    fn names_are_what_the_service_model_accepts() {
        let accepted = [
            "p0",
            "p50",
            "p99.9",
            "p99.9999999999",
            "p100",
            "p100.5",
            "p100.99",
            "tm90",
            "tc90",
            "ts90",
            "wm98",
            "IQM",
            "TM(2%:98%)",
            "TC(10%:90%)",
            "TS(:95%)",
            "WM(5%:)",
            "TM(150:1000)",
            "PR(:300)",
            "PR(10:)",
            "PR(1e-3:2.5E2)",
            "TC(0.005:0.030)",
        ];
        for name in accepted {
            assert_eq!(
                ExtendedStatistic::from_name(name).map(|it| it.name),
                Some(name.to_owned())
            );
        }
        let refused = [
            "",
            "p",
            "p101",
            "p101.0",
            "p-1",
            "p1.",
            "p.5",
            "p99.99999999999",
            "P99",
            "iqm",
            "TM90",
            "tm(1:2)",
            "TM()",
            "TM(:)",
            "TM(5)",
            "TM(%:9%)",
            "TM(10%:90)",
            "TM(90%:10%)",
            "PR(1%:2%)",
            "PR(2:1)",
            "PR(nan:1)",
            "PR(inf:)",
            "Average",
            "p1é",
            "p0001",
            "TM(1:2:3)",
        ];
        for name in refused {
            assert_eq!(ExtendedStatistic::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_percentile_is_the_value_at_its_nearest_rank() {
        check(
            &one_to(1_000),
            &[
                ("p99.9", Some(999.0)),
                ("p50", Some(500.0)),
                ("p100", Some(1_000.0)),
                ("p0", Some(1.0)),
                ("p100.5", Some(1_000.0)),
            ],
        );
        check(
            &[10.0, 20.0, 30.0],
            &[
                ("p33", Some(10.0)),
                ("p34", Some(20.0)),
                ("p66.6", Some(20.0)),
                ("p67", Some(30.0)),
            ],
        );
    }

    #[test]
    fn absolute_bounds_exclude_the_lower_and_include_the_upper() {
        let bins = [0.5, 1.0, 3.0, 5.0, 7.0, 10.0, 11.0, 20.0, 30.0, 40.0];
        check(
            &bins,
            &[
                ("PR(:1)", Some(20.0)),
                ("PR(1:5)", Some(20.0)),
                ("PR(10:)", Some(40.0)),
                ("TC(5:10)", Some(2.0)),
                ("TM(5:10)", Some(8.5)),
                ("TS(5:10)", Some(17.0)),
            ],
        );
        check(&[50.0, 100.0, 600.0], &[("WM(80:500)", Some(680.0 / 3.0))]);
        check(
            &[1.0],
            &[
                ("TM(5:10)", None),
                ("TC(5:10)", Some(0.0)),
                ("TS(5:10)", Some(0.0)),
                ("PR(5:10)", Some(0.0)),
            ],
        );
    }

    #[test]
    fn percent_bounds_drop_parts_of_the_samples() {
        check(
            &one_to(100),
            &[
                ("TM(10%:90%)", Some(50.5)),
                ("TC(10%:90%)", Some(80.0)),
                ("tm90", Some(45.5)),
                ("tc90", Some(90.0)),
                ("IQM", Some(50.5)),
            ],
        );
        check(
            &one_to(10),
            &[
                ("WM(10%:90%)", Some(5.4)),
                ("wm80", Some(5.2)),
                ("TC(25%:)", Some(7.5)),
            ],
        );
    }

    #[test]
    fn without_samples_there_is_no_value() {
        check(&[], &[("p99", None), ("TC(1:2)", None), ("WM(1:2)", None)]);
    }

    #[test]
    fn low_sample_counts_are_compared_in_decimals() {
        let cases = [
            ("p99", 1_000.0),
            ("p95", 200.0),
            ("p90", 100.0),
            ("p50", 20.0),
            ("p25", 40.0),
            ("p10", 100.0),
            ("p99.9", 10_000.0),
            ("p99.95", 20_000.0),
            ("p0.1", 10_000.0),
        ];
        for (name, least) in cases {
            let statistic = ExtendedStatistic::from_name(name).unwrap();
            assert!(statistic.is_low_sample(least - 1.0), "{name}");
            assert!(!statistic.is_low_sample(least), "{name}");
        }
        assert!(
            ExtendedStatistic::from_name("p100")
                .unwrap()
                .is_low_sample(1e9)
        );
        assert!(
            !ExtendedStatistic::from_name("tm99")
                .unwrap()
                .is_low_sample(1.0)
        );
    }

    proptest! {
        #[test]
        fn identities_hold_for_any_samples(samples in prop::collection::vec(0.0..1e6_f64, 1..200)) {
            prop_assert_eq!(of("tm99", &samples), of("TM(:99%)", &samples));
            prop_assert_eq!(of("IQM", &samples), of("TM(25%:75%)", &samples));
            let product = of("tm90", &samples).unwrap() * of("tc90", &samples).unwrap();
            prop_assert_eq!(of("ts90", &samples), Some(product));
            let p50 = of("p50", &samples).unwrap();
            prop_assert!(samples.contains(&p50));
            prop_assert!(of("p10", &samples) <= Some(p50) && Some(p50) <= of("p90", &samples));
        }

        #[test]
        fn no_name_makes_it_panic(name in ".{0,20}", stat in "(p|tm|TM|PR)[(]?[0-9.:%e-]{0,14}[)]?") {
            let _ = ExtendedStatistic::from_name(&name);
            if let Some(statistic) = ExtendedStatistic::from_name(&stat) {
                let _ = statistic.of(&[(0.0, 1.0), (1.0, 2.5)]);
            }
        }
    }
}
