//! Presets: named mappings for the tables that applications make, with a few facts about each table.
//!
//! Promise: they live in the library as data; the version of a preset is the version of the extension.

use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::word::Word;
use crate::record::Space;

/// A named mapping.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name, as the argument `preset` takes it.
    pub name: String,
    /// The application whose table it is for.
    pub application: String,
    /// The releases that it was tested with.
    pub versions: String,
    /// The table's usual name, perhaps with placeholders; `None`: the caller has to name it.
    #[serde(default)]
    pub target: Option<String>,
    /// What goes into which column; `*` stands for the columns that are not named.
    pub columns: Words,
    /// The columns that a table must have for the preset to be found by them, and their types (`pg_type.typname`, several with
    /// `|` between them, an empty one for any); none: the preset has to be named.
    #[serde(default)]
    pub signature: Types,
    /// The same for a preset that has to be named.
    #[serde(default)]
    pub needs: Types,
    /// The entity table.
    #[serde(default)]
    pub entities: Option<Entities>,
    /// Column types that are refused, and why.
    #[serde(default)]
    pub refuses: Vec<Refusal>,
    /// Why a record without a document is left out; `None`: it is not.
    #[serde(default)]
    pub needs_document: Option<String>,
    /// The table has the records of one collection.
    #[serde(default)]
    pub one_collection: bool,
    /// Collections that are not the application's.
    #[serde(default)]
    pub leaves_out: Vec<String>,
    /// The only collections that are the application's.
    #[serde(default)]
    pub only: Vec<String>,
    /// Why others are left out.
    #[serde(default)]
    pub why_left_out: String,
    /// The metadata key of the text, where records have no document.
    #[serde(default)]
    pub text_key: Option<String>,
    /// Who makes the vector index.
    pub index: IndexMaker,
    /// Why nobody but the application does.
    #[serde(default)]
    pub why_no_index: String,
    /// The distance that the application asks with.
    #[serde(default)]
    pub distance: Option<Distance>,
    /// What helps if an id does not fit.
    #[serde(default)]
    pub id_hint: Option<String>,
    /// Megabytes of `maintenance_work_mem` that the application needs to make its index.
    #[serde(default)]
    pub maintenance_work_mem: Option<u32>,
    /// What to do in the application afterwards.
    #[serde(default)]
    pub hint: Option<String>,
    /// The table as the application makes it; `None`: this extension makes it by itself.
    #[serde(default)]
    pub table: Option<TableMade>,
    /// What records must have, for a person.
    pub requires: String,
}

/// The entity table of a preset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entities {
    /// What goes into which column.
    pub columns: Words,
    /// The columns that it must have.
    pub signature: Types,
}

/// A type that a column of the table may not have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The type (`pg_type.typname`).
    #[serde(rename = "type")]
    pub ty: String,
    /// Why, and what helps.
    pub why: String,
}

/// Who makes the vector index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexMaker {
    /// A run that creates the table.
    Ours,
    /// The application, with its table; a run where it is asked for by name.
    Application,
    /// The application alone.
    Never,
}

/// The distance that an application asks with unless it is told otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distance {
    /// It.
    #[serde(deserialize_with = "space")]
    pub asks: Space,
    /// What to set in the application for Chroma's `l2`.
    pub l2: String,
    /// What to set for `ip`.
    pub ip: String,
}

impl Distance {
    /// What to set in the application for this distance.
    pub fn setting(&self, space: Space) -> &str {
        match space {
            Space::Ip => &self.ip,
            _ => &self.l2,
        }
    }
}

/// A table as its application makes it. In its texts `{vector}` stands for pgvector's schema, `{dimension}` for the vectors'
/// dimensions, `{parent}` for the table that it refers to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableMade {
    /// Dimensions that it has whatever the vectors have.
    #[serde(default)]
    pub dimension: Option<u32>,
    /// Beyond so many dimensions the application wants `halfvec`.
    #[serde(default)]
    pub half_beyond: Option<u32>,
    /// What is to be set in the application then.
    #[serde(default)]
    pub half_hint: String,
    /// A schema that the application makes with it.
    #[serde(default)]
    pub schema: Option<String>,
    /// What its name begins with.
    #[serde(default)]
    pub prefix: String,
    /// Its columns, as SQL.
    pub columns: Vec<String>,
    /// Its indexes but for those of its keys.
    pub indexes: Vec<IndexMade>,
    /// The table that it refers to.
    #[serde(default)]
    pub parent: Option<ParentMade>,
}

/// An index as the application makes it. In its names `{table}` stands for the table's name, `{base}` for that without the
/// prefix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexMade {
    /// Its name.
    pub name: String,
    /// Its name on a table of another name than the preset's own.
    #[serde(default)]
    pub elsewhere: Option<String>,
    /// Its name where another index of the schema has the usual one.
    #[serde(default)]
    pub if_taken: Option<String>,
    /// What comes behind the table's name in CREATE INDEX.
    pub on: String,
    /// Of a vector index: dimensions that it takes at most.
    #[serde(default)]
    pub most_dimensions: Option<u32>,
}

/// The table that the application's table refers to, one row for each collection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentMade {
    /// Its name.
    pub name: String,
    /// Its columns, as SQL.
    pub columns: Vec<String>,
}

/// Columns and their words, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<(String, Word)>);

/// Columns and the types that they may have, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types(pub Vec<(String, Vec<String>)>);

impl Preset {
    /// The columns that a table has to have, and their types.
    pub fn required(&self) -> &Types {
        match self.signature.0.is_empty() {
            true => &self.needs,
            false => &self.signature,
        }
    }

    /// Whether it is the content library's, whose records have owners and whose tables this extension makes.
    pub fn is_content_library(&self) -> bool {
        self.entities.is_some()
    }

    /// Whether a collection of this name is the application's.
    pub fn takes(&self, collection: &str) -> bool {
        let is = |name: &String| name == collection;
        !self.leaves_out.iter().any(is) && (self.only.is_empty() || self.only.iter().any(is))
    }
}

/// All presets, the content library's first.
pub fn presets() -> &'static [Preset] {
    static PRESETS: OnceLock<Vec<Preset>> = OnceLock::new();
    // That the file is whole is tested below.
    PRESETS.get_or_init(|| serde_json::from_str(include_str!("presets.json")).unwrap_or_default())
}

/// The preset of this name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    presets().iter().find(|preset| preset.name == name)
}

fn space<'de, D: Deserializer<'de>>(from: D) -> Result<Space, D::Error> {
    let word = String::deserialize(from)?;
    Space::from_word(&word).ok_or_else(|| D::Error::custom("no space"))
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Words, D::Error> {
        let read = |text: String| Word::parse(&text);
        from.deserialize_map(InOrder(read)).map(Words)
    }
}

impl<'de> Deserialize<'de> for Types {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Types, D::Error> {
        let read = |text: String| {
            let types = text.split('|').filter(|ty| !ty.is_empty());
            Ok(types.map(str::to_owned).collect())
        };
        from.deserialize_map(InOrder(read)).map(Types)
    }
}

/// A JSON object in the order of its keys.
struct InOrder<F>(F);

impl<'de, T, F: Fn(String) -> Result<T, String>> Visitor<'de> for InOrder<F> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((key, text)) = map.next_entry::<String, String>()? {
            all.push((key, (self.0)(text).map_err(A::Error::custom)?));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole() {
        let text = include_str!("presets.json");
        let read: Result<Vec<Preset>, _> = serde_json::from_str(text);
        read.unwrap();
        assert_eq!(presets().len(), 15);
        assert!(presets()[0].is_content_library());
    }

    #[test]
    fn every_preset_fills_what_it_requires_and_no_name_comes_twice() {
        for preset in presets() {
            let named = |wanted: &str| presets().iter().filter(|it| it.name == wanted).count();
            assert_eq!(named(&preset.name), 1);
            let vectors = preset.columns.0.iter();
            let vectors = vectors.filter(|(_, word)| matches!(word, Word::Vector { .. }));
            assert_eq!(vectors.count(), 1, "{}", preset.name);
            assert!(!preset.required().0.is_empty(), "{}", preset.name);
        }
    }

    #[test]
    fn collections_that_are_not_the_applications_are_known() {
        let mem0 = preset("mem0").unwrap();
        assert!(mem0.takes("mem0") && !mem0.takes("mem0migrations"));
        let vanna = preset("vanna").unwrap();
        assert!(vanna.takes("ddl") && !vanna.takes("langchain"));
        assert!(preset("chroma").is_none());
    }
}
