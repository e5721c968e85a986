//! Chroma's `where`, and whether a record answers it.
//!
//! Promise: the ids that chromadb 1.5.9 finds in a local store. May import `record` only.

use std::cmp::Ordering;

use super::FilterError;
use super::document::DocumentFilter;
use super::operand::{Held, Number, Scalar, Scalars};
use crate::record::Record;

/// The key under which Chroma keeps a record's document among its metadata.
pub(super) const DOCUMENT: &str = "chroma:document";
/// The key of its uri.
pub(super) const URI: &str = "chroma:uri";

/// A condition on a record, in Chroma's language.
#[derive(Debug, Clone)]
pub struct Where(pub(super) Clause);

/// A part of a condition.
#[derive(Debug, Clone)]
pub(super) enum Clause {
    /// `$and`: each of them; at least two.
    All(Vec<Clause>),
    /// `$or`: any of them; at least two.
    Any(Vec<Clause>),
    /// What a metadata key has.
    Key(String, Test),
    /// The key `#document`.
    Document(DocumentFilter),
}

/// A test of what a record has under a key. A negated one is also passed by records without the key.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// `$eq`, `$in`; negated `$ne`, `$nin`.
    Is { any_of: Scalars, negated: bool },
    /// `$gt`, `$gte`, `$lt`, `$lte`.
    Compares(Comparison, Number),
    /// `$contains`; negated `$not_contains`: an array with that element.
    Holds { element: Scalar, negated: bool },
}

/// An order that a number is to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
        }
    }
}

impl Where {
    /// Reads Chroma's `where` from the text of a `jsonb` value.
    ///
    /// # Errors
    /// What Chroma would accept instead, as a sentence.
    pub fn parse(text: &str) -> Result<Where, FilterError> {
        super::where_parse::parse(&super::object("where", text)?)
    }

    /// Whether Chroma would find the record, of which metadata, document and uri are known.
    pub fn matches(&self, record: &Record) -> bool {
        self.0.matches(record)
    }

    /// The same condition as the text of a `jsonpath` predicate over the `metadata` column, for `@@`: true or false for
    /// every object, NULL for none. Numbers compare by value there, as `jsonb` knows no other way.
    ///
    /// # Errors
    /// If it asks for the document or uri, which are not in that column.
    pub fn jsonpath(&self) -> Result<String, FilterError> {
        super::jsonpath::text(&self.0)
    }
}

impl Clause {
    fn matches(&self, record: &Record) -> bool {
        match self {
            Clause::All(clauses) => clauses.iter().all(|it| it.matches(record)),
            Clause::Any(clauses) => clauses.iter().any(|it| it.matches(record)),
            Clause::Key(key, test) => test.passes(held(record, key)),
            Clause::Document(filter) => filter.matches(record.document.as_deref()),
        }
    }
}

fn held<'r>(record: &'r Record, key: &str) -> Option<Held<'r>> {
    match key {
        DOCUMENT => record.document.as_deref().map(Held::Str),
        URI => record.uri.as_deref().map(Held::Str),
        _ => record.metadata.get(key).map(Held::from),
    }
}

impl Test {
    fn passes(&self, held: Option<Held<'_>>) -> bool {
        match self {
            Test::Is { any_of, negated } => held.is_some_and(|it| any_of.have(it)) != *negated,
            Test::Compares(comparison, number) => match held {
                Some(Held::Int(there)) => comparison.holds(Some(there.cmp(&number.as_int()))),
                Some(Held::Float(there)) => comparison.holds(there.partial_cmp(&number.as_float())),
                _ => false,
            },
            Test::Holds { element, negated } => {
                let there = match held {
                    Some(Held::List(items)) => items.iter().any(|it| element.is(it)),
                    _ => false,
                };
                there != *negated
            }
        }
    }
}
