//! Chroma's `where_document`, and whether a document answers it.
//!
//! Promise: the answer of chromadb 1.5.9; regular expressions take time linear in the document and bounded memory. Imports
//! nothing of the record.

use serde_json::Value as Json;

use super::pattern::Pattern;
use super::{FilterError, shown, single};

/// Most regular expressions in one filter: each may take 10 MB.
const MOST_REGEXES: usize = 32;

/// A condition on a document, in Chroma's language.
#[derive(Debug, Clone)]
pub struct DocumentFilter(Clause);

#[derive(Debug, Clone)]
enum Clause {
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Contains { text: String, negated: bool },
    Matches { pattern: Pattern, negated: bool },
}

impl DocumentFilter {
    /// Reads Chroma's `where_document` from the text of a `jsonb` value.
    ///
    /// # Errors
    /// What Chroma would accept instead, as a sentence.
    pub fn parse(text: &str) -> Result<DocumentFilter, FilterError> {
        let mut regexes = 0;
        clause(&super::object("where_document", text)?, &mut regexes).map(DocumentFilter)
    }

    /// The documents that have `text` in them, or those that have not; upper and lower case are two.
    pub(super) fn contains(text: String, negated: bool) -> DocumentFilter {
        DocumentFilter(Clause::Contains { text, negated })
    }

    /// Whether Chroma would find a record with this document; `None`: one without.
    pub fn matches(&self, document: Option<&str>) -> bool {
        self.matches_with(document, &mut || {})
    }

    /// The same; `tick` is called now and then while that takes long, and may end it by unwinding.
    pub fn matches_with(&self, document: Option<&str>, tick: &mut dyn FnMut()) -> bool {
        self.0.matches(document, tick)
    }
}

impl Clause {
    fn matches(&self, document: Option<&str>, tick: &mut dyn FnMut()) -> bool {
        match self {
            Clause::All(clauses) => clauses.iter().all(|it| it.matches(document, tick)),
            Clause::Any(clauses) => clauses.iter().any(|it| it.matches(document, tick)),
            Clause::Contains { text, negated } => {
                tick();
                let there = document.is_some_and(|it| before_nul(it).contains(text));
                there != *negated
            }
            Clause::Matches { pattern, negated } => {
                document.is_some_and(|it| pattern.is_match(it, tick)) != *negated
            }
        }
    }
}

/// What SQLite's LIKE sees of a text.
fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

fn refused<T>(why: String) -> Result<T, FilterError> {
    Err(FilterError::Language(why))
}

fn clause(
    object: &serde_json::Map<String, Json>,
    regexes: &mut usize,
) -> Result<Clause, FilterError> {
    let Some((operator, operand)) = single(object) else {
        return refused(format!(
            "Chroma takes exactly one operator in each object of where_document, and here are {}: several conditions are the \
             elements of one $and",
            object.len()
        ));
    };
    match operator {
        "$and" => clauses(operator, operand, regexes).map(Clause::All),
        "$or" => clauses(operator, operand, regexes).map(Clause::Any),
        "$contains" | "$not_contains" => Ok(Clause::Contains {
            text: text(operator, operand)?.to_owned(),
            negated: operator == "$not_contains",
        }),
        "$regex" | "$not_regex" => Ok(Clause::Matches {
            pattern: regex(text(operator, operand)?, regexes)?,
            negated: operator == "$not_regex",
        }),
        other => refused(format!(
            "Chroma has the operators $contains, $not_contains, $regex, $not_regex, $and and $or for documents, not {}",
            shown(&Json::String(other.to_owned()))
        )),
    }
}

fn clauses(
    operator: &str,
    operand: &Json,
    regexes: &mut usize,
) -> Result<Vec<Clause>, FilterError> {
    let list = operand.as_array().filter(|list| list.len() > 1);
    let Some(list) = list else {
        return refused(format!(
            "Chroma takes a list of at least two conditions for {operator}, not {}",
            shown(operand)
        ));
    };
    let mut clauses = Vec::with_capacity(list.len());
    for element in list {
        match element {
            Json::Object(object) => clauses.push(clause(object, regexes)?),
            other => {
                return refused(format!(
                    "Chroma takes conditions, which are objects, in the list of {operator}, not {}",
                    shown(other)
                ));
            }
        }
    }
    Ok(clauses)
}

fn text<'j>(operator: &str, operand: &'j Json) -> Result<&'j str, FilterError> {
    match operand.as_str().filter(|text| !text.is_empty()) {
        Some(text) => Ok(text),
        None => refused(format!(
            "Chroma takes a string that is not empty for {operator}, not {}",
            shown(operand)
        )),
    }
}

fn regex(pattern: &str, regexes: &mut usize) -> Result<Pattern, FilterError> {
    *regexes += 1;
    if *regexes > MOST_REGEXES {
        return refused(format!(
            "one filter can have {MOST_REGEXES} regular expressions: join them with |"
        ));
    }
    Pattern::new(pattern).or_else(|why| {
        refused(format!(
            "Chroma takes regular expressions of Rust's regex crate, and {} is none: {why}",
            shown(&Json::String(pattern.to_owned()))
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(filter: &str, document: Option<&str>) -> bool {
        DocumentFilter::parse(filter).unwrap().matches(document)
    }

    #[test]
    fn without_a_document_only_negated_conditions_are_met() {
        assert!(!found(r#"{"$contains": "x"}"#, None));
        assert!(!found(r#"{"$regex": "x?"}"#, None));
        assert!(found(r#"{"$not_contains": "x"}"#, None));
        assert!(found(r#"{"$not_regex": "x?"}"#, None));
        assert!(found(r#"{"$regex": "x?"}"#, Some("")));
    }

    #[test]
    fn contains_sees_a_text_up_to_u0000_and_regex_all_of_it() {
        assert!(!found(r#"{"$contains": "after"}"#, Some("nul\0after")));
        assert!(found(r#"{"$contains": "nul"}"#, Some("nul\0after")));
        assert!(found(r#"{"$regex": "after"}"#, Some("nul\0after")));
    }

    #[test]
    fn a_regular_expression_takes_linear_time() {
        let document = "a".repeat(100_000);
        assert!(!found(
            r#"{"$regex": "^(a+)+$"}"#,
            Some(&format!("{document}b"))
        ));
    }

    #[test]
    fn regular_expressions_are_bounded_in_size_and_number() {
        let large = DocumentFilter::parse(r#"{"$regex": "a{1000}{1000}"}"#).unwrap_err();
        assert!(large.to_string().contains("size limit"), "{large}");
        let many = vec![r#"{"$regex": "a"}"#; 33].join(",");
        let many = DocumentFilter::parse(&format!(r#"{{"$or": [{many}]}}"#)).unwrap_err();
        assert!(
            many.to_string().contains("32 regular expressions"),
            "{many}"
        );
    }
}
