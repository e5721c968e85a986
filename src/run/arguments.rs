//! The arguments of `migrate_chroma` as SQL gives them, and how one is made of what may be given.

use vector_migrate_core::mapping::{self, Preset, Word, presets};
use vector_migrate_core::table_name::TableName;

use crate::error::Error;

/// The arguments as SQL gives them; `None` is NULL.
#[derive(Debug)]
pub struct Arguments {
    /// Only this user's records.
    pub user_id: Option<String>,
    /// The type that a `user_id` column gets if the run creates one: that of the overload called.
    pub user_id_type: &'static str,
    /// Nothing is written.
    pub dry_run: Option<bool>,
    /// Only this collection.
    pub collection: Option<String>,
    /// Only records that Chroma's `where` finds, or whose metadata contains this: the text of a jsonb value.
    pub filter: Option<String>,
    /// `auto`, `stored` or `generate`.
    pub embeddings: Option<String>,
    /// `skip`, `update`, `overwrite` or `error`.
    pub on_conflict: Option<String>,
    /// `auto`, `skip` or `keep`.
    pub orphans: Option<String>,
    /// The owner of records without one.
    pub default_user_id: Option<String>,
    /// The content table.
    pub target: Option<String>,
    /// The entity table.
    pub entity_target: Option<String>,
    /// Any damage is an error.
    pub strict: Option<bool>,
    /// `auto`, `import`, `build` or `none`.
    pub index: Option<String>,
    /// The metadata key of a record's owner.
    pub owner_key: Option<String>,
    /// The metadata key of the text of records without a document.
    pub text_key: Option<String>,
    /// `error`, `remove` or `replace`.
    pub nul_characters: Option<String>,
    /// Only these collections.
    pub collections: Option<Vec<Option<String>>>,
    /// Only collections of so many dimensions.
    pub dimension: Option<i32>,
    /// What stands before each collection's name.
    pub source_name: Option<String>,
    /// An application's tables.
    pub preset: Option<String>,
    /// Words for columns: the text of a jsonb value.
    pub columns: Option<String>,
}

impl Arguments {
    /// Those of a run, as the ledger has them.
    pub fn recorded(options: &serde_json::Value) -> Arguments {
        let value = |name: &str| options.get(name).filter(|it| !it.is_null());
        let text = |name: &str| value(name).and_then(|it| it.as_str()).map(str::to_owned);
        let flag = |name: &str| value(name).and_then(serde_json::Value::as_bool);
        let json = |name: &str| value(name).map(serde_json::Value::to_string);
        let several = value("collections").and_then(|it| it.as_array());
        let dimension = value("dimension").and_then(serde_json::Value::as_i64);
        Arguments {
            user_id: text("user_id"),
            user_id_type: "pg_catalog.int8",
            dry_run: flag("dry_run"),
            collection: text("collection"),
            filter: json("filter"),
            embeddings: text("embeddings"),
            on_conflict: text("on_conflict"),
            orphans: text("orphans"),
            default_user_id: text("default_user_id"),
            target: text("target"),
            entity_target: text("entity_target"),
            strict: flag("strict"),
            index: text("index"),
            owner_key: text("owner_key"),
            text_key: text("text_key"),
            nul_characters: text("nul_characters"),
            collections: several
                .map(|it| it.iter().map(|it| it.as_str().map(str::to_owned)).collect()),
            dimension: dimension.and_then(|it| i32::try_from(it).ok()),
            source_name: text("source_name"),
            preset: text("preset"),
            columns: json("columns"),
        }
    }
}

/// The choice that `word` names.
///
/// # Errors
/// [`Error::NullArgument`], [`Error::BadArgument`].
pub fn choice<T: Copy>(
    argument: &'static str,
    word: Option<&str>,
    choices: &[(&str, T)],
) -> Result<T, Error> {
    let word = word.ok_or(Error::NullArgument(argument))?;
    match choices.iter().find(|(name, _)| *name == word) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("'{name}'"))
                .collect();
            Err(Error::BadArgument {
                argument,
                value: word.to_owned(),
                hint: format!("It can be {}.", names.join(", ")),
            })
        }
    }
}

/// The collections that the two arguments name; `None`: all.
///
/// # Errors
/// [`Error::NullArgument`], [`Error::BadArgument`] if both are given.
pub fn wanted_collections(
    one: Option<String>,
    several: Option<Vec<Option<String>>>,
) -> Result<Option<Vec<String>>, Error> {
    let Some(several) = several else {
        return Ok(one.map(|one| vec![one]));
    };
    let several: Option<Vec<String>> = several.into_iter().collect();
    let several = several.ok_or(Error::NullArgument("an element of collections"))?;
    match one {
        None => Ok(Some(several)),
        Some(one) => Err(Error::BadArgument {
            argument: "collection",
            value: one,
            hint: "Give collection or collections, not both.".into(),
        }),
    }
}

/// A number of dimensions.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn dimension(given: i32) -> Result<u32, Error> {
    let dimension = u32::try_from(given).ok().filter(|n| *n > 0);
    dimension.ok_or_else(|| Error::BadArgument {
        argument: "dimension",
        value: given.to_string(),
        hint: "Give the number of dimensions of the collections to migrate, as chroma_collections() shows it."
            .into(),
    })
}

/// A table's name, perhaps with placeholders.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn table_name(argument: &'static str, name: &str) -> Result<TableName, Error> {
    TableName::parse(name).map_err(|why| Error::BadArgument {
        argument,
        value: name.to_owned(),
        hint: format!("Give a table's name, qualified by its schema or not: {why}."),
    })
}

/// A metadata key that an argument names.
///
/// # Errors
/// [`Error::BadArgument`] for a blank one.
pub fn named(argument: &'static str, key: String) -> Result<String, Error> {
    match key.trim().is_empty() {
        false => Ok(key),
        true => Err(Error::BadArgument {
            argument,
            value: key,
            hint: "Give a metadata key, as chroma_collections() shows them in metadata_keys."
                .into(),
        }),
    }
}

/// A name for the store. Chroma's collections have neither separator in their names, so that what is made of name and
/// collection is told apart.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn source_name(name: String) -> Result<String, Error> {
    match name.trim().is_empty() || name.contains([':', '/']) {
        false => Ok(name),
        true => Err(Error::BadArgument {
            argument: "source_name",
            value: name,
            hint: "Give a word without \":\" and \"/\", as 'south'.".into(),
        }),
    }
}

/// The preset of this name.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn preset(name: &str) -> Result<&'static Preset, Error> {
    mapping::preset(name).ok_or_else(|| {
        let names: Vec<&str> = presets().iter().map(|it| it.name.as_str()).collect();
        Error::BadArgument {
            argument: "preset",
            value: name.to_owned(),
            hint: format!("It can be {}.", names.join(", ")),
        }
    })
}

/// The words that `columns` gives columns.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn columns(json: &str) -> Result<Vec<(String, Word)>, Error> {
    mapping::layout::parse(json).map_err(|why| Error::BadArgument {
        argument: "columns",
        value: shortened(json),
        hint: format!("{why}."),
    })
}

/// The beginning of a text that may be long.
pub fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
