//! Which records a segment has, where the index of `embeddings` cannot be read.
//!
//! Stage: source. Promise: nothing here runs while SQLite reports no damage; held in memory are ids and rowids. May import
//! `scan`, `unreadable_rows` and `sqlite`.

use std::collections::BTreeMap;

use super::scan::scan_readable;
use super::unreadable_rows::UnreadableRows;
use crate::source::chroma::sqlite::columns::text;
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::error::SourceError;

/// The records of a segment as far as `embeddings` and its index tell.
#[derive(Debug, Default)]
pub(crate) struct RecordIds {
    /// The application's ids by rowid.
    pub ids: BTreeMap<i64, String>,
    /// Rows that may be records of the segment, but no id is known of them.
    pub unreadable: Vec<UnreadableRows>,
}

impl RecordIds {
    /// Reads the index from both ends; if that does not give all of it, the table too.
    pub fn read(database: &Database, segment: &str) -> Result<RecordIds, SourceError> {
        let mut found = RecordIds::default();
        for order in ["ASC", "DESC"] {
            let sql = format!(
                "SELECT id, embedding_id FROM embeddings WHERE segment_id = ?1 ORDER BY embedding_id {order}"
            );
            if unless_corrupt(found.take(database, &sql, segment))?.is_some() {
                return Ok(found);
            }
        }
        let rows = "SELECT id, segment_id, embedding_id FROM embeddings NOT INDEXED WHERE id >= ?1 ORDER BY id";
        let ids = &mut found.ids;
        found.unreadable = scan_readable(database, rows, |number, row| {
            let own = row.get_ref(1).ok().and_then(text).as_deref() == Some(segment);
            if let (true, Some(id)) = (own, row.get_ref(2).ok().and_then(text)) {
                ids.insert(number, id);
            }
        })?;
        Ok(found)
    }

    fn take(
        &mut self,
        database: &Database,
        sql: &str,
        segment: &str,
    ) -> Result<(), StatementError> {
        let failed = |error| database.statement_error(error);
        let mut statement = database.prepare(sql)?;
        let mut rows = statement.query([segment]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            database.check_stop()?;
            let number = row.get(0).map_err(failed)?;
            let id = text(row.get_ref(1).map_err(failed)?).unwrap_or_default();
            self.ids.insert(number, id);
        }
        Ok(())
    }
}
