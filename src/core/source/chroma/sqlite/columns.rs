//! The columns of Chroma's tables as values.
//!
//! Stage: source. Promise: a value keeps the type that Chroma stored. May import `record`.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::record::Value;

/// A text value; read by its byte length, since a text may hold U+0000.
pub(crate) fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            // Chroma writes UTF-8; checking that is faster than converting.
            Some(match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(bytes).into_owned(),
            })
        }
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
    }
}

/// A sequence number: an INTEGER since chromadb 1.0, before that a big-endian BLOB of 8 bytes (24 in theory).
pub(crate) fn sequence(value: ValueRef<'_>) -> Result<Option<i64>, String> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        ValueRef::Blob(bytes) => {
            let wide = matches!(bytes.len(), 8 | 24);
            let (high, low) = bytes
                .split_at_checked(bytes.len().saturating_sub(8))
                .unwrap_or((bytes, &[]));
            match <[u8; 8]>::try_from(low)
                .map(u64::from_be_bytes)
                .map(i64::try_from)
            {
                Ok(Ok(number)) if wide && high.iter().all(|byte| *byte == 0) => Ok(Some(number)),
                _ => Err(format!(
                    "a sequence number of {} bytes cannot be decoded",
                    bytes.len()
                )),
            }
        }
        other => Err(format!(
            "a sequence number is stored as {}",
            other.data_type()
        )),
    }
}

/// The value in the columns from `first` on: string, int, float and, where the schema has it, bool. The first
/// that is not NULL; `None` if all are (a float NaN is stored so).
pub(crate) fn typed(row: &Row<'_>, first: usize, bools: bool) -> rusqlite::Result<Option<Value>> {
    match row.get_ref(first)? {
        ValueRef::Null => number_or_bool(row, first.saturating_add(1), bools),
        value => Ok(text(value).map(Value::Str)),
    }
}

/// As [`typed`], of a value that is no string: int, float and bool from `first` on.
pub(crate) fn number_or_bool(
    row: &Row<'_>,
    first: usize,
    bools: bool,
) -> rusqlite::Result<Option<Value>> {
    for at in [first, first.saturating_add(1)] {
        let float = at > first;
        match row.get_ref(at)? {
            ValueRef::Null => {}
            ValueRef::Integer(number) if float => return Ok(Some(Value::Float(number as f64))),
            ValueRef::Integer(number) => return Ok(Some(Value::Int(number))),
            ValueRef::Real(number) => return Ok(Some(Value::Float(number))),
            other => return Ok(text(other).map(Value::Str)),
        }
    }
    if !bools {
        return Ok(None);
    }
    Ok(match row.get_ref(first.saturating_add(2))? {
        ValueRef::Integer(number) => Some(Value::Bool(number != 0)),
        _ => None,
    })
}

/// Whether a text shows that pages of it cannot be read: it is not UTF-8, as every text of Chroma is, or it is long enough to
/// be on several pages and ends with zeros.
pub(crate) fn is_damaged_text(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Text(bytes) if intact_text(bytes).is_none())
}

/// The text of these bytes; `None` if it is damaged (see [`is_damaged_text`]).
pub(crate) fn intact_text(bytes: &[u8]) -> Option<&str> {
    /// A shorter text is never on several pages.
    const ON_ONE_PAGE: usize = 400;
    if bytes.len() > ON_ONE_PAGE && bytes.last() == Some(&0) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// `YYYY-MM-DD HH:MM:SS` in UTC as microseconds since 1970.
pub(crate) fn timestamp(value: ValueRef<'_>) -> Option<i64> {
    if let ValueRef::Text(bytes) = value
        && let Some(time) = plain_timestamp(bytes)
    {
        return Some(time);
    }
    let text = text(value)?;
    let time = chrono::NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(time.and_utc().timestamp_micros())
}

/// The same for exactly what SQLite's CURRENT_TIMESTAMP writes, without the cost of a format.
fn plain_timestamp(bytes: &[u8]) -> Option<i64> {
    let bytes: &[u8; 19] = bytes.try_into().ok()?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        o1,
        o2,
        b'-',
        d1,
        d2,
        b' ',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
    ] = *bytes
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |sum, digit| {
            let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
            Some(sum * 10 + u32::from(digit))
        })
    };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let date = chrono::NaiveDate::from_ymd_opt(year, number(&[o1, o2])?, number(&[d1, d2])?)?;
    let time = date.and_hms_opt(number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?)?;
    Some(time.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_times_are_utc() {
        assert_eq!(
            timestamp(ValueRef::Text(b"1970-01-01 00:00:01")),
            Some(1_000_000)
        );
        assert_eq!(
            timestamp(ValueRef::Text(b"2024-02-29 12:00:00.5")),
            Some(1_709_208_000_500_000)
        );
        assert_eq!(timestamp(ValueRef::Text(b"2024-02-30 12:00:00")), None);
        assert_eq!(
            timestamp(ValueRef::Text(b"2024-02-29 23:59:59")),
            Some(1_709_251_199_000_000)
        );
        assert_eq!(timestamp(ValueRef::Text(b"yesterday")), None);
        assert_eq!(timestamp(ValueRef::Null), None);
    }
}
