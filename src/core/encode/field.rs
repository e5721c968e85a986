//! One value as one column has it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::array::ArrayImage;
use super::buffer::TupleBuffer;
use super::column::ColumnType;
use super::value;
use crate::map::Field;
use crate::reason::{Reason, Rejection};

/// Microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const PG_EPOCH_MICROS: i64 = 946_684_800_000_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `text` as the column type `ty` would show it: the spelling that keys are compared by.
///
/// # Errors
/// A sentence that says why a column of this type cannot hold it.
pub fn canonical_key(ty: ColumnType, text: &str) -> Result<Cow<'_, str>, String> {
    let integer = |low: i64, high: i64, name: &str| match text.trim().parse::<i64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(Cow::Owned(number.to_string())),
        Ok(_) => Err(format!("\"{text}\" is out of range for type {name}")),
        Err(_) => Err(format!("\"{text}\" is not of type {name}")),
    };
    match ty {
        ColumnType::Int2 => integer(i16::MIN.into(), i16::MAX.into(), "smallint"),
        ColumnType::Int4 => integer(i32::MIN.into(), i32::MAX.into(), "integer"),
        ColumnType::Int8 => integer(i64::MIN, i64::MAX, "bigint"),
        ColumnType::Uuid => uuid::Uuid::try_parse(text.trim())
            .map(|uuid| Cow::Owned(uuid.hyphenated().to_string()))
            .map_err(|_| format!("\"{text}\" is not of type uuid")),
        _ if text.contains('\0') => Err("it holds U+0000, which PostgreSQL cannot store".into()),
        _ => Ok(Cow::Borrowed(text)),
    }
}

/// Appends a field of the column `name` of type `ty`.
///
/// # Errors
/// What the type cannot hold.
pub(super) fn append(
    out: &mut TupleBuffer,
    name: &str,
    ty: ColumnType,
    field: Field<'_>,
) -> Result<(), Rejection> {
    match field {
        Field::Null => {
            out.null();
            Ok(())
        }
        Field::Key(text) => key(out, ty, &text, Reason::BadId),
        Field::Owner(text) => key(out, ty, text, Reason::BadUserId),
        Field::Text(text) => out.field(text.as_bytes()),
        Field::Json(text) => json(out, ty, &text),
        Field::Bool(yes) => out.field(&[u8::from(yes)]),
        Field::Count(bytes) => count(out, name, ty, bytes),
        Field::Time(micros) => time(out, name, ty, micros),
        Field::Value(key, value) => value::append(out, (name, key), ty, &value),
        Field::Number => match ty {
            ColumnType::Int2 => out.field(&[0; 2]),
            ColumnType::Int4 => out.field(&[0; 4]),
            _ => out.field(&[0; 8]),
        },
    }
}

/// Appends a key that [`canonical_key`] has spelled.
///
/// # Errors
/// The given reason, if the key is not of the type after all.
pub(super) fn key(
    out: &mut TupleBuffer,
    ty: ColumnType,
    canonical: &str,
    reason: Reason,
) -> Result<(), Rejection> {
    let wrong = || Rejection::new(reason, format!("\"{canonical}\" does not fit the column"));
    match ty {
        ColumnType::Int2 => {
            out.field(&canonical.parse::<i16>().map_err(|_| wrong())?.to_ne_bytes())
        }
        ColumnType::Int4 => {
            out.field(&canonical.parse::<i32>().map_err(|_| wrong())?.to_ne_bytes())
        }
        ColumnType::Int8 => {
            out.field(&canonical.parse::<i64>().map_err(|_| wrong())?.to_ne_bytes())
        }
        ColumnType::Uuid => out.field(
            uuid::Uuid::try_parse(canonical)
                .map_err(|_| wrong())?
                .as_bytes(),
        ),
        _ => out.field(canonical.as_bytes()),
    }
}

/// Appends JSON text to a `jsonb`, `json` or text column.
pub(super) fn json(out: &mut TupleBuffer, ty: ColumnType, text: &str) -> Result<(), Rejection> {
    match ty {
        ColumnType::Jsonb => out.jsonb(text),
        ColumnType::Array { element } => text_array(out, element, text),
        _ => out.field(text.as_bytes()),
    }
}

/// Appends a JSON array as an array of text: strings bare, everything else as its JSON.
pub(super) fn text_array(out: &mut TupleBuffer, element: u32, text: &str) -> Result<(), Rejection> {
    let bad = |e: serde_json::Error| Rejection::new(Reason::BadContent, e.to_string());
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
    let mut array = ArrayImage::new(element);
    for item in &items {
        let raw = item.get();
        if raw == "null" {
            array.push_null();
        } else if raw.starts_with('"') {
            array.push_text(&serde_json::from_str::<String>(raw).map_err(bad)?)?;
        } else {
            array.push_text(raw)?;
        }
    }
    out.array(&array)
}

/// Appends a number of bytes.
///
/// # Errors
/// [`Reason::Constraint`] if the column's type is too narrow.
pub(super) fn count(
    out: &mut TupleBuffer,
    column: &str,
    ty: ColumnType,
    value: i64,
) -> Result<(), Rejection> {
    let narrow = |name: &str| {
        Rejection::new(
            Reason::Constraint,
            format!("{column} {value} is out of range for type {name}"),
        )
    };
    match ty {
        ColumnType::Int2 => out.field(
            &i16::try_from(value)
                .map_err(|_| narrow("smallint"))?
                .to_ne_bytes(),
        ),
        ColumnType::Int4 => out.field(
            &i32::try_from(value)
                .map_err(|_| narrow("integer"))?
                .to_ne_bytes(),
        ),
        // i64 has no lossless way to f64 but through its text; sizes beyond 2^53 bytes do not occur.
        ColumnType::Float8 => out.field(
            &value
                .to_string()
                .parse::<f64>()
                .unwrap_or(f64::NAN)
                .to_bits()
                .to_ne_bytes(),
        ),
        _ => out.field(&value.to_ne_bytes()),
    }
}

/// Appends a moment, given in microseconds since 1970-01-01 UTC.
pub(super) fn time(
    out: &mut TupleBuffer,
    column: &str,
    ty: ColumnType,
    micros: i64,
) -> Result<(), Rejection> {
    let since_2000 = micros.saturating_sub(PG_EPOCH_MICROS);
    match ty {
        ColumnType::Date => {
            let days = i32::try_from(since_2000.div_euclid(MICROS_PER_DAY)).map_err(|_| {
                Rejection::new(
                    Reason::Constraint,
                    format!("{column} is out of range for type date"),
                )
            })?;
            out.field(&days.to_ne_bytes())
        }
        _ => out.field(&since_2000.to_ne_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_as_the_column_would_show_them() {
        assert_eq!(canonical_key(ColumnType::Int4, " 007").as_deref(), Ok("7"));
        assert_eq!(canonical_key(ColumnType::Text, "007").as_deref(), Ok("007"));
        assert_eq!(
            canonical_key(ColumnType::Uuid, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}").as_deref(),
            Ok("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        );
        assert!(canonical_key(ColumnType::Int4, "2147483648").is_err());
        assert!(canonical_key(ColumnType::Int8, "alice").is_err());
        assert!(canonical_key(ColumnType::Text, "a\0b").is_err());
    }

    #[test]
    fn times_count_from_2000() {
        let mut out = TupleBuffer::behind(Vec::new());
        time(&mut out, "t", ColumnType::TimestampTz, PG_EPOCH_MICROS + 5).unwrap();
        time(&mut out, "t", ColumnType::Date, PG_EPOCH_MICROS - 1).unwrap();
        let bytes = out.into_bytes();
        assert_eq!(bytes[4..12], 5i64.to_ne_bytes());
        assert_eq!(bytes[16..20], (-1i32).to_ne_bytes());
    }
}
