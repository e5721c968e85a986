//! JSON text: writing metadata values, and finding what `jsonb` refuses.
//!
//! Promise: a value's type survives the way into `jsonb`. May import `record` only.

use super::number::Decimal;
use crate::record::{Metadata, Value};

/// Most bytes that `jsonb` takes for all elements of one array or object together.
const JSONB_BYTES: usize = 0x0FFF_FFFF;
/// Most pairs of one object, and half of the most elements of one array, that fit into one allocation of
/// the server (1 GB) while `jsonb` is read.
const JSONB_PAIRS: usize = 8_388_608;
/// No JSON text shorter than this has too many elements or can grow too large.
const SURELY_SMALL: usize = JSONB_PAIRS;
/// No number of so few characters and without an exponent is beyond `numeric`.
const SURELY_NUMERIC: usize = 1000;

/// What a message about U+0000 adds.
pub const NUL_WAY_OUT: &str = "nul_characters => 'remove' or 'replace' migrates it";

/// Why valid JSON text does not go into a `jsonb` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    /// An escaped U+0000 in a string or key.
    Nul,
    /// A number that `numeric` cannot hold.
    Number,
    /// More than an array or object of `jsonb` holds.
    Size,
}

impl Objection {
    /// The end of a sentence that starts with the place.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Objection::Nul => {
                "holds U+0000, which PostgreSQL cannot store: nul_characters => 'remove' or 'replace' migrates it"
            }
            Objection::Number => "holds a number outside the range of PostgreSQL's numeric",
            Objection::Size => "is larger than a jsonb value can be",
        }
    }
}

/// What `jsonb` would refuse in `text`, which is valid JSON.
///
/// Reads the text and not the parsed value, so that keys, nested values and the spelling of numbers
/// all count.
pub(super) fn jsonb_objection(text: &str) -> Option<Objection> {
    let bytes = text.as_bytes();
    let mut at = 0;
    // An upper estimate: what jsonb needs for each value, headers and padding included.
    let mut size = 0_usize;
    let (mut pairs, mut elements) = (0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'"' => {
                at = match end_of_string(bytes, at) {
                    Ok(end) => end,
                    Err(objection) => return Some(objection),
                };
                size += at - start + 6;
            }
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                at += rest.iter().take_while(|byte| in_number(**byte)).count();
                let number = text.get(start..at).unwrap_or_default();
                let plain = number.len() <= SURELY_NUMERIC && !number.contains(['e', 'E']);
                if !plain && !Decimal::parse(number).is_some_and(|number| number.fits_numeric()) {
                    return Some(Objection::Number);
                }
                size += at - start + 12;
            }
            b't' | b'f' | b'n' => size += 8,
            b'{' | b'[' => size += 16,
            b':' => pairs += 1,
            b',' => elements += 1,
            _ => {}
        }
    }
    // Of the whole text: to count for each array and object would take a stack for no real document.
    let too_many = pairs > JSONB_PAIRS || elements >= 2 * JSONB_PAIRS;
    (too_many || size > JSONB_BYTES).then_some(Objection::Size)
}

/// Whether `text` is long enough to be more than `jsonb` holds.
pub(super) fn may_outgrow(text: &str) -> bool {
    text.len() > SURELY_SMALL
}

/// Where the string whose first character is at `at` has ended, its quote included.
fn end_of_string(bytes: &[u8], mut at: usize) -> Result<usize, Objection> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(found) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
            return Ok(bytes.len());
        };
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return Ok(at + 1);
        }
        if bytes.get(at + 1..at + 6) == Some(b"u0000") {
            return Err(Objection::Nul);
        }
        at += 2;
    }
}

fn in_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

/// The metadata as a JSON object of every key but `without`, in the order that `jsonb` keeps keys in (the shorter
/// first, then bytewise: `lengthCompareJsonbStringValue` in PostgreSQL), so that the server need not sort them.
pub(super) fn metadata_object(metadata: &Metadata, without: Option<&str>) -> String {
    let wanted = metadata.iter().filter(|(key, _)| Some(*key) != without);
    let mut pairs: Vec<(&str, &Value)> = wanted.collect();
    pairs.sort_by_key(|(key, _)| key.len());
    let mut out = String::with_capacity(64 * pairs.len() + 2);
    out.push('{');
    for (key, value) in pairs {
        if out.len() > 1 {
            out.push(',');
        }
        push_string(&mut out, key);
        out.push(':');
        push_value(&mut out, value);
    }
    out.push('}');
    out
}

/// Appends a metadata value as JSON.
pub(super) fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) if value.is_finite() => out.push_str(&finite_text(*value)),
        Value::Float(value) => push_string(out, infinite_text(*value)),
        Value::Str(value) => push_string(out, value),
        Value::List(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_value(out, value);
            }
            out.push(']');
        }
    }
}

/// A finite double as JSON: the shortest digits that give it back, always with a point and never with
/// an exponent, since `jsonb` would show `1e16` as an integer.
pub(crate) fn finite_text(value: f64) -> String {
    let mut text = value.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// PostgreSQL's own text of a double that JSON has no number for. As a string in JSON it can still be
/// cast back: `(metadata->>'key')::float8`.
pub(crate) fn infinite_text(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Appends a JSON string, quoted.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for piece in text.split_inclusive(|c: char| c < ' ' || c == '"' || c == '\\') {
        let mut whole = piece.chars();
        match whole.next_back() {
            Some('"') => push_escaped(out, whole.as_str(), "\\\""),
            Some('\\') => push_escaped(out, whole.as_str(), "\\\\"),
            Some('\n') => push_escaped(out, whole.as_str(), "\\n"),
            Some('\r') => push_escaped(out, whole.as_str(), "\\r"),
            Some('\t') => push_escaped(out, whole.as_str(), "\\t"),
            Some(c) if c < ' ' => {
                push_escaped(out, whole.as_str(), &format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push_str(piece),
        }
    }
    out.push('"');
}

fn push_escaped(out: &mut String, before: &str, escaped: &str) {
    out.push_str(before);
    out.push_str(escaped);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: Value) -> String {
        let mut out = String::new();
        push_value(&mut out, &value);
        out
    }

    #[test]
    fn a_float_keeps_its_point_and_has_no_exponent() {
        assert_eq!(json(Value::Float(3.0)), "3.0");
        assert_eq!(json(Value::Float(0.1)), "0.1");
        assert_eq!(json(Value::Float(1e16)), "10000000000000000.0");
        assert_eq!(json(Value::Float(1e-7)), "0.0000001");
        assert_eq!(json(Value::Float(-0.0)), "-0.0");
    }

    #[test]
    fn the_largest_and_the_smallest_double_come_back_exactly() {
        for value in [f64::MAX, f64::MIN_POSITIVE, 5e-324, -f64::MAX, 0.1 + 0.2] {
            assert_eq!(finite_text(value).parse::<f64>(), Ok(value));
            assert_eq!(jsonb_objection(&finite_text(value)), None);
        }
    }

    #[test]
    fn infinities_become_strings_that_postgresql_can_cast() {
        assert_eq!(json(Value::Float(f64::INFINITY)), "\"Infinity\"");
        assert_eq!(json(Value::Float(f64::NEG_INFINITY)), "\"-Infinity\"");
    }

    #[test]
    fn integers_of_64_bits_are_exact() {
        assert_eq!(json(Value::Int(i64::MAX)), "9223372036854775807");
        assert_eq!(json(Value::Int(i64::MIN)), "-9223372036854775808");
    }

    #[test]
    fn booleans_strings_and_lists_keep_their_type() {
        assert_eq!(json(Value::Bool(true)), "true");
        assert_eq!(json(Value::Str("1".into())), "\"1\"");
        let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
        assert_eq!(json(list), "[1,2]");
        assert_eq!(json(Value::List(vec![])), "[]");
    }

    #[test]
    fn any_string_is_read_back_as_it_was() {
        let all: String = (0..0x300_u32).filter_map(char::from_u32).collect();
        for text in [
            "",
            "\"",
            "\\",
            "a\"b\\c",
            "\u{1F600}\u{7f}\u{2028}",
            "tail\n",
            all.as_str(),
        ] {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn an_object_has_every_key_but_the_one_left_out() {
        let mut metadata = Metadata::default();
        metadata.set("b", Value::Int(2));
        metadata.set("a\"", Value::Bool(false));
        metadata.set("full_content", Value::Str("{}".into()));
        assert_eq!(
            metadata_object(&metadata, Some("full_content")),
            r#"{"b":2,"a\"":false}"#
        );
        assert_eq!(
            metadata_object(&metadata, None),
            r#"{"b":2,"a\"":false,"full_content":"{}"}"#
        );
        assert_eq!(metadata_object(&Metadata::default(), None), "{}");
    }

    #[test]
    fn an_escaped_nul_is_found_in_values_and_in_keys() {
        for text in [
            r#"{"a":"\u0000"}"#,
            r#"{"a\u0000":1}"#,
            r#"["x\\\u0000"]"#,
            r#"{"a":[{"b":"\n\u0000"}]}"#,
        ] {
            assert_eq!(jsonb_objection(text), Some(Objection::Nul), "{text}");
        }
    }

    #[test]
    fn an_escaped_backslash_before_u0000_is_no_nul() {
        for text in [
            r#"{"a":"\\u0000"}"#,
            r#"{"a":"\\\\u0000"}"#,
            r#"["\u0001"]"#,
        ] {
            assert_eq!(jsonb_objection(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_beyond_numeric_is_found_outside_strings_only() {
        assert_eq!(
            jsonb_objection(r#"{"a":1e131072}"#),
            Some(Objection::Number)
        );
        assert_eq!(
            jsonb_objection(r#"{"a":[-1e-16384]}"#),
            Some(Objection::Number)
        );
        assert_eq!(jsonb_objection(r#"{"a":"1e131072","1e999999":1e5}"#), None);
        assert_eq!(
            jsonb_objection(&"9".repeat(131_073)),
            Some(Objection::Number)
        );
    }

    #[test]
    fn what_outgrows_jsonb_is_found_before_the_server_finds_it() {
        // Not whole documents, which would take long to read: only what is counted.
        let size = Some(Objection::Size);
        assert_eq!(jsonb_objection(&",".repeat(16_777_215)), None);
        assert_eq!(jsonb_objection(&",".repeat(16_777_216)), size);
        assert_eq!(jsonb_objection(&":".repeat(8_388_608)), None);
        assert_eq!(jsonb_objection(&":".repeat(8_388_609)), size);
        assert_eq!(jsonb_objection(&"[".repeat(16_777_216)), size);
    }
}
