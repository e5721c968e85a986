//! The values that a metadata key has anywhere in the store, by the indexes on values that releases since 0.5.6 make.
//!
//! Stage: source. Promise: no value is missing, or there is no answer; the time depends on how many different values there are, not on
//! how many records. May import `catalog` and `sqlite`.
//!
//! The rows of deleted collections count too: they stay behind in the tables.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, params};

use crate::source::chroma::catalog::schema::Schema;
use crate::source::chroma::sqlite::columns::intact_text;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// Bytes of texts that are kept at most.
const MOST_BYTES: usize = 4 << 20;

/// The values of one metadata key in the tables of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexedValues {
    /// The different strings, ascending.
    pub texts: Vec<String>,
    /// The different floats, ascending.
    pub floats: Vec<f64>,
    /// Whether there is an integer.
    pub integers: bool,
    /// Whether there may be others: booleans and arrays, of which no index tells. Where there is no string, float or
    /// integer, this is exact, but that a value may have been removed.
    pub others: bool,
}

impl IndexedValues {
    /// Whether no record has the key.
    pub fn is_empty(&self) -> bool {
        !self.integers && !self.others && self.texts.is_empty() && self.floats.is_empty()
    }

    /// Reads the values of `key`; `None` if an index is missing or cannot be read, or if there are more than `most` different
    /// strings or floats.
    pub(crate) fn read(
        database: &Database,
        schema: &Schema,
        key: &str,
        most: usize,
    ) -> Result<Option<IndexedValues>, SourceError> {
        let index = Index { database, key };
        Ok(unless_corrupt(read(&index, schema, most))?.flatten())
    }
}

fn read(
    index: &Index<'_>,
    schema: &Schema,
    most: usize,
) -> Result<Option<IndexedValues>, StatementError> {
    let Some(integers) = index.has_integers()? else {
        return Ok(None);
    };
    let mut found = IndexedValues {
        integers,
        ..IndexedValues::default()
    };
    let mut room = MOST_BYTES;
    let whole = index.each("float_value", most, |value| match value {
        ValueRef::Real(number) => {
            found.floats.push(number);
            true
        }
        _ => false,
    })? && index.each("string_value", most, |value| match value {
        ValueRef::Text(bytes) if bytes.len() <= room => match intact_text(bytes) {
            Some(text) => {
                room = room.saturating_sub(bytes.len());
                found.texts.push(text.to_owned());
                true
            }
            None => false,
        },
        _ => false,
    })?;
    if !whole {
        return Ok(None);
    }
    let known = !found.is_empty();
    let arrays = match (schema.arrays, known) {
        (false, _) => Some(false),
        (true, true) => {
            index.exists("SELECT 1 FROM embedding_metadata_array WHERE ?1 IS NOT NULL")?
        }
        (true, false) => index.exists("SELECT 1 FROM embedding_metadata_array WHERE key = ?1")?,
    };
    let bools = match (schema.bools, known) {
        (false, _) => Some(false),
        (true, true) => Some(true),
        // The index of the primary key is a tenth of the table, which has the documents.
        (true, false) => index.exists(
            "SELECT 1 FROM embedding_metadata INDEXED BY sqlite_autoindex_embedding_metadata_1 WHERE key = ?1",
        )?,
    };
    found.others = arrays != Some(false) || bools != Some(false);
    Ok(Some(found))
}

/// The rows of one key.
struct Index<'a> {
    database: &'a Database,
    key: &'a str,
}

impl Index<'_> {
    /// Whether a row has an integer; `None` if there is no index that tells. No release writes anything else into its column.
    fn has_integers(&self) -> Result<Option<bool>, StatementError> {
        if !self.is_on("int_value")? {
            return Ok(None);
        }
        self.exists(
            "SELECT 1 FROM embedding_metadata INDEXED BY embedding_metadata_int_value \
             WHERE key = ?1 AND int_value IS NOT NULL",
        )
    }

    /// Gives each different value in `column`, ascending, with a search for each. `false`: there is no such index, `take`
    /// refused one, or there are more than `most`.
    fn each(
        &self,
        column: &str,
        most: usize,
        mut take: impl FnMut(ValueRef<'_>) -> bool,
    ) -> Result<bool, StatementError> {
        let failed = |error| self.database.statement_error(error);
        if !self.is_on(column)? {
            return Ok(false);
        }
        let after = |condition: &str| {
            self.database.prepare(&format!(
                "SELECT {column} FROM embedding_metadata INDEXED BY embedding_metadata_{column} \
                 WHERE key = ?1 AND {column} {condition} ORDER BY {column} LIMIT 1"
            ))
        };
        // An index with another condition has nothing to offer here.
        let (Ok(mut first), Ok(mut next)) = (after("IS NOT NULL"), after("> ?2")) else {
            return Ok(false);
        };
        let only = |row: &rusqlite::Row<'_>| Ok(Value::try_from(row.get_ref(0)?).ok());
        let mut found = first.query_row([self.key], only).optional();
        for taken in 0.. {
            let Some(value) = found.map_err(failed)? else {
                return Ok(true);
            };
            // Text that is no UTF-8 is no value.
            let Some(value) = value.filter(|_| taken < most) else {
                return Ok(false);
            };
            if !take(ValueRef::from(&value)) {
                return Ok(false);
            }
            self.database.check_stop()?;
            found = next.query_row(params![self.key, value], only).optional();
        }
        Ok(false)
    }

    /// Whether the index on `column` is that of Chroma: by key and value.
    fn is_on(&self, column: &str) -> Result<bool, StatementError> {
        let sql = format!("SELECT name FROM pragma_index_info('embedding_metadata_{column}')");
        let columns = self
            .database
            .try_rows(&sql, |row| row.get::<_, Option<String>>(0))?;
        Ok(columns == [Some("key".to_owned()), Some(column.to_owned())])
    }

    /// Whether `query`, which has the key as its parameter, gives a row; `None` if it cannot be asked.
    fn exists(&self, query: &str) -> Result<Option<bool>, StatementError> {
        let Ok(mut statement) = self.database.prepare(query) else {
            return Ok(None);
        };
        let found = statement.exists([self.key]);
        let failed = |error| self.database.statement_error(error);
        Ok(Some(found.map_err(failed)?))
    }
}
