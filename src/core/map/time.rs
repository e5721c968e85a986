//! Points in time as applications write them into metadata.
//!
//! Promise: microseconds since 1970-01-01 UTC inside the range of PostgreSQL's `timestamptz`, or nothing.
//! Imports nothing of this crate.

use chrono::NaiveDate;

/// The first microsecond of 4714-11-24 BC, where `timestamptz` begins. It ends in the year 294276, after
/// the last microsecond that 64 bits can count from 1970.
const FIRST: i64 = -210_866_803_200_000_000;
const MICROS: i64 = 1_000_000;

/// Numbers above these count milliseconds, microseconds, nanoseconds: as seconds they would be later than
/// the year 5138, and so on. No application means that.
const MILLISECONDS_ABOVE: f64 = 1e11;
const MICROSECONDS_ABOVE: f64 = 1e14;
const NANOSECONDS_ABOVE: f64 = 1e17;

/// `micros` if PostgreSQL's `timestamptz` can hold it.
pub(super) fn in_range(micros: i64) -> Option<i64> {
    (micros >= FIRST).then_some(micros)
}

/// Parses ISO 8601 as Python and JavaScript write it: a date, then `T` or a space and a time, an optional
/// fraction of up to 9 digits (rounded to microseconds), an optional `Z`, `+HH`, `+HHMM`, `+HH:MM` or
/// `+HH:MM:SS`. No zone means UTC. A text of at least 9 digits is a count since 1970, as in
/// [`from_int`].
pub(super) fn from_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let (year, rest) = number(text, 4)?;
    let Some(rest) = rest.strip_prefix('-') else {
        return from_digits(text);
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    if year == 0 {
        return None;
    }
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros();
    if rest.is_empty() {
        return in_range(midnight);
    }
    let (clock, rest) = clock(rest.strip_prefix(['T', 't', ' '])?)?;
    in_range(midnight.checked_add(clock)?.checked_sub(zone(rest)?)?)
}

/// A count since 1970: seconds, or milliseconds (microseconds, nanoseconds) when too large for seconds.
pub(super) fn from_int(count: i64) -> Option<i64> {
    let size = count.to_string().parse::<f64>().ok()?.abs();
    let micros = if size > NANOSECONDS_ABOVE {
        count.checked_div(1000)?
    } else if size > MICROSECONDS_ABOVE {
        count
    } else if size > MILLISECONDS_ABOVE {
        count.checked_mul(1000)?
    } else {
        count.checked_mul(MICROS)?
    };
    in_range(micros)
}

/// A count since 1970 with a fraction; see [`from_int`].
pub(super) fn from_float(count: f64) -> Option<i64> {
    let size = count.abs();
    let micros = if size > NANOSECONDS_ABOVE {
        count / 1e3
    } else if size > MICROSECONDS_ABOVE {
        count
    } else if size > MILLISECONDS_ABOVE {
        count * 1e3
    } else {
        count * 1e6
    };
    // Through text: a cast would turn what does not fit into something that does.
    format!("{micros:.0}").parse().ok().and_then(in_range)
}

/// A text of digits, perhaps with a fraction, long enough not to be a year or a date.
fn from_digits(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits < 9 {
        return None;
    }
    if digits == text.len() {
        return from_int(text.parse().ok()?);
    }
    let fraction = text.get(digits..)?.strip_prefix('.')?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    from_float(text.parse().ok()?)
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction` as microseconds, and what follows it.
fn clock(text: &str) -> Option<(i64, &str)> {
    let (hour, rest) = number(text, 2)?;
    let (minute, mut rest) = number(rest.strip_prefix(':')?, 2)?;
    let mut micros = 0;
    let mut second = 0;
    if let Some(seconds) = rest.strip_prefix(':') {
        (second, rest) = number(seconds, 2)?;
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=9).contains(&digits) {
                return None;
            }
            let (digits, after) = fraction.split_at_checked(digits)?;
            let nanos: i64 = format!("{digits:0<9}").parse().ok()?;
            micros = (nanos + 500) / 1000;
            rest = after;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some((seconds * MICROS + micros, rest))
}

/// The zone's offset from UTC in microseconds; nothing at all is UTC.
fn zone(text: &str) -> Option<i64> {
    let text = text.trim_start();
    if matches!(text, "" | "Z" | "z" | "UTC") {
        return Some(0);
    }
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, mut rest) = number(text, 2)?;
    let mut parts = [0, 0];
    for part in &mut parts {
        if rest.is_empty() {
            break;
        }
        (*part, rest) = number(rest.strip_prefix(':').unwrap_or(rest), 2)?;
    }
    let [minutes, seconds] = parts;
    if !rest.is_empty() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let offset = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    Some(sign * offset * MICROS)
}

/// Exactly `digits` digits as a number, and what follows them.
fn number(text: &str, digits: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: i64 = 1_705_314_600_000_000; // 2024-01-15 10:30:00 UTC

    #[test]
    fn iso_8601_is_read_as_python_and_javascript_write_it() {
        for text in [
            "2024-01-15T10:30:00",
            "2024-01-15 10:30:00",
            "2024-01-15T10:30",
            "2024-01-15T10:30:00Z",
            "2024-01-15t10:30:00z",
            "2024-01-15T10:30:00.000Z",
            "2024-01-15T10:30:00.000000+00:00",
            "2024-01-15 10:30:00 UTC",
            "  2024-01-15T10:30:00\n",
            "2024-01-15T12:30:00+02:00",
            "2024-01-15T12:30:00+0200",
            "2024-01-15T12:30:00+02",
            "2024-01-15 12:30:00 +02:00",
            "2024-01-15T05:00:00-05:30",
            "2024-01-15T12:30:01+02:00:01",
        ] {
            assert_eq!(from_text(text), Some(MOMENT), "{text}");
        }
    }

    #[test]
    fn a_date_alone_is_its_midnight_in_utc() {
        assert_eq!(from_text("1970-01-02"), Some(86_400 * MICROS));
        assert_eq!(from_text("0001-01-01"), Some(-62_135_596_800 * MICROS));
        assert_eq!(
            from_text("9999-12-31T23:59:59.999999"),
            Some(253_402_300_799_999_999)
        );
    }

    #[test]
    fn a_fraction_of_one_to_nine_digits_is_rounded_to_microseconds() {
        assert_eq!(from_text("1970-01-01T00:00:00.5"), Some(500_000));
        assert_eq!(from_text("1970-01-01T00:00:00.123456"), Some(123_456));
        assert_eq!(from_text("1970-01-01T00:00:00.123456499"), Some(123_456));
        assert_eq!(from_text("1970-01-01T00:00:00.123456500"), Some(123_457));
        assert_eq!(from_text("1970-01-01T00:00:00.999999999"), Some(1_000_000));
        assert_eq!(from_text("1970-01-01T00:00:00."), None);
        assert_eq!(from_text("1970-01-01T00:00:00.1234567890"), None);
    }

    #[test]
    fn what_is_no_point_in_time_is_nothing() {
        for text in [
            "",
            "yesterday",
            "2024",
            "2024-13-01",
            "2024-02-30",
            "2024-01-15T",
            "2024-01-15T25:00:00",
            "2024-01-15T10:60",
            "2024-01-15T10:30:60",
            "2024-01-15T10:30:00+24:00",
            "2024-01-15T10:30:00 CET",
            "2024-01-15T10:30:00Zulu",
            "0000-01-01",
            "20240115",
            "12345678",
            "-1700000000",
            "1700000000.1.2",
            "99999999999999999999999",
            "２０２４-01-15",
            "2024-01-1é",
        ] {
            assert_eq!(from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_leap_day_is_a_day() {
        assert_eq!(from_text("2024-02-29"), Some(1_709_164_800 * MICROS));
        assert_eq!(from_text("2023-02-29"), None);
    }

    #[test]
    fn numbers_count_seconds_or_milliseconds_by_their_size() {
        assert_eq!(from_int(1_705_314_600), Some(MOMENT));
        assert_eq!(from_int(1_705_314_600_000), Some(MOMENT));
        assert_eq!(from_int(1_705_314_600_000_000), Some(MOMENT));
        assert_eq!(from_int(1_705_314_600_000_000_000), Some(MOMENT));
        assert_eq!(from_int(0), Some(0));
        assert_eq!(from_int(-86_400), Some(-86_400 * MICROS));
        assert_eq!(from_int(100_000_000_000), Some(100_000_000_000 * MICROS));
        assert_eq!(from_int(100_000_000_001), Some(100_000_000_001_000));
    }

    #[test]
    fn floats_keep_their_microseconds() {
        assert_eq!(from_float(1_705_314_600.123_456), Some(MOMENT + 123_456));
        assert_eq!(from_float(1_705_314_600_123.456), Some(MOMENT + 123_456));
        assert_eq!(from_float(f64::INFINITY), None);
        assert_eq!(from_float(f64::NAN), None);
        assert_eq!(from_float(1e300), None);
    }

    #[test]
    fn a_text_of_digits_counts_too_when_it_is_long_enough() {
        assert_eq!(from_text("1705314600"), Some(MOMENT));
        assert_eq!(from_text("1705314600000"), Some(MOMENT));
        assert_eq!(from_text("1705314600.5"), Some(MOMENT + 500_000));
    }

    #[test]
    fn times_outside_the_range_of_postgresql_are_nothing() {
        assert_eq!(in_range(FIRST), Some(FIRST));
        assert_eq!(in_range(FIRST - 1), None);
        assert_eq!(from_int(i64::MAX), Some(i64::MAX / 1000));
    }
}
