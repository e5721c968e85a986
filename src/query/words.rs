//! What each column of a table has: as the run that filled it said, else as its columns say, else by their names.

use pgrx::pg_sys;
use vector_migrate_core::mapping::{
    Detected, ItemField, Layout, MetadataWord, Word, detect, layout,
};
use vector_migrate_core::record::Space;

use crate::error::Error;
use crate::spi;
use crate::tables::{Attribute, Pgvector, sights};

/// The columns of a table that a query needs, and the distance that a run recorded for it.
#[derive(Debug)]
pub struct Words {
    /// Columns and their words.
    pub columns: Vec<(String, Word)>,
    /// The distance of the collections that the newest run into it took; `None`: nobody knows, or they differ.
    pub space: Option<Space>,
}

impl Words {
    /// The words of the table `oid` with these columns.
    ///
    /// # Errors
    /// The server's own.
    pub fn of(
        oid: pg_sys::Oid,
        columns: &[Attribute],
        pgvector: &Pgvector,
    ) -> Result<Words, Error> {
        let sights = sights(columns, pgvector);
        let (recorded, space) = recorded(oid)?;
        if let Some(json) = recorded
            && let Ok(words) = layout::parse(&json)
            && let Ok(columns) = Layout::of_caller(&words).resolve(&sights)
        {
            return Ok(Words { columns, space });
        }
        let detected = match detect(&sights) {
            Detected::Fits(preset) => Layout::of_preset(preset).resolve(&sights).ok(),
            _ => None,
        };
        let columns = detected.unwrap_or_else(|| by_name(columns));
        Ok(Words { columns, space })
    }
}

/// The words and the distance that the newest run into the table wrote down, of those that the caller may see.
fn recorded(oid: pg_sys::Oid) -> Result<(Option<String>, Option<Space>), Error> {
    let found = spi::look_up_one(
        "SELECT t.columns::pg_catalog.text, t.space FROM vector_migrate.run_targets t \
           JOIN vector_migrate.runs r ON r.run_id OPERATOR(pg_catalog.=) t.run_id \
          WHERE t.content_target OPERATOR(pg_catalog.=) $1::pg_catalog.oid \
            AND r.status OPERATOR(pg_catalog.=) 'completed' \
          ORDER BY t.run_id DESC LIMIT 1",
        &[oid.into()],
        |row| Ok((row.get::<String>(1)?, row.get::<String>(2)?)),
    )?;
    let (columns, space) = found.unwrap_or_default();
    Ok((columns, space.and_then(|it| Space::from_word(&it))))
}

/// The words that columns have by their names, in a table that nobody described.
fn by_name(columns: &[Attribute]) -> Vec<(String, Word)> {
    let document = Word::Document {
        or_empty: false,
        without_nul: false,
    };
    let usual: [(&[&str], Word, bool); 4] = [
        (
            &[
                "document",
                "content",
                "searchable_text",
                "text",
                "body",
                "chunk",
            ],
            document,
            false,
        ),
        (
            &["metadata", "cmetadata", "metadata_", "meta", "payload"],
            Word::Metadata(MetadataWord::default()),
            true,
        ),
        (&["uri"], Word::Uri, false),
        (
            &[
                "chroma_collection",
                "collection_name",
                "collection",
                "namespace",
            ],
            Word::Collection { qualified: false },
            false,
        ),
    ];
    let fits = |column: &Attribute, json: bool| match json {
        true => matches!(column.base, pg_sys::JSONBOID | pg_sys::JSONOID),
        false => column.category == "S",
    };
    let found = usual.into_iter().filter_map(|(names, word, json)| {
        let mut there = names.iter().filter_map(|name| {
            let named = columns.iter().find(|column| column.name == **name);
            named.filter(|column| fits(column, json))
        });
        there.next().map(|column| (column.name.clone(), word))
    });
    found.collect()
}

/// Whether the word stands for the record's document.
pub fn is_document(word: &Word) -> bool {
    matches!(
        word,
        Word::Document { .. } | Word::Item(ItemField::SearchableText)
    )
}

/// The word for the whole metadata.
pub fn metadata_of(word: &Word) -> Option<MetadataWord> {
    match word {
        Word::Metadata(metadata) => Some(metadata.clone()),
        Word::Item(ItemField::Metadata) => Some(MetadataWord::default()),
        _ => None,
    }
}
