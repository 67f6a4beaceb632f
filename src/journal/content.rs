//! The samples of a datapoint as bytes.
//!
//! ```text
//! version   1 byte, 1
//! flags     1 byte, see below
//! count     f64, unless SAMPLE_COUNT_IMPLIED: the sample count
//! sum       f64
//! extremes  2 × f64, minimum and maximum, unless EXTREMES_IMPLIED
//! -- with VALUES only
//! number    varint: how many distinct values there are
//! error     f64, with BUCKETED: the relative error of the values
//! values    with DECIMAL: one byte e, then integers n, each standing for n / 10^e: the first zigzag, the others as differences
//!           to the one before, as varints; else f64 each
//! counts    with COUNTS: varints with WHOLE_COUNTS, else f64 each; without COUNTS, every count is 1
//! ```
//!
//! Numbers are little-endian, varints are LEB128. Percent values with two decimals take one or two bytes each, and a minute
//! of sixty of them some 90 bytes instead of the 960 that pairs of f64 would take: two weeks of fifty metrics are a million
//! datapoints, and fit into the journal's default bound with room to spare.

use crate::metric::{DISTRIBUTION_VALUES_MAX, Distribution, StatisticSet};

const VERSION: u8 = 1;

const VALUES: u8 = 1;
const DECIMAL: u8 = 1 << 1;
const COUNTS: u8 = 1 << 2;
const WHOLE_COUNTS: u8 = 1 << 3;
/// The minimum is the first value, the maximum the last.
const EXTREMES_IMPLIED: u8 = 1 << 4;
/// The counts add up to the sample count.
const SAMPLE_COUNT_IMPLIED: u8 = 1 << 5;
const BUCKETED: u8 = 1 << 6;

/// The powers of ten that values are tried to be decimal fractions of.
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];

/// 2^53: f64 holds every integer up to here.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The bytes of a datapoint are not what this program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

pub(super) fn encode(set: &StatisticSet, distribution: Option<&Distribution>) -> Vec<u8> {
    let values = distribution.map(Distribution::values).unwrap_or_default();
    let counts: Vec<f64> = values.iter().map(|(_, count)| *count).collect();
    let error = distribution.map_or(0.0, Distribution::relative_error);
    let decimal = decimal(&values);
    let whole = counts
        .iter()
        .map(|count| whole(*count))
        .collect::<Option<Vec<i64>>>();
    let flags = flags(
        set,
        &values,
        &[
            (VALUES, distribution.is_some()),
            (DECIMAL, decimal.is_some()),
            (WHOLE_COUNTS, whole.is_some()),
            (BUCKETED, !same(error, 0.0)),
        ],
    );
    let mut bytes = vec![VERSION, flags];
    if flags & SAMPLE_COUNT_IMPLIED == 0 {
        put(&mut bytes, set.sample_count);
    }
    put(&mut bytes, set.sum);
    if flags & EXTREMES_IMPLIED == 0 {
        put(&mut bytes, set.minimum);
        put(&mut bytes, set.maximum);
    }
    if flags & VALUES == 0 {
        return bytes;
    }
    put_varint(&mut bytes, values.len() as u64);
    if flags & BUCKETED != 0 {
        put(&mut bytes, error);
    }
    match decimal {
        Some((scale, integers)) => put_decimals(&mut bytes, scale, &integers),
        None => values.iter().for_each(|(value, _)| put(&mut bytes, *value)),
    }
    match whole {
        _ if flags & COUNTS == 0 => {}
        Some(whole) => whole
            .iter()
            .for_each(|count| put_varint(&mut bytes, count.cast_unsigned())),
        None => counts.iter().for_each(|count| put(&mut bytes, *count)),
    }
    bytes
}

/// The flags that are given, and those that say what can be left out.
fn flags(set: &StatisticSet, values: &[(f64, f64)], given: &[(u8, bool)]) -> u8 {
    let counts = values.iter().map(|(_, count)| *count);
    let extremes = values.first().zip(values.last());
    let extremes = extremes
        .is_some_and(|(first, last)| same(first.0, set.minimum) && same(last.0, set.maximum));
    let sample_count = !values.is_empty() && same(total(counts.clone()), set.sample_count);
    let implied = [
        (COUNTS, !counts.clone().all(|count| same(count, 1.0))),
        (EXTREMES_IMPLIED, extremes),
        (SAMPLE_COUNT_IMPLIED, sample_count),
    ];
    let all = given.iter().chain(&implied);
    all.filter(|(_, on)| *on)
        .fold(0, |flags, (flag, _)| flags | flag)
}

/// A bucketed distribution comes back as its representatives: the journal keeps the relative error, but a
/// [`Distribution`] cannot be built with one.
pub(super) fn decode(bytes: &[u8]) -> Result<(StatisticSet, Option<Distribution>), Unreadable> {
    let mut rest = Bytes(bytes);
    let (version, flags) = (rest.byte()?, rest.byte()?);
    if version != VERSION {
        return Err(Unreadable);
    }
    let on = |flag: u8| flags & flag != 0;
    let mut set = StatisticSet::EMPTY;
    if !on(SAMPLE_COUNT_IMPLIED) {
        set.sample_count = rest.f64()?;
    }
    set.sum = rest.f64()?;
    if !on(EXTREMES_IMPLIED) {
        (set.minimum, set.maximum) = (rest.f64()?, rest.f64()?);
    }
    let values = on(VALUES).then(|| rest.values(flags)).transpose()?;
    if !rest.0.is_empty() {
        return Err(Unreadable);
    }
    if on(SAMPLE_COUNT_IMPLIED) {
        let values = values.as_ref().ok_or(Unreadable)?;
        set.sample_count = total(values.iter().map(|(_, count)| *count));
    }
    if on(EXTREMES_IMPLIED) {
        let extremes = values
            .as_deref()
            .and_then(|all| all.first().zip(all.last()));
        let (first, last) = extremes.ok_or(Unreadable)?;
        (set.minimum, set.maximum) = (first.0, last.0);
    }
    Ok((set, values.map(distribution)))
}

fn distribution(values: Vec<(f64, f64)>) -> Distribution {
    let mut distribution = Distribution::new();
    for (value, count) in values {
        distribution.add(value, count);
    }
    distribution
}

/// Bit by bit, so that what is left out comes back as it was, -0 included.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

fn total(counts: impl Iterator<Item = f64>) -> f64 {
    counts.fold(0.0, |sum, count| sum + count)
}

/// The integers n, and the exponent e of ten, for which every value is n / 10^e.
fn decimal(values: &[(f64, f64)]) -> Option<(u8, Vec<i64>)> {
    if values.is_empty() {
        return None;
    }
    (0..).zip(SCALES).find_map(|(exponent, scale)| {
        let integer = |(value, _): &(f64, f64)| {
            let integer = integer((value * scale).round())?;
            same(fraction(integer, scale), *value).then_some(integer)
        };
        let integers: Option<Vec<i64>> = values.iter().map(integer).collect();
        integers.map(|integers| (exponent, integers))
    })
}

/// A count that a varint can stand for.
fn whole(count: f64) -> Option<i64> {
    integer(count).filter(|integer| *integer >= 0 && same(fraction(*integer, 1.0), count))
}

#[expect(clippy::cast_possible_truncation, reason = "it is within 2^53")]
fn integer(value: f64) -> Option<i64> {
    (value.abs() <= WHOLE_MAX).then_some(value as i64)
}

#[expect(clippy::cast_precision_loss, reason = "what is written is within 2^53")]
fn fraction(integer: i64, scale: f64) -> f64 {
    integer as f64 / scale
}

fn put(bytes: &mut Vec<u8>, number: f64) {
    bytes.extend(number.to_le_bytes());
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn put_decimals(bytes: &mut Vec<u8>, exponent: u8, integers: &[i64]) {
    bytes.push(exponent);
    let mut before: Option<i64> = None;
    for integer in integers {
        let number = before.map_or(zigzag(*integer), |before| {
            (integer - before).cast_unsigned()
        });
        put_varint(bytes, number);
        before = Some(*integer);
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// What is not read yet.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.0.split_first().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    fn f64(&mut self) -> Result<f64, Unreadable> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(f64::from_le_bytes(*first))
    }

    fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Unreadable)
    }

    fn values(&mut self, flags: u8) -> Result<Vec<(f64, f64)>, Unreadable> {
        let number = usize::try_from(self.varint()?)
            .ok()
            .filter(|number| *number <= DISTRIBUTION_VALUES_MAX)
            .ok_or(Unreadable)?;
        if flags & BUCKETED != 0 {
            self.f64()?;
        }
        let values = if flags & DECIMAL != 0 {
            self.decimals(number)?
        } else {
            (0..number).map(|_| self.f64()).collect::<Result<_, _>>()?
        };
        let counts = match (flags & COUNTS != 0, flags & WHOLE_COUNTS != 0) {
            (false, _) => vec![1.0; number],
            (true, false) => (0..number).map(|_| self.f64()).collect::<Result<_, _>>()?,
            (true, true) => (0..number)
                .map(|_| Ok(fraction(self.varint()?.cast_signed(), 1.0)))
                .collect::<Result<_, _>>()?,
        };
        Ok(values.into_iter().zip(counts).collect())
    }

    fn decimals(&mut self, number: usize) -> Result<Vec<f64>, Unreadable> {
        let scale = *SCALES.get(usize::from(self.byte()?)).ok_or(Unreadable)?;
        let mut before: Option<i64> = None;
        let mut decimal = || {
            let varint = self.varint()?;
            let integer = match before {
                None => unzigzag(varint),
                Some(before) => before.checked_add_unsigned(varint).ok_or(Unreadable)?,
            };
            before = Some(integer);
            Ok(fraction(integer, scale))
        };
        (0..number).map(|_| decimal()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[(f64, f64)]) -> (StatisticSet, Distribution) {
        let mut set = StatisticSet::EMPTY;
        for (value, count) in values {
            set.merge(&StatisticSet::of(*value, *count));
        }
        (set, distribution(values.to_vec()))
    }

    #[track_caller]
    fn size(values: &[(f64, f64)]) -> usize {
        let (set, distribution) = of(values);
        let bytes = encode(&set, Some(&distribution));
        assert_eq!(decode(&bytes), Ok((set, Some(distribution))));
        bytes.len()
    }

    #[test]
    fn values_with_two_decimals_take_two_bytes_at_most() {
        let percent: Vec<(f64, f64)> = (0..60)
            .map(|i| (f64::from(i * 137 % 10_000) / 100.0, 1.0))
            .collect();
        assert!(size(&percent) < 135, "{}", size(&percent));
        assert_eq!(size(&[(12.5, 60.0)]), 15);
        assert_eq!(size(&[(-0.0, 1.0)]), 2 + 8 + 1 + 8);
    }

    #[test]
    fn a_set_without_values_is_four_numbers() {
        let set = StatisticSet::of(3.5, 1e300);
        let bytes = encode(&set, None);
        assert_eq!(bytes.len(), 34);
        assert_eq!(decode(&bytes), Ok((set, None)));
    }

    #[test]
    fn buckets_keep_their_values() {
        let values: Vec<(f64, f64)> = (0..1_000).map(|i| (1.1_f64.powi(i - 300), 2.0)).collect();
        let (set, distribution) = of(&values);
        let decoded = decode(&encode(&set, Some(&distribution))).unwrap();
        assert_eq!(decoded.1.unwrap().values(), distribution.values());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flags: u8) {
            let known = [&[VERSION, flags], bytes.as_slice()].concat();
            drop(decode(&bytes));
            drop(decode(&known));
        }

        #[test]
        fn a_cut_or_lengthened_datapoint_is_unreadable(
            values in prop::collection::vec((-1e6..1e6_f64, 1.0..9e18_f64), 1..150), at in 0..1_000_usize
        ) {
            let (set, distribution) = of(&values);
            let mut bytes = encode(&set, Some(&distribution));
            prop_assert!(decode(&bytes[..at % bytes.len()]).is_err());
            bytes.push(0);
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
