//! Names of target tables with placeholders for what a collection is.
//!
//! Promise: pure; the same store gives the same names whatever part of it is asked for; a name has at most [`MOST_BYTES`]
//! bytes a part, and two collections that differ in a placeholder's value never share a table by chance. Imports `record` only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::record::Collection;

/// Bytes of an identifier that PostgreSQL keeps (`NAMEDATALEN` less its end).
pub const MOST_BYTES: usize = 63;

/// What stands for a property of the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    Collection,
    CollectionLower,
    Database,
    Tenant,
    Dimension,
}

impl Placeholder {
    const ALL: [(&'static str, Placeholder); 5] = [
        ("{collection}", Placeholder::Collection),
        ("{collection_lower}", Placeholder::CollectionLower),
        ("{database}", Placeholder::Database),
        ("{tenant}", Placeholder::Tenant),
        ("{dimension}", Placeholder::Dimension),
    ];

    fn value(self, of: &Subject<'_>) -> String {
        match self {
            Placeholder::Collection => of.collection.name.clone(),
            Placeholder::CollectionLower => of.collection.name.to_lowercase(),
            Placeholder::Database => of.collection.database.clone(),
            Placeholder::Tenant => of.collection.tenant.clone(),
            Placeholder::Dimension => of.dimension.to_string(),
        }
    }
}

/// A collection, and the dimensions that the vectors of its rows will have.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The collection.
    pub collection: &'a Collection,
    /// Dimensions.
    pub dimension: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

/// One part of a qualified name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    pieces: Vec<Piece>,
    /// Written in double quotes: values go in as they are.
    quoted: bool,
}

/// A table's name as SQL writes it, with or without its schema, and with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    parts: Vec<Part>,
}

impl TableName {
    /// Reads a name: parts in double quotes as they are, others folded to lower case, as the server does (`parse_ident`).
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<TableName, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, after) = match rest.strip_prefix('"') {
                Some(inner) => quoted_part(inner)?,
                None => plain_part(rest)?,
            };
            parts.push(part);
            let after = after.trim_start();
            if after.is_empty() {
                break;
            }
            rest = after
                .strip_prefix('.')
                .ok_or_else(|| format!("{after:?} cannot follow a name"))?
                .trim_start();
        }
        match parts.len() {
            // With the database before it, as the server allows.
            1..=3 => Ok(TableName { parts }),
            _ => Err("it has more parts than database, schema and table".to_owned()),
        }
    }

    /// Whether collections make a difference to the name.
    pub fn has_placeholders(&self) -> bool {
        self.placeholders().next().is_some()
    }

    fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        let pieces = self.parts.iter().flat_map(|part| &part.pieces);
        pieces.filter_map(|piece| match piece {
            Piece::Value(placeholder) => Some(*placeholder),
            Piece::Text(_) => None,
        })
    }

    /// The name as SQL, without placeholders, its table's name followed by `suffix`, for which the name is cut where it is too
    /// long.
    pub fn with_suffix(&self, suffix: &str) -> String {
        let mut parts: Vec<String> = self.parts.iter().map(Part::text).collect();
        if let Some(table) = parts.last_mut() {
            *table = format!(
                "{}{suffix}",
                cut(table, MOST_BYTES.saturating_sub(suffix.len()))
            );
        }
        sql(&parts)
    }

    /// The name for each of `subjects`. Names that differ in a value and would be one, and those that are too long, end
    /// with a number made of their values.
    pub fn names(&self, subjects: &[Subject<'_>]) -> Vec<Named> {
        let made: Vec<Made> = subjects.iter().map(|subject| self.make(subject)).collect();
        // What would be one name, by the values it comes of; whether a name is what its values say.
        let mut values: BTreeMap<Vec<String>, BTreeMap<Vec<String>, bool>> = BTreeMap::new();
        for one in &made {
            let same = values.entry(one.parts.clone()).or_default();
            same.insert(one.values.clone(), one.faithful);
        }
        let alone = |one: &Made| {
            let Some(same) = values.get(&one.parts) else {
                return true;
            };
            let faithful = same.values().filter(|faithful| **faithful).count();
            same.len() == 1 || (one.faithful && faithful == 1)
        };
        made.iter().map(|one| one.name(alone(one))).collect()
    }

    fn make(&self, subject: &Subject<'_>) -> Made {
        let mut faithful = true;
        let parts = self.parts.iter().map(|part| {
            let mut text = String::new();
            for piece in &part.pieces {
                match piece {
                    Piece::Text(fixed) => text.push_str(fixed),
                    Piece::Value(placeholder) => {
                        let value = placeholder.value(subject);
                        let valid = valid(&value, part.quoted);
                        faithful &= valid == value;
                        text.push_str(&valid);
                    }
                }
            }
            text
        });
        Made {
            parts: parts.collect(),
            values: self.placeholders().map(|it| it.value(subject)).collect(),
            faithful,
        }
    }
}

/// A table's name for a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name as SQL.
    pub sql: String,
    /// It does not have the collection's values as they are.
    pub altered: bool,
}

/// A name before it is made unique.
struct Made {
    parts: Vec<String>,
    /// What the placeholders stand for.
    values: Vec<String>,
    /// The values are in the name as they are.
    faithful: bool,
}

impl Made {
    fn name(&self, alone: bool) -> Named {
        let mut altered = !self.faithful;
        let last = self.parts.len().saturating_sub(1);
        let parts: Vec<String> = (self.parts.iter().enumerate())
            .map(|(at, part)| {
                let unique = alone || at < last;
                if unique && part.len() <= MOST_BYTES {
                    return part.clone();
                }
                altered = true;
                let suffix = format!("_{:08x}", fnv(&self.values));
                format!("{}{suffix}", cut(part, MOST_BYTES - suffix.len()))
            })
            .collect();
        Named {
            sql: sql(&parts),
            altered,
        }
    }
}

impl Part {
    /// The part as it is written, placeholders included.
    fn text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Value(placeholder) => {
                    let name = Placeholder::ALL.iter().find(|(_, it)| it == placeholder);
                    text.push_str(name.map_or("", |(name, _)| name));
                }
            }
        }
        text
    }
}

/// The part in double quotes that `inner` begins with, behind its first quote, and what follows.
fn quoted_part(inner: &str) -> Result<(Part, &str), String> {
    let mut pieces = Pieces::default();
    let mut rest = inner;
    loop {
        if let Some(after) = rest.strip_prefix("\"\"") {
            pieces.push('"');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('"') {
            return Ok((pieces.part(true)?, after));
        } else if let Some((placeholder, after)) = placeholder(rest) {
            pieces.value(placeholder);
            rest = after;
        } else {
            let mut chars = rest.chars();
            let next = chars.next().ok_or("a double quote is not closed")?;
            pieces.push(next);
            rest = chars.as_str();
        }
    }
}

/// The part without quotes that `text` begins with, and what follows.
fn plain_part(text: &str) -> Result<(Part, &str), String> {
    let mut pieces = Pieces::default();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some((placeholder, after)) = placeholder(rest) {
            pieces.value(placeholder);
            rest = after;
            continue;
        }
        if next == '{' {
            let names = Placeholder::ALL.map(|(name, _)| name).join(", ");
            return Err(format!("placeholders are {names}"));
        }
        let inside = next.is_alphanumeric() || !next.is_ascii() || next == '_' || next == '$';
        let begins = !(next.is_ascii_digit() || next == '$');
        if !inside || (pieces.is_empty() && !begins) {
            break;
        }
        pieces.push(next.to_ascii_lowercase());
        rest = rest.get(next.len_utf8()..).unwrap_or("");
    }
    Ok((pieces.part(false)?, rest))
}

fn placeholder(text: &str) -> Option<(Placeholder, &str)> {
    let mut all = Placeholder::ALL.iter();
    all.find_map(|(name, placeholder)| Some((*placeholder, text.strip_prefix(name)?)))
}

/// The pieces of a part while it is read.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn push(&mut self, next: char) {
        match self.0.last_mut() {
            Some(Piece::Text(text)) => text.push(next),
            _ => self.0.push(Piece::Text(next.to_string())),
        }
    }

    fn value(&mut self, placeholder: Placeholder) {
        self.0.push(Piece::Value(placeholder));
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn part(self, quoted: bool) -> Result<Part, String> {
        match self.is_empty() {
            true => Err("a part of it is empty or begins with what no name begins with".to_owned()),
            false => Ok(Part {
                pieces: self.0,
                quoted,
            }),
        }
    }
}

/// A value as part of a name: in quotes as it is, else in lower case with `_` for what a name cannot have without quotes.
fn valid(value: &str, quoted: bool) -> Cow<'_, str> {
    let fits = |c: char| match quoted {
        true => c != '\0',
        false => c == '_' || c.is_alphanumeric() && !c.is_uppercase(),
    };
    if !value.is_empty() && value.chars().all(fits) {
        return Cow::Borrowed(value);
    }
    if value.is_empty() {
        return Cow::Borrowed("_");
    }
    let lower = match quoted {
        true => value.to_owned(),
        false => value.to_lowercase(),
    };
    Cow::Owned(
        lower
            .chars()
            .map(|c| if fits(c) { c } else { '_' })
            .collect(),
    )
}

/// At most `limit` bytes of `text`, cut between characters.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or(text)
}

/// A name of these parts as SQL.
fn sql(parts: &[String]) -> String {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        let dot = if at == 0 { "" } else { "." };
        // Writing into a String does not fail.
        let _ = write!(out, "{dot}\"{}\"", part.replace('"', "\"\""));
    }
    out
}

/// FNV-1a of 32 bits over the values, each ended by a byte that no text has (RFC 9923).
fn fnv(values: &[String]) -> u32 {
    let bytes = values.iter().flat_map(|it| it.bytes().chain([0xFF]));
    bytes.fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
#[path = "table_name_tests.rs"]
mod tests;
