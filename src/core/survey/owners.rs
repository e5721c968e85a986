//! Whether collections are kept by owner, and of which kind the owners are.
//!
//! Promise: as exact as if every record had been read, but no more is read than it takes; no document, no vector. May import
//! `record`, `source` and `encode`.
//!
//! A value names an owner as [`owner_of`](crate::map::owner_of) says. A record whose value is a boolean, an array or holds U+0000
//! belongs to somebody, though nobody can tell to whom: its collection is one that is kept by owner.

use std::ops::ControlFlow;

use crate::encode::{ColumnType, canonical_key};
use crate::record::{Collection, Value};
use crate::source::SourceError;
use crate::source::chroma::{ChromaStore, IndexedValues};

/// Different names of owners in a store that are looked at before its records are: a search each.
const MOST_NAMES: usize = 10_000;
/// The same where it only matters whether there is any.
const FEW_NAMES: usize = 16;

/// What owners are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerKind {
    /// Each is a whole number that `bigint` holds.
    Integers,
    /// Each is a uuid.
    Uuids,
    /// Any text.
    Text,
}

impl OwnerKind {
    /// The kind of one owner.
    pub fn of(owner: &str) -> OwnerKind {
        let is = |ty| canonical_key(ty, owner).is_ok();
        match owner {
            _ if is(ColumnType::Int8) => OwnerKind::Integers,
            _ if is(ColumnType::Uuid) => OwnerKind::Uuids,
            _ => OwnerKind::Text,
        }
    }

    /// The kind of owners that are of either kind.
    pub fn or(self, other: OwnerKind) -> OwnerKind {
        if self == other { self } else { OwnerKind::Text }
    }
}

/// To whom the records of collections belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// Of each collection, in the order given: whether some record names an owner.
    pub owned: Vec<bool>,
    /// The kind of all owners; `None` if there is none, or if it was not asked for.
    pub kind: Option<OwnerKind>,
}

/// Finds out to whom the records of `collections` belong by their metadata key `key`. `clean`: what becomes of an owner that
/// holds U+0000 (one that still holds it names nobody). Without `wants_kind` only [`Ownership::owned`] is found out, which reads
/// less.
///
/// # Errors
/// What [`SourceError`] lists.
pub fn ownership(
    store: &ChromaStore,
    collections: &[Collection],
    key: &str,
    clean: &dyn Fn(&str) -> String,
    wants_kind: bool,
) -> Result<Ownership, SourceError> {
    let most = if wants_kind { MOST_NAMES } else { FEW_NAMES };
    let anywhere = match store.owner_values(key, most)? {
        Some(values) if values.is_empty() => {
            return Ok(Ownership {
                owned: vec![false; collections.len()],
                kind: None,
            });
        }
        Some(values) => kinds_of(&values, clean),
        None => Kinds::Unknown,
    };
    let mut search = Search {
        anywhere,
        wants_kind,
        clean,
        kind: None,
        is_owned: false,
    };
    let mut owned = Vec::with_capacity(collections.len());
    for collection in collections {
        search.is_owned = false;
        store.sample_owners(collection, key, &mut |value| search.take(value))?;
        if search.goes_on().is_continue() {
            store.read_owners(collection, key, &mut |value| search.take(value))?;
        }
        owned.push(search.is_owned);
    }
    let kind = search.kind.filter(|_| wants_kind);
    Ok(Ownership { owned, kind })
}

/// What is known so far.
struct Search<'a> {
    anywhere: Kinds,
    wants_kind: bool,
    clean: &'a dyn Fn(&str) -> String,
    /// Of the owners that were seen.
    kind: Option<OwnerKind>,
    /// Whether a record of this collection names an owner.
    is_owned: bool,
}

impl Search<'_> {
    /// Takes the value of a record of the collection.
    fn take(&mut self, value: Option<&Value>) -> ControlFlow<()> {
        match named(value, self.clean) {
            Named::Nobody => {}
            Named::Bad => self.is_owned = true,
            Named::Owner(own) => {
                self.is_owned = true;
                self.kind = Some(self.kind.map_or(own, |kind| kind.or(own)));
            }
        }
        self.goes_on()
    }

    /// Whether other records of the collection can change anything.
    fn goes_on(&self) -> ControlFlow<()> {
        let settled = match self.anywhere {
            _ if !self.wants_kind || self.kind == Some(OwnerKind::Text) => true,
            Kinds::None => true,
            Kinds::One => self.kind.is_some(),
            Kinds::Several | Kinds::Unknown => false,
        };
        match settled && self.is_owned {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// The kinds of owners in a whole store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinds {
    /// There is no owner.
    None,
    /// Every owner is of the same kind.
    One,
    /// They are of several kinds, perhaps not all of them in the collections that are asked about.
    Several,
    /// Not known.
    Unknown,
}

fn kinds_of(values: &IndexedValues, clean: &dyn Fn(&str) -> String) -> Kinds {
    let integers = values.integers.then_some(OwnerKind::Integers);
    let floats = values
        .floats
        .iter()
        .map(|number| OwnerKind::of(&number.to_string()));
    let texts = values
        .texts
        .iter()
        .filter_map(|text| match name(text, clean) {
            Named::Owner(kind) => Some(kind),
            Named::Nobody | Named::Bad => None,
        });
    let mut kinds = integers.into_iter().chain(floats).chain(texts);
    match kinds.next() {
        None => Kinds::None,
        Some(first) if kinds.all(|kind| kind == first) => Kinds::One,
        Some(_) => Kinds::Several,
    }
}

/// What a value says of a record's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The record belongs to nobody.
    Nobody,
    /// It belongs to somebody, but the value cannot be a name.
    Bad,
    /// It belongs to an owner of this kind.
    Owner(OwnerKind),
}

fn named(value: Option<&Value>, clean: &dyn Fn(&str) -> String) -> Named {
    match value {
        None => Named::Nobody,
        Some(Value::Bool(_) | Value::List(_)) => Named::Bad,
        Some(Value::Int(_)) => Named::Owner(OwnerKind::Integers),
        Some(Value::Float(number)) => Named::Owner(OwnerKind::of(&number.to_string())),
        Some(Value::Str(text)) => name(text, clean),
    }
}

fn name(text: &str, clean: &dyn Fn(&str) -> String) -> Named {
    let cleaned;
    let text = match text.contains('\0') {
        true => {
            cleaned = clean(text);
            cleaned.as_str()
        }
        false => text,
    };
    match text {
        _ if text.contains('\0') => Named::Bad,
        _ if text.trim().is_empty() => Named::Nobody,
        _ => Named::Owner(OwnerKind::of(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::{Owner, owner_of};
    use crate::record::{Metadata, Record};

    fn text(text: &str) -> Value {
        Value::Str(text.to_owned())
    }

    fn kept(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_value_names_an_owner_exactly_where_a_run_finds_one() {
        let values = [
            text("7"),
            text(" 7 "),
            text(""),
            text(" \t"),
            text("a\0"),
            text("\0"),
            text("alice"),
            Value::Int(i64::MIN),
            Value::Float(7.0),
            Value::Float(7.5),
            Value::Float(f64::INFINITY),
            Value::Bool(false),
            Value::List(vec![text("7")]),
        ];
        for value in values {
            let mut metadata = Metadata::default();
            metadata.set("user_id", value.clone());
            let record = Record {
                id: "1".into(),
                document: None,
                uri: None,
                metadata,
                vector: None,
                missing: false,
                created_at: None,
                stale: false,
                sequence: None,
                damage: None,
            };
            let expected = match owner_of(&record, "user_id", None) {
                Owner::None => Named::Nobody,
                Owner::Bad(_) => Named::Bad,
                Owner::Known(owner) => Named::Owner(OwnerKind::of(&owner)),
            };
            assert_eq!(named(Some(&value), &kept), expected, "{value:?}");
        }
        assert_eq!(named(None, &kept), Named::Nobody);
    }

    #[test]
    fn kinds_are_those_of_the_columns() {
        let kinds = |text: &str| name(text, &kept);
        for integer in ["7", " -007 ", "9223372036854775807"] {
            assert_eq!(kinds(integer), Named::Owner(OwnerKind::Integers));
        }
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert_eq!(kinds(uuid), Named::Owner(OwnerKind::Uuids));
        for other in ["9223372036854775808", "7.5", "alice", "a0eebc99"] {
            assert_eq!(kinds(other), Named::Owner(OwnerKind::Text));
        }
    }

    #[test]
    fn what_becomes_of_u_0000_decides_what_the_owner_is() {
        let removed = |text: &str| text.replace('\0', "");
        assert_eq!(name("7\0", &kept), Named::Bad);
        assert_eq!(name("7\0", &removed), Named::Owner(OwnerKind::Integers));
        assert_eq!(name("\0", &removed), Named::Nobody);
        let values = IndexedValues {
            texts: vec!["\0".to_owned(), "7".to_owned()],
            floats: vec![2.0],
            ..IndexedValues::default()
        };
        assert_eq!(kinds_of(&values, &removed), Kinds::One);
        let replaced = |text: &str| text.replace('\0', "\u{FFFD}");
        assert_eq!(kinds_of(&values, &replaced), Kinds::Several);
    }
}
