//! A decimal number as the bytes of a `numeric` value, as the server keeps it.
//!
//! A header of four bytes (`varlena`), then sign, weight and display scale, packed into one 16-bit word where they
//! fit (`NUMERIC_SHORT`) and into two where they do not, then digits to the base 10,000, the most significant first,
//! without zeros at either end. Source: `numeric.c` in PostgreSQL, `set_var_from_str` and `make_result_opt_error`.

use super::varlena;
use crate::map::number::Decimal;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_WEIGHT_NEGATIVE: u16 = 0x0040;
const SHORT_SCALE_SHIFT: u32 = 7;
const SHORT_SCALE_MAX: i64 = 63;
/// Decimal digits in one of the base 10,000.
const DIGITS: i64 = 4;

/// Appends the number that `text` spells; `None`, with nothing appended, if it spells none that `numeric` holds.
pub(super) fn append(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let number = Decimal::parse(text).filter(Decimal::fits_numeric)?;
    let (whole, fraction, exponent) = (number.whole(), number.fraction(), number.exponent());
    let (before, after) = (count(whole)?, count(fraction)?);
    let digit = |at: i64| {
        let place = usize::try_from(at).ok()?;
        let byte = match place.checked_sub(whole.len()) {
            None => whole.as_bytes().get(place)?,
            Some(place) => fraction.as_bytes().get(place)?,
        };
        Some(u16::from(byte - b'0'))
    };
    let written = whole.bytes().chain(fraction.bytes());
    let first = count_until(written.clone())?;
    let last = before + after - 1 - count_until(written.rev())?;
    let scale = (after - exponent).max(0);
    // The decimal point is before this digit.
    let point = before + exponent;
    let (weight, lowest) = if first > last {
        (0, 1) // zero has no digits
    } else {
        (
            (point - first - 1).div_euclid(DIGITS),
            (point - last - 1).div_euclid(DIGITS),
        )
    };
    let negative = number.is_negative() && first <= last;
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if scale <= SHORT_SCALE_MAX && (-64..=63).contains(&weight) {
        let sign = if negative { SHORT_NEGATIVE } else { 0 };
        let below = if weight < 0 { SHORT_WEIGHT_NEGATIVE } else { 0 };
        let scale = u16::try_from(scale).ok()? << SHORT_SCALE_SHIFT;
        let weight = u16::try_from(weight & 0x3F).ok()?;
        push(out, SHORT | sign | scale | below | weight);
    } else {
        let sign = if negative { NEGATIVE } else { POSITIVE };
        push(out, sign | u16::try_from(scale).ok()?);
        out.extend_from_slice(&i16::try_from(weight).ok()?.to_ne_bytes());
    }
    for group in (lowest..=weight).rev() {
        let from = point - DIGITS * (group + 1);
        let value = (from..from + DIGITS).fold(0, |value, at| 10 * value + digit(at).unwrap_or(0));
        push(out, value);
    }
    let header = varlena::header(out.len() - start)?;
    out.get_mut(start..start + 4)?.copy_from_slice(&header);
    Some(())
}

fn push(out: &mut Vec<u8>, word: u16) {
    out.extend_from_slice(&word.to_ne_bytes());
}

/// How many zeros come before the first other digit.
fn count_until(digits: impl Iterator<Item = u8>) -> Option<i64> {
    i64::try_from(digits.take_while(|digit| *digit == b'0').count()).ok()
}

fn count(digits: &str) -> Option<i64> {
    i64::try_from(digits.len()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words behind the length.
    fn words(text: &str) -> Vec<u16> {
        let mut out = Vec::new();
        append(text, &mut out).unwrap();
        assert_eq!(varlena::header(out.len()).unwrap(), out[..4]);
        let words = out[4..].as_chunks::<2>().0.iter();
        words.map(|word| u16::from_ne_bytes(*word)).collect()
    }

    #[test]
    fn digits_are_grouped_by_four_around_the_point() {
        assert_eq!(words("0"), [0x8000]);
        assert_eq!(words("1"), [0x8000, 1]);
        assert_eq!(words("-12345.678"), [0xA000 | 3 << 7 | 1, 1, 2345, 6780]);
        assert_eq!(words("10000"), [0x8001, 1]);
        assert_eq!(words("0.0001"), [0x8000 | 4 << 7 | 0x7F, 1]);
        assert_eq!(words("0.00012"), [0x8000 | 5 << 7 | 0x7F, 1, 2000]);
    }

    #[test]
    fn an_exponent_moves_the_point_and_the_scale() {
        assert_eq!(words("1e5"), [0x8001, 10]);
        assert_eq!(words("1.50e1"), [0x8000 | 1 << 7, 15]);
        assert_eq!(words("15e-1"), [0x8000 | 1 << 7, 1, 5000]);
    }

    #[test]
    fn zero_has_no_sign_and_no_digits_but_its_scale() {
        assert_eq!(words("-0.000"), [0x8000 | 3 << 7]);
        assert_eq!(words("0e7"), [0x8000]);
    }

    #[test]
    fn what_the_short_form_cannot_hold_takes_the_long_one() {
        assert_eq!(words("-1e256"), [0x4000, 64, 1]);
        assert_eq!(words("1e255"), [0x8000 | 63, 1000]);
        assert_eq!(words("1e-64"), [64, (-16i16) as u16, 1]);
    }

    #[test]
    fn what_numeric_cannot_hold_is_refused() {
        for text in ["1e131072", "1e-16384", "x", ""] {
            let mut out = vec![7];
            assert_eq!(append(text, &mut out), None);
            assert_eq!(out, [7]);
        }
    }
}
