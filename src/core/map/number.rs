//! Decimal numbers as text, compared and converted exactly.
//!
//! Promise: no rounding anywhere: 64-bit integers and decimals of any length keep their value. Imports
//! nothing of this crate.

/// Exponents beyond this make no difference to any answer here.
const FAR: i64 = i64::MAX / 8;
/// `numeric` refuses an exponent of this size before it looks at the digits (INT_MAX / 2).
const EXPONENT_LIMIT: i64 = 1_073_741_823;
/// Most digits that `numeric` takes before the decimal point.
const DIGITS_BEFORE: i64 = 131_072;
/// Most digits that `numeric` takes after the decimal point.
const DIGITS_AFTER: i64 = 16_383;

/// A decimal number taken apart, its digits still in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// Takes a decimal number apart; `None` for any other text. Surrounding white space is not part of it.
    pub(crate) fn parse(text: &'t str) -> Option<Decimal<'t>> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        Some(Decimal {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// Whether PostgreSQL's `numeric` (and so `jsonb`) can hold the number.
    pub(crate) fn fits_numeric(&self) -> bool {
        if self.exponent.abs() >= EXPONENT_LIMIT {
            return false;
        }
        // The scale counts written digits: 0e-20000 has too many of them as well.
        if length(self.fraction) - self.exponent > DIGITS_AFTER {
            return false;
        }
        self.digits_before() <= DIGITS_BEFORE
    }

    /// Whether it begins with a minus sign.
    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    /// The digits before the point.
    pub(crate) fn whole(&self) -> &'t str {
        self.whole
    }

    /// The digits behind the point.
    pub(crate) fn fraction(&self) -> &'t str {
        self.fraction
    }

    /// The power of ten that it is multiplied by.
    pub(crate) fn exponent(&self) -> i64 {
        self.exponent
    }

    /// The same number as an `i64`; `None` if it is no whole number or too large.
    pub(crate) fn to_i64(self) -> Option<i64> {
        let (digits, exponent) = self.significant();
        if digits.is_empty() {
            return Some(0);
        }
        if exponent < 0 || self.digits_before() > 19 {
            return None;
        }
        let mut text = String::with_capacity(20);
        if self.negative {
            text.push('-');
        }
        text.push_str(&digits);
        for _ in 0..exponent {
            text.push('0');
        }
        text.parse().ok()
    }

    /// Whether both are the same number, however they are written.
    pub(crate) fn equals(&self, other: &Decimal<'_>) -> bool {
        let (mine, theirs) = (self.significant(), other.significant());
        if mine.0.is_empty() || theirs.0.is_empty() {
            return mine.0 == theirs.0;
        }
        self.negative == other.negative && mine == theirs
    }

    /// Position of the decimal point after the first digit that counts; 0 or less below one.
    fn digits_before(&self) -> i64 {
        let whole = self.whole.trim_start_matches('0');
        if !whole.is_empty() {
            return length(whole).saturating_add(self.exponent);
        }
        let fraction = self.fraction.trim_start_matches('0');
        if fraction.is_empty() {
            return 0;
        }
        let zeros = length(self.fraction) - length(fraction);
        self.exponent.saturating_sub(zeros)
    }

    /// The digits without zeros at either end and the power of ten of the last one; no digits for zero.
    fn significant(&self) -> (String, i64) {
        let all = [self.whole, self.fraction].concat();
        let trimmed = all.trim_end_matches('0');
        let dropped = length(&all) - length(trimmed);
        let exponent = self.exponent - length(self.fraction) + dropped;
        (trimmed.trim_start_matches('0').to_string(), exponent)
    }
}

/// The exponent, held to a range in which sums cannot overflow.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let far = if text.starts_with('-') { -FAR } else { FAR };
    Some(text.parse().unwrap_or(far).clamp(-FAR, FAR))
}

/// Length as a signed number; no text in memory is longer than that.
fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str) -> bool {
        Decimal::parse(text).unwrap().fits_numeric()
    }

    fn equal(a: &str, b: &str) -> bool {
        Decimal::parse(a)
            .unwrap()
            .equals(&Decimal::parse(b).unwrap())
    }

    fn whole(text: &str) -> Option<i64> {
        Decimal::parse(text).and_then(Decimal::to_i64)
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in [
            "", "-", ".", "1e", "1e+", "abc", "1,000", "0x10", "1 ", " 1", "1.2.3", "Infinity",
            "1e5e5",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn numeric_takes_131072_digits_before_the_point_and_not_one_more() {
        assert!(fits("1e131071"));
        assert!(!fits("1e131072"));
        assert!(fits("10e131070"));
        assert!(!fits("10e131071"));
        assert!(fits("0.001e131074"));
        assert!(!fits("0.001e131075"));
        assert!(!fits("-1e131072"));
        assert!(fits(&"9".repeat(131_072)));
        assert!(!fits(&"9".repeat(131_073)));
    }

    #[test]
    fn numeric_takes_16383_digits_after_the_point_and_not_one_more() {
        assert!(fits("1e-16383"));
        assert!(!fits("1e-16384"));
        assert!(fits("1.5e-16382"));
        assert!(!fits("1.5e-16383"));
        assert!(!fits("0e-16384"));
        assert!(!fits("1e-99999999999999999999"));
    }

    #[test]
    fn zero_fits_with_any_exponent_that_numeric_reads() {
        assert!(fits("0e131072"));
        assert!(fits("0.00e1073741822"));
        assert!(!fits("0e1073741823"));
        assert!(!fits("0e99999999999999999999"));
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        assert!(equal("1", "1.0"));
        assert!(equal("100", "1e2"));
        assert!(equal("100", "1.00E+2"));
        assert!(equal("0", "-0.000e7"));
        assert!(equal("0.5", "5e-1"));
        assert!(!equal("1", "-1"));
        assert!(!equal("1", "10"));
        assert!(!equal("0", "1"));
    }

    #[test]
    fn neighbouring_64_bit_integers_stay_different() {
        assert!(!equal("9223372036854775807", "9223372036854775806"));
        assert!(!equal("9007199254740993", "9007199254740992.0"));
        assert!(equal("9007199254740993", "9007199254740993.0"));
    }

    #[test]
    fn whole_numbers_become_integers_exactly() {
        assert_eq!(whole("12"), Some(12));
        assert_eq!(whole("12.0"), Some(12));
        assert_eq!(whole("1.2e1"), Some(12));
        assert_eq!(whole("1e3"), Some(1000));
        assert_eq!(whole("-0.0"), Some(0));
        assert_eq!(whole("0e99"), Some(0));
        assert_eq!(whole("9223372036854775807"), Some(i64::MAX));
        assert_eq!(whole("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn fractions_and_numbers_too_large_do_not_become_integers() {
        assert_eq!(whole("12.5"), None);
        assert_eq!(whole("1e-1"), None);
        assert_eq!(whole("9223372036854775808"), None);
        assert_eq!(whole("1e999999999999999999999"), None);
    }
}
