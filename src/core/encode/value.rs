//! A metadata value as a column of some type has it.
//!
//! Promise: the value itself, or an error that names the column; what a column of numbers cannot hold exactly is no number of
//! it, but for the fractions of `real` and `double precision`. Texts are read as the server reads them for a cast.

use std::borrow::Cow;

use super::buffer::TupleBuffer;
use super::column::ColumnType;
use super::field;
use crate::map::{number::Decimal, value_json, value_text, value_time};
use crate::reason::{Reason, Rejection};
use crate::record::Value;

/// Appends the value of the metadata key `key` to the column `name`.
///
/// # Errors
/// [`Reason::BadValue`] if the type cannot hold it.
pub(super) fn append(
    out: &mut TupleBuffer,
    (name, key): (&str, &str),
    ty: ColumnType,
    value: &Value,
) -> Result<(), Rejection> {
    let written = match ty {
        ColumnType::Text => return out.field(value_text(value).as_bytes()),
        ColumnType::Json => return out.field(value_json(value).as_bytes()),
        ColumnType::Jsonb => return out.jsonb_value(&value_json(value)),
        ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Date => {
            value_time(value).map(|micros| field::time(out, name, ty, micros))
        }
        ColumnType::Array { element } => matches!(value, Value::List(_))
            .then(|| field::text_array(out, element, &value_json(value))),
        ColumnType::Bool => boolean(value).map(|yes| out.field(&[u8::from(yes)])),
        ColumnType::Numeric => number(value).and_then(|text| out.numeric(&text)),
        ColumnType::Float4 => float::<f32>(value).map(|it| out.field(&it.to_ne_bytes())),
        ColumnType::Float8 => float::<f64>(value).map(|it| out.field(&it.to_ne_bytes())),
        ColumnType::Int2 => whole::<i16>(value).map(|it| out.field(&it.to_ne_bytes())),
        ColumnType::Int4 => whole::<i32>(value).map(|it| out.field(&it.to_ne_bytes())),
        ColumnType::Int8 => whole::<i64>(value).map(|it| out.field(&it.to_ne_bytes())),
        ColumnType::Uuid => value
            .as_str()
            .and_then(|text| uuid::Uuid::try_parse(text.trim()).ok())
            .map(|uuid| out.field(uuid.as_bytes())),
        ColumnType::Oid | ColumnType::Vector | ColumnType::HalfVec => None,
    };
    written.unwrap_or_else(|| {
        let mut shown = value_json(value);
        if shown.chars().count() > MOST_SHOWN {
            shown = shown
                .chars()
                .take(MOST_SHOWN)
                .chain("...".chars())
                .collect();
        }
        let message = format!("metadata value {shown} of {key:?} does not fit column {name:?}");
        Err(Rejection::new(Reason::BadValue, message))
    })
}

/// Whether the column `name` of type `ty` can hold the text `value`.
pub fn constant_fits(name: &str, value: &str, ty: ColumnType) -> bool {
    let mut out = TupleBuffer::behind(Vec::new());
    let value = Value::Str(value.to_owned());
    !value.holds_nul() && append(&mut out, (name, name), ty, &value).is_ok()
}

/// Characters of a value in a message.
const MOST_SHOWN: usize = 80;

/// The texts that `boolin` (bool.c) takes whole.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Str(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A number as text.
fn number(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Int(_) | Value::Float(_) => Some(value_text(value)),
        Value::Str(text) => Some(Cow::Borrowed(text.trim())),
        _ => None,
    }
}

fn whole<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    let text = number(value)?;
    let number = Decimal::parse(&text)?.to_i64()?;
    T::try_from(number).ok()
}

/// Rust reads more than the server does, as `inf`: only what is a number or PostgreSQL's own word is taken.
fn float<T: std::str::FromStr>(value: &Value) -> Option<T> {
    let text = number(value)?;
    let word = ["NaN", "Infinity", "-Infinity"].contains(&&*text);
    (word || Decimal::parse(&text).is_some()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes behind the value's header, or the message.
    fn encoded(ty: ColumnType, value: Value) -> Result<Vec<u8>, String> {
        let mut out = TupleBuffer::behind(Vec::new());
        append(&mut out, ("c", "k"), ty, &value).map_err(|it| {
            assert_eq!(it.reason, Reason::BadValue);
            it.message
        })?;
        Ok(out.into_bytes()[4..].to_vec())
    }

    fn string(text: &str) -> Value {
        Value::Str(text.into())
    }

    #[test]
    fn text_columns_take_everything_as_jsonb_shows_it() {
        let text = |value| String::from_utf8(encoded(ColumnType::Text, value).unwrap()).unwrap();
        let list = Value::List(vec![string("aa"), Value::Int(1), Value::Bool(true)]);
        assert_eq!(text(list).trim_end_matches('\0'), r#"["aa", 1, true]"#);
        assert_eq!(text(Value::Float(1.0)).trim_end_matches('\0'), "1.0");
        assert_eq!(text(Value::Bool(true)), "true");
        assert_eq!(text(string("abcd")), "abcd");
    }

    #[test]
    fn integers_take_whole_numbers_that_fit_and_nothing_else() {
        let int = |value| encoded(ColumnType::Int4, value);
        for seven in [Value::Int(7), Value::Float(7.0), string(" 7")] {
            assert_eq!(int(seven).unwrap(), 7_i32.to_ne_bytes());
        }
        for bad in [
            Value::Float(7.5),
            string("seven"),
            Value::Bool(true),
            Value::Int(1 << 31),
            Value::List(vec![Value::Int(7)]),
        ] {
            int(bad).unwrap_err();
        }
        assert_eq!(
            encoded(ColumnType::Int8, Value::Int((1 << 53) + 1)).unwrap(),
            ((1_i64 << 53) + 1).to_ne_bytes()
        );
        assert_eq!(
            int(string("x")).unwrap_err(),
            r#"metadata value "x" of "k" does not fit column "c""#
        );
    }

    #[test]
    fn floats_take_numbers_and_postgresqls_own_words() {
        let float = |value| encoded(ColumnType::Float8, value);
        assert_eq!(float(Value::Float(0.1)).unwrap(), 0.1_f64.to_ne_bytes());
        assert_eq!(float(string("1e3")).unwrap(), 1e3_f64.to_ne_bytes());
        assert_eq!(
            float(Value::Float(f64::INFINITY)).unwrap(),
            f64::INFINITY.to_ne_bytes()
        );
        float(string("inf")).unwrap_err();
        float(Value::Bool(false)).unwrap_err();
        assert_eq!(
            encoded(ColumnType::Float4, Value::Int(2)).unwrap(),
            2_f32.to_ne_bytes()
        );
    }

    #[test]
    fn booleans_are_words_and_bits() {
        let boolean = |value| encoded(ColumnType::Bool, value).map(|it| it[0] == 1);
        assert_eq!(boolean(Value::Bool(true)), Ok(true));
        assert_eq!(boolean(string("No")), Ok(false));
        assert_eq!(boolean(Value::Int(1)), Ok(true));
        boolean(Value::Int(2)).unwrap_err();
        boolean(string("maybe")).unwrap_err();
    }

    #[test]
    fn times_uuids_and_arrays_take_what_is_one() {
        encoded(ColumnType::TimestampTz, string("2026-01-02T03:04:05Z")).unwrap();
        encoded(ColumnType::TimestampTz, string("soon")).unwrap_err();
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert_eq!(encoded(ColumnType::Uuid, string(uuid)).unwrap().len(), 16);
        encoded(ColumnType::Uuid, string("7")).unwrap_err();
        let array = ColumnType::Array { element: 25 };
        encoded(array, Value::List(vec![string("a")])).unwrap();
        encoded(array, string("a")).unwrap_err();
    }

    #[test]
    fn numeric_keeps_every_digit() {
        let numeric = |value| encoded(ColumnType::Numeric, value);
        assert_eq!(numeric(Value::Float(1.0)), numeric(string("1.0")));
        assert_ne!(numeric(Value::Float(1.0)), numeric(Value::Int(1)));
        numeric(string("1e999999")).unwrap_err();
    }

    #[test]
    fn jsonb_takes_scalars() {
        // An array of one element, marked as a scalar (JB_FSCALAR in jsonb.h).
        let image = encoded(ColumnType::Jsonb, Value::Bool(true)).unwrap();
        assert_eq!(image[..4], 0x5000_0001_u32.to_ne_bytes());
    }
}
