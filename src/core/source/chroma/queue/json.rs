//! The queue's metadata: JSON, and what Python's `json` writes beyond it.
//!
//! Stage: source. Promise: integers, floats and booleans stay apart; chromadb 0.x's tokens `NaN`, `Infinity` and
//! lone surrogates are understood, everything else that is not JSON is refused. May import `record`.

use serde_json::Value as Json;

use crate::record::Value;

/// A change to a key: the new value, or `None` to remove it.
pub(crate) type Change = (String, Option<Value>);

/// What a row's metadata says.
#[derive(Debug, PartialEq)]
pub(crate) struct Changes {
    /// In the order of the text.
    pub keys: Vec<Change>,
    /// Keys with a value of a kind that no record can hold (sparse vectors).
    pub unreadable: Vec<String>,
}

/// Parses a row's metadata; the error says why it is not understood.
pub(crate) fn changes(text: &str) -> Result<Changes, String> {
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(_) => serde_json::from_str(&relaxed(text)).map_err(|error| error.to_string())?,
    };
    let Json::Object(object) = json else {
        return Err("metadata is not a JSON object".to_owned());
    };
    let mut found = Changes {
        keys: Vec::new(),
        unreadable: Vec::new(),
    };
    for (key, value) in object {
        match value {
            Json::Null => found.keys.push((key, None)),
            Json::Array(items) => {
                let values: Option<Vec<Value>> = items.into_iter().map(scalar).collect();
                match values {
                    Some(values) if values.is_empty() => found.keys.push((key, None)),
                    Some(values) => found.keys.push((key, Some(Value::List(values)))),
                    None => found.unreadable.push(key),
                }
            }
            Json::Object(_) => found.unreadable.push(key),
            other => found.keys.push((key, scalar(other))),
        }
    }
    Ok(found)
}

fn scalar(json: Json) -> Option<Value> {
    match json {
        Json::Bool(on) => Some(Value::Bool(on)),
        Json::String(text) => Some(Value::Str(text)),
        Json::Number(number) => {
            let text = number.as_str();
            if !text.contains(['.', 'e', 'E'])
                && let Ok(number) = text.parse()
            {
                return Some(Value::Int(number));
            }
            // SQLite keeps -0.0 as 0.0, so the queue's would become that too.
            let number: f64 = text.parse().ok()?;
            Some(Value::Float(if number == 0.0 { 0.0 } else { number }))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// `text` with Python's tokens and lone surrogates written as JSON.
fn relaxed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    while let Some(next) = rest.chars().next() {
        let (word, taken): (&str, usize) = if !quoted && rest.starts_with("NaN") {
            ("null", 3)
        } else if !quoted && rest.starts_with("Infinity") {
            ("1e999", 8)
        } else if quoted && next == '\\' {
            match escape(rest) {
                Escape::Lone => ("\\ufffd", 6),
                Escape::Bytes(taken) => (rest.get(..taken).unwrap_or(rest), taken),
            }
        } else {
            quoted ^= next == '"';
            let taken = next.len_utf8();
            (rest.get(..taken).unwrap_or(rest), taken)
        };
        out.push_str(word);
        rest = rest.get(taken..).unwrap_or("");
    }
    out
}

enum Escape {
    /// A `\uXXXX` that is half of a pair.
    Lone,
    /// An escape, or a pair of them, of so many bytes.
    Bytes(usize),
}

fn escape(rest: &str) -> Escape {
    match unit(rest) {
        Some(0xd800..=0xdbff) => match rest.get(6..).and_then(unit) {
            Some(0xdc00..=0xdfff) => Escape::Bytes(12),
            _ => Escape::Lone,
        },
        Some(0xdc00..=0xdfff) => Escape::Lone,
        Some(_) => Escape::Bytes(6),
        None => Escape::Bytes(1 + rest.chars().nth(1).map_or(0, char::len_utf8)),
    }
}

/// The UTF-16 unit that `text` begins with as `\uXXXX`.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Change> {
        changes(text).unwrap().keys
    }

    #[test]
    fn numbers_keep_their_kind() {
        let found = keys(
            r#"{"i":9223372036854775807,"f":3.0,"e":1e2,"b":true,"over":9223372036854775808,"z":-0.0}"#,
        );
        let values: Vec<_> = found.into_iter().map(|(_, value)| value.unwrap()).collect();
        assert_eq!(
            values,
            [
                Value::Int(i64::MAX),
                Value::Float(3.0),
                Value::Float(100.0),
                Value::Bool(true),
                Value::Float(9_223_372_036_854_775_808.0),
                Value::Float(0.0)
            ]
        );
    }

    #[test]
    fn a_null_removes_and_an_array_is_kept() {
        assert_eq!(
            keys(r#"{"a":null,"l":[1,2]}"#),
            [
                ("a".to_owned(), None),
                (
                    "l".to_owned(),
                    Some(Value::List(vec![Value::Int(1), Value::Int(2)]))
                )
            ]
        );
    }

    #[test]
    fn what_python_writes_beyond_json_is_understood() {
        let found = keys(
            r#"{"a": NaN, "b": -Infinity, "c": "NaN \ud83d x \ud83d\ude00 \\ud83d \"NaN", "d": Infinity}"#,
        );
        assert_eq!(found[0], ("a".to_owned(), None));
        assert_eq!(found[1].1, Some(Value::Float(f64::NEG_INFINITY)));
        assert_eq!(
            found[2].1,
            Some(Value::Str("NaN \u{fffd} x 😀 \\ud83d \"NaN".to_owned()))
        );
        assert_eq!(found[3].1, Some(Value::Float(f64::INFINITY)));
    }

    #[test]
    fn a_sparse_vector_is_told_and_not_guessed() {
        let found = changes(r##"{"s":{"#type":"sparse_vector","indices":[1]},"n":1}"##).unwrap();
        assert_eq!(found.unreadable, ["s"]);
        assert_eq!(found.keys.len(), 1);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "[1]",
            "{",
            "nul",
            "{\"a\": \"\\u12",
            "{\"a\":\"\\",
            &"[".repeat(100_000),
        ] {
            assert!(changes(text).is_err(), "{text:.20}");
        }
    }
}
