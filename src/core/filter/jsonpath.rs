//! `where` as a `jsonpath` predicate.
//!
//! Promise: true or false for every object, never unknown: each comparison comes after a test of the value's type, which
//! also keeps arrays from being unwrapped. A GIN index finds what is compared by `==`. Keys may be any text. May import
//! nothing of the record but how `map` spells numbers.

use super::FilterError;
use super::operand::{Number, Scalar, Scalars};
use super::where_clause::{Clause, Comparison, DOCUMENT, Test, URI};
use crate::map::finite_text;

pub(super) fn text(clause: &Clause) -> Result<String, FilterError> {
    let mut out = String::new();
    push_clause(&mut out, clause)?;
    Ok(out)
}

/// Appends a predicate in parentheses, or one that needs none.
fn push_clause(out: &mut String, clause: &Clause) -> Result<(), FilterError> {
    match clause {
        Clause::All(clauses) => push_joined(out, " && ", clauses, &mut push_clause),
        Clause::Any(clauses) => push_joined(out, " || ", clauses, &mut push_clause),
        Clause::Key(key, test) if key != DOCUMENT && key != URI => {
            push_test(out, key, test);
            Ok(())
        }
        Clause::Key(key, _) => Err(FilterError::Language(format!(
            "{key:?} is no key of the metadata column: it is a column of its own"
        ))),
        Clause::Document(_) => Err(FilterError::Language(
            "the document is not in the metadata column: chroma_document() asks for it".to_owned(),
        )),
    }
}

/// Appends `items`, in parentheses. As a tree of little depth: the server reads and runs these by recursion.
fn push_joined<T>(
    out: &mut String,
    by: &str,
    items: &[T],
    push: &mut impl FnMut(&mut String, &T) -> Result<(), FilterError>,
) -> Result<(), FilterError> {
    if let [item] = items {
        return push(out, item);
    }
    let (left, right) = items.split_at(items.len() / 2);
    out.push('(');
    push_joined(out, by, left, push)?;
    out.push_str(by);
    push_joined(out, by, right, push)?;
    out.push(')');
    Ok(())
}

fn push_test(out: &mut String, key: &str, test: &Test) {
    let mut path = "$.".to_owned();
    push_string(&mut path, key);
    match test {
        Test::Is { any_of, negated } => {
            let (kind, values) = match any_of {
                Scalars::Bools(flags) => ("boolean", flags.iter().map(bool::to_string).collect()),
                Scalars::Numbers(them) => (
                    "number",
                    them.given().iter().map(|it| number(*it)).collect(),
                ),
                Scalars::Strs(texts) => (
                    "string",
                    texts.iter().map(|it| quoted(it)).collect::<Vec<_>>(),
                ),
            };
            open(out, *negated, &path, kind);
            if let [value] = values.as_slice() {
                out.push_str(&format!("{path} == {value}"));
            } else {
                out.push_str(&format!("exists({path} ? "));
                // Of texts nothing is refused.
                let _ = push_joined(out, " || ", &values, &mut |out, value| {
                    out.push_str("@ == ");
                    out.push_str(value);
                    Ok(())
                });
                out.push(')');
            }
        }
        Test::Compares(comparison, than) => {
            let operator = match comparison {
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
            };
            open(out, false, &path, "number");
            out.push_str(&format!("{path} {operator} {}", number(*than)));
        }
        Test::Holds { element, negated } => {
            let value = match element {
                Scalar::Bool(flag) => flag.to_string(),
                Scalar::Number(it) => number(*it),
                Scalar::Str(text) => quoted(text),
            };
            open(out, *negated, &path, "array");
            // Within a filter what is unknown, as elements of another type are, is not found.
            out.push_str(&format!("exists({path}[*] ? (@ == {value}))"));
        }
    }
    out.push(')');
}

/// The beginning of a test: the value is of that type, and more to follow.
fn open(out: &mut String, negated: bool, path: &str, kind: &str) {
    if negated {
        out.push('!');
    }
    out.push_str(&format!("({path}.type() == \"{kind}\" && "));
}

fn number(number: Number) -> String {
    match number {
        Number::Int(int) => int.to_string(),
        Number::Float(float) => finite_text(float),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    push_string(&mut out, text);
    out
}

/// Appends a string as `jsonpath` spells it. Within quotes only two characters are special.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::Where;

    fn path(clause: &str) -> String {
        Where::parse(clause).unwrap().jsonpath().unwrap()
    }

    #[test]
    fn a_comparison_comes_after_a_test_of_the_type() {
        assert_eq!(
            path(r#"{"a": "x"}"#),
            r#"($."a".type() == "string" && $."a" == "x")"#
        );
        assert_eq!(
            path(r#"{"a": {"$ne": true}}"#),
            r#"!($."a".type() == "boolean" && $."a" == true)"#
        );
        assert_eq!(
            path(r#"{"a": {"$gte": -1.5}}"#),
            r#"($."a".type() == "number" && $."a" >= -1.5)"#
        );
        assert_eq!(
            path(r#"{"a": {"$not_contains": 1}}"#),
            r#"!($."a".type() == "array" && exists($."a"[*] ? (@ == 1)))"#
        );
    }

    #[test]
    fn a_list_names_its_key_once_more_and_is_a_tree_of_little_depth() {
        assert_eq!(
            path(r#"{"a": {"$in": [1, 2, 3]}}"#),
            r#"($."a".type() == "number" && exists($."a" ? (@ == 1 || (@ == 2 || @ == 3))))"#
        );
        let many: Vec<String> = (0..4096).map(|it| it.to_string()).collect();
        let many = path(&format!(r#"{{"a": {{"$nin": [{}]}}}}"#, many.join(",")));
        let depth = many.chars().scan(0, |depth, it| {
            *depth += i32::from(it == '(') - i32::from(it == ')');
            Some(*depth)
        });
        assert_eq!(depth.max(), Some(14));
    }

    #[test]
    fn keys_and_strings_are_quoted() {
        assert_eq!(
            path(r#"{"a\"\\\n$.b[*]": "\") || (1 == 1"}"#),
            "($.\"a\\\"\\\\\n$.b[*]\".type() == \"string\" && $.\"a\\\"\\\\\n$.b[*]\" == \"\\\") || (1 == 1\")"
        );
    }

    #[test]
    fn what_is_in_another_column_is_refused() {
        for clause in [
            r##"{"#document": {"$contains": "x"}}"##,
            r#"{"chroma:document": "x"}"#,
            r#"{"$or": [{"a": 1}, {"chroma:uri": {"$ne": "x"}}]}"#,
        ] {
            let why = Where::parse(clause).unwrap().jsonpath().unwrap_err();
            assert!(why.to_string().contains("metadata column"), "{why}");
        }
    }
}
