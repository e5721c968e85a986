//! `where` from JSON, as chromadb 1.5.9 checks it: its `validate_where`, then its own parser in Rust.
//!
//! Promise: a filter that this release accepts is accepted, one that it refuses is a sentence. Nesting is bounded by the JSON
//! reader's 127 levels. May import nothing of the record.

use serde_json::Value as Json;

use super::document::DocumentFilter;
use super::operand::{Number, Scalar, Scalars};
use super::where_clause::{Clause, Comparison, Test, Where};
use super::{FilterError, shown, single};

/// The key that stands for the record's document.
const DOCUMENT_FIELD: &str = "#document";

/// Every operator that a key's value can have.
pub(super) const OPERATORS: [&str; 10] = [
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$contains",
    "$not_contains",
];

pub(super) fn parse(object: &serde_json::Map<String, Json>) -> Result<Where, FilterError> {
    clause(object).map(Where)
}

fn refused<T>(why: String) -> Result<T, FilterError> {
    Err(FilterError::Language(why))
}

fn clause(object: &serde_json::Map<String, Json>) -> Result<Clause, FilterError> {
    let Some((key, value)) = single(object) else {
        return refused(format!(
            "Chroma takes exactly one metadata key, $and or $or in each object of where, and here are {}: several conditions are \
             the elements of one $and",
            object.len()
        ));
    };
    match key {
        "$and" => clauses(key, value).map(Clause::All),
        "$or" => clauses(key, value).map(Clause::Any),
        _ if key.starts_with('$') => refused(format!(
            "{key} cannot stand where a metadata key does: Chroma takes a metadata key, $and or $or there, and the other operators \
             in the key's value, as in {{\"year\": {{\"$gt\": 2000}}}}"
        )),
        _ => field(key, value),
    }
}

fn clauses(operator: &str, value: &Json) -> Result<Vec<Clause>, FilterError> {
    let list = value.as_array().filter(|list| list.len() > 1);
    let Some(list) = list else {
        return refused(format!(
            "Chroma takes a list of at least two conditions for {operator}, not {}",
            shown(value)
        ));
    };
    let clauses = list.iter().map(|element| match element {
        Json::Object(object) => clause(object),
        other => refused(format!(
            "Chroma takes conditions, which are objects, in the list of {operator}, not {}",
            shown(other)
        )),
    });
    clauses.collect()
}

fn field(key: &str, value: &Json) -> Result<Clause, FilterError> {
    let Json::Object(expression) = value else {
        return match Scalar::of(value) {
            Some(scalar) => equals(key, Scalars::one(scalar), false),
            None => refused(format!(
                "Chroma compares metadata with a string, a number, a boolean or an object of one operator, not with {}",
                shown(value)
            )),
        };
    };
    let Some((operator, operand)) = single(expression) else {
        return refused(format!(
            "Chroma takes exactly one operator for a key, and {} has {}: several are the elements of one $and",
            shown(&Json::String(key.to_owned())),
            expression.len()
        ));
    };
    match operator {
        "$eq" => equals(key, scalar(operator, operand)?, false),
        "$ne" => equals(key, scalar(operator, operand)?, true),
        "$in" => equals(key, list(operator, operand)?, false),
        "$nin" => equals(key, list(operator, operand)?, true),
        "$gt" => compares(key, Comparison::Greater, operator, operand),
        "$gte" => compares(key, Comparison::GreaterOrEqual, operator, operand),
        "$lt" => compares(key, Comparison::Less, operator, operand),
        "$lte" => compares(key, Comparison::LessOrEqual, operator, operand),
        "$contains" => contains(key, operator, operand, false),
        "$not_contains" => contains(key, operator, operand, true),
        other => refused(format!(
            "Chroma has the operators {} for a key, not {}",
            OPERATORS.join(", "),
            shown(&Json::String(other.to_owned()))
        )),
    }
}

fn on_metadata(key: &str, test: Test) -> Result<Clause, FilterError> {
    if key == DOCUMENT_FIELD {
        return refused(format!(
            "Chroma takes $contains and $not_contains with a string for {DOCUMENT_FIELD}, and nothing else"
        ));
    }
    Ok(Clause::Key(key.to_owned(), test))
}

fn equals(key: &str, any_of: Scalars, negated: bool) -> Result<Clause, FilterError> {
    on_metadata(key, Test::Is { any_of, negated })
}

fn scalar(operator: &str, operand: &Json) -> Result<Scalars, FilterError> {
    match Scalar::of(operand) {
        Some(scalar) => Ok(Scalars::one(scalar)),
        None => refused(format!(
            "Chroma takes a string, a number or a boolean for {operator}, not {}",
            shown(operand)
        )),
    }
}

fn list(operator: &str, operand: &Json) -> Result<Scalars, FilterError> {
    let scalars = operand.as_array().and_then(|list| Scalars::of(list));
    match scalars {
        Some(scalars) => Ok(scalars),
        None => refused(format!(
            "Chroma takes a list for {operator} that is not empty and has elements of one type only (strings, booleans, integers \
             or floats), not {}",
            shown(operand)
        )),
    }
}

fn compares(
    key: &str,
    comparison: Comparison,
    operator: &str,
    operand: &Json,
) -> Result<Clause, FilterError> {
    match Number::of(operand) {
        Some(number) => on_metadata(key, Test::Compares(comparison, number)),
        None => refused(format!(
            "Chroma takes a number for {operator}, not {}",
            shown(operand)
        )),
    }
}

fn contains(
    key: &str,
    operator: &str,
    operand: &Json,
    negated: bool,
) -> Result<Clause, FilterError> {
    match (key, Scalar::of(operand)) {
        (DOCUMENT_FIELD, Some(Scalar::Str(text))) => {
            Ok(Clause::Document(DocumentFilter::contains(text, negated)))
        }
        (_, Some(element)) => on_metadata(key, Test::Holds { element, negated }),
        (_, None) => refused(format!(
            "Chroma takes a string, a number or a boolean for {operator}, which the key's array has or has not, not {}",
            shown(operand)
        )),
    }
}
