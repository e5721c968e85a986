//! What a record says besides its vector: document, uri and typed metadata.
//!
//! Stage: source. Promise: a value keeps the type that Chroma stored; Chroma's own keys do not appear as the
//! user's. May import `record` and `database`.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::database::text;
use crate::record::{Metadata, Value};

const DOCUMENT: &str = "chroma:document";
const URI: &str = "chroma:uri";
/// No release returns keys that begin so, whoever wrote them.
const OWN: &str = "chroma:";

/// Document, uri and metadata of one record.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Content {
    /// The document.
    pub document: Option<String>,
    /// The uri.
    pub uri: Option<String>,
    /// The user's metadata.
    pub metadata: Metadata,
}

impl Content {
    /// Sets `key`, or removes it if there is no value.
    pub fn put(&mut self, key: impl Into<Arc<str>>, value: Option<Value>) {
        let key = key.into();
        match (&*key, value) {
            (DOCUMENT, value) => self.document = value.map(text_of),
            (URI, value) => self.uri = value.map(text_of),
            (own, _) if own.starts_with(OWN) => {}
            (_, Some(value)) => self.metadata.set(key, value),
            (_, None) => {
                self.metadata.remove(&key);
            }
        }
    }

    /// Whether `key` has a value.
    pub fn has(&self, key: &str) -> bool {
        match key {
            DOCUMENT => self.document.is_some(),
            URI => self.uri.is_some(),
            _ => self.metadata.get(key).is_some(),
        }
    }
}

/// A value as text, without copying one that is.
fn text_of(value: Value) -> String {
    match value {
        Value::Str(text) => text,
        other => words(&other),
    }
}

/// The value in the columns from `first` on: string, int, float and, where the schema has it, bool. The first
/// that is not NULL; `None` if all are (a float NaN is stored so).
pub(crate) fn typed(row: &Row<'_>, first: usize, bools: bool) -> rusqlite::Result<Option<Value>> {
    match row.get_ref(first)? {
        ValueRef::Null => plain(row, first.saturating_add(1), bools),
        value => Ok(text(value).map(Value::Str)),
    }
}

/// As [`typed`], of a value that is no string: int, float and bool from `first` on.
pub(crate) fn plain(row: &Row<'_>, first: usize, bools: bool) -> rusqlite::Result<Option<Value>> {
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

/// Whether a text shows that pages of it are lost: it is not UTF-8, as every text of Chroma is, or its end, which
/// is long enough to lie on a page of its own, is zeros.
pub(crate) fn spoiled(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Text(bytes) if whole(bytes).is_none())
}

/// The text of these bytes; `None` if it is spoiled (see [`spoiled`]).
pub(crate) fn whole(bytes: &[u8]) -> Option<&str> {
    /// A shorter text is never cut over several pages.
    const ON_ONE_PAGE: usize = 400;
    if bytes.len() > ON_ONE_PAGE && bytes.last() == Some(&0) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// A value as one canonical text: 7, 7.0 and "7" are the same.
pub(crate) fn words(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Bool(on) => on.to_string(),
        Value::Int(number) => number.to_string(),
        // Rust writes the shortest text that reads back: 7.0 as "7".
        Value::Float(number) => number.to_string(),
        Value::List(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
    }
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
    fn a_user_written_as_number_or_text_is_one_user() {
        let all = [Value::Int(7), Value::Float(7.0), Value::Str("7".to_owned())];
        assert!(all.iter().all(|value| words(value) == "7"));
        assert_eq!(words(&Value::Float(7.5)), "7.5");
    }

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

    #[test]
    fn chromas_own_keys_are_not_metadata() {
        let mut content = Content::default();
        content.put("chroma:document", Some(Value::Str(String::new())));
        content.put("chroma:uri", Some(Value::Str("file:///a".to_owned())));
        content.put("k", Some(Value::Int(1)));
        content.put("gone", Some(Value::Int(1)));
        content.put("gone", None);
        content.put("chroma:other", Some(Value::Int(1)));
        assert_eq!(content.document.as_deref(), Some(""));
        assert_eq!(content.uri.as_deref(), Some("file:///a"));
        assert_eq!(content.metadata.len(), 1);
        content.put("chroma:document", None);
        assert_eq!(content.document, None);
    }
}
