//! What a filter compares with: scalars, and sets of one type of them.
//!
//! Promise: numbers compare as SQLite compares what a local chromadb 1.5.9 asks it for. May import `record` only.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::record::Value;

/// A number of a filter: an integer if it is spelled as one and has 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The number of a JSON value; `None` if it is no number, or beyond a double.
    pub(super) fn of(json: &Json) -> Option<Number> {
        let Json::Number(number) = json else {
            return None;
        };
        let text = number.to_string();
        match text.parse() {
            Ok(int) => Some(Number::Int(int)),
            Err(_) => {
                let float = text.parse().ok().filter(|it: &f64| it.is_finite())?;
                Some(Number::Float(float))
            }
        }
    }

    /// Whether it was spelled as an integer by whoever wrote it: `jsonb` shows `1e16` without its exponent.
    fn is_surely_int(self) -> bool {
        matches!(self, Number::Int(int) if int.unsigned_abs() < 10_u64.pow(16))
    }

    /// What integers are compared with: chromadb 1.x cuts the fraction off.
    pub(super) fn as_int(self) -> i64 {
        match self {
            Number::Int(int) => int,
            Number::Float(float) => truncated(float),
        }
    }

    /// What floats are compared with: the nearest double. One zero only.
    pub(super) fn as_float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float + 0.0,
        }
    }
}

/// As Chroma's own `as i64`: towards zero, and the ends of 64 bits for what is beyond them.
#[allow(clippy::cast_possible_truncation)]
fn truncated(float: f64) -> i64 {
    float as i64
}

/// A scalar of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Bool(bool),
    Number(Number),
    Str(String),
}

impl Scalar {
    /// The scalar that a JSON value is.
    pub(super) fn of(json: &Json) -> Option<Scalar> {
        match json {
            Json::Bool(flag) => Some(Scalar::Bool(*flag)),
            Json::String(text) => Some(Scalar::Str(text.clone())),
            number => Number::of(number).map(Scalar::Number),
        }
    }

    /// Whether an element of an array is this scalar. Types count, also those of numbers.
    pub(super) fn is(&self, element: &Value) -> bool {
        match (self, element) {
            (Scalar::Bool(wanted), Value::Bool(there)) => wanted == there,
            (Scalar::Str(wanted), Value::Str(there)) => wanted == there,
            (Scalar::Number(Number::Int(wanted)), Value::Int(there)) => wanted == there,
            (Scalar::Number(Number::Float(wanted)), Value::Float(there)) => wanted == there,
            _ => false,
        }
    }
}

/// Scalars of one type, any of which a value may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalars {
    Bools(BTreeSet<bool>),
    Numbers(Numbers),
    Strs(BTreeSet<String>),
}

/// Numbers as integers and floats are compared with them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    given: Vec<Number>,
    ints: BTreeSet<i64>,
    /// Ascending.
    floats: Vec<f64>,
}

impl Numbers {
    fn new(given: Vec<Number>) -> Numbers {
        let ints = given.iter().map(|it| it.as_int()).collect();
        let mut floats: Vec<f64> = given.iter().map(|it| it.as_float()).collect();
        floats.sort_by(f64::total_cmp);
        Numbers {
            given,
            ints,
            floats,
        }
    }

    /// The numbers as they were given.
    pub(super) fn given(&self) -> &[Number] {
        &self.given
    }

    fn has_float(&self, float: f64) -> bool {
        let float = float + 0.0;
        let found = self.floats.binary_search_by(|it| it.total_cmp(&float));
        found.is_ok()
    }
}

impl Scalars {
    /// One scalar.
    pub(super) fn one(scalar: Scalar) -> Scalars {
        match scalar {
            Scalar::Bool(flag) => Scalars::Bools([flag].into()),
            Scalar::Number(number) => Scalars::Numbers(Numbers::new(vec![number])),
            Scalar::Str(text) => Scalars::Strs([text].into()),
        }
    }

    /// The elements of a list: at least one, and all of one type, where integers and floats are two.
    pub(super) fn of(list: &[Json]) -> Option<Scalars> {
        match list.first()? {
            Json::Bool(_) => {
                let flags = list.iter().map(Json::as_bool).collect::<Option<_>>();
                flags.map(Scalars::Bools)
            }
            Json::String(_) => {
                let texts = list.iter().map(|it| it.as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map(Scalars::Strs)
            }
            _ => {
                let numbers = list.iter().map(Number::of).collect::<Option<Vec<_>>>()?;
                let ints = numbers.iter().filter(|it| it.is_surely_int()).count();
                let floats = numbers.iter().any(|it| matches!(it, Number::Float(_)));
                (ints == 0 || !floats).then(|| Scalars::Numbers(Numbers::new(numbers)))
            }
        }
    }

    /// Whether `value` is one of them. An array never is.
    pub(super) fn have(&self, value: Held<'_>) -> bool {
        match (self, value) {
            (Scalars::Bools(wanted), Held::Bool(there)) => wanted.contains(&there),
            (Scalars::Strs(wanted), Held::Str(there)) => wanted.contains(there),
            (Scalars::Numbers(wanted), Held::Int(there)) => wanted.ints.contains(&there),
            (Scalars::Numbers(wanted), Held::Float(there)) => wanted.has_float(there),
            _ => false,
        }
    }
}

/// What a record has under a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Held<'r> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'r str),
    List(&'r [Value]),
}

impl<'r> From<&'r Value> for Held<'r> {
    fn from(value: &'r Value) -> Held<'r> {
        match value {
            Value::Bool(flag) => Held::Bool(*flag),
            Value::Int(int) => Held::Int(*int),
            Value::Float(float) => Held::Float(*float),
            Value::Str(text) => Held::Str(text),
            Value::List(items) => Held::List(items),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> Option<Scalars> {
        let json: Json = serde_json::from_str(json).unwrap();
        Scalars::of(json.as_array().unwrap())
    }

    #[test]
    fn a_list_is_of_one_type_as_far_as_jsonb_tells() {
        for taken in [
            "[1, 2]",
            "[1.0, 2.5]",
            "[true, false]",
            r#"["a", "b"]"#,
            "[1.5, 10000000000000000]",
        ] {
            assert!(list(taken).is_some(), "{taken}");
        }
        for refused in [
            "[]",
            "[1, 2.5]",
            "[2.5, 1]",
            "[1, true]",
            "[true, 1]",
            r#"["a", 1]"#,
            "[null]",
            "[[1]]",
            "[1.5, 9999999999999999]",
        ] {
            assert_eq!(list(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_fraction_is_cut_off_for_integers_and_an_integer_is_a_double_for_floats() {
        let half = list("[1.5, -0.5]").unwrap();
        assert!(half.have(Held::Int(1)) && half.have(Held::Int(0)) && half.have(Held::Float(1.5)));
        assert!(
            !half.have(Held::Float(1.0)) && !half.have(Held::Int(2)) && !half.have(Held::Int(-1))
        );
        let large = list("[9007199254740993]").unwrap();
        assert!(large.have(Held::Float(9_007_199_254_740_992.0)));
        assert!(!large.have(Held::Int(9_007_199_254_740_992)));
        assert!(list("[0]").unwrap().have(Held::Float(-0.0)));
        assert!(!list("[1]").unwrap().have(Held::Bool(true)));
    }

    #[test]
    fn a_number_beyond_a_double_is_none() {
        let number = |text: &str| Number::of(&serde_json::from_str(text).unwrap());
        assert_eq!(number("1e400"), None);
        assert_eq!(number("9223372036854775807"), Some(Number::Int(i64::MAX)));
        assert_eq!(
            number("9223372036854775808"),
            Some(Number::Float(9_223_372_036_854_775_808.0))
        );
    }
}
