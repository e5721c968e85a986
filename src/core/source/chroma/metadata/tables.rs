//! The metadata tables of a segment, read in the order of insertion.
//!
//! Stage: source. Promise: one pass over `embeddings`, `embedding_metadata` and `embedding_metadata_array` side by
//! side, each read by ranges of rowids; held in memory are one record and the collection's rowids. Where a page cannot be read,
//! the records of the range are read one by one, and each is marked with what is lost of it. May import this folder,
//! `catalog`, `damage` and `sqlite`.
//!
//! | table | key | order |
//! | --- | --- | --- |
//! | `embeddings` | `id` | ascending: the order of insertion |
//! | `embedding_metadata` | (`id`, `key`) | one value a key |
//! | `embedding_metadata_array` (1.5.0) | `id`, `key` | one row an element, in the order of `rowid` |

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use rusqlite::Statement;

use super::content::Content;
use super::lazy_cursor::LazyCursor;
use super::owners::Owners;
use super::record::{Depth, StoredRecord};
use super::values::{KeyValue, KeyValues, ValueCursor, Values, lists};
use crate::source::chroma::catalog::collections::CatalogEntry;
use crate::source::chroma::catalog::schema::Schema;
use crate::source::chroma::damage::record_ids::RecordIds;
use crate::source::chroma::damage::unreadable_rows::UnreadableRows;
use crate::source::chroma::sqlite::columns::{is_damaged_text, sequence, text, timestamp};
use crate::source::chroma::sqlite::database::Database;
use crate::source::chroma::sqlite::errors::{StatementError, unless_corrupt};
use crate::source::chroma::sqlite::rowids::{first_and_last, ranges};
use crate::source::error::SourceError;

/// After damage, so many records are read one by one before a range is read again.
const ONE_BY_ONE: usize = 256;

/// Whether only the owner of the record with this id is of interest.
pub(crate) type Knows<'a> = dyn FnMut(&str) -> bool + 'a;

/// Reads the metadata tables of one collection.
pub(crate) struct MetadataTables<'a> {
    database: &'a Database,
    segment: &'a str,
    keys: Option<&'a BTreeSet<String>>,
    /// The rowids of its records in `embeddings`, where they are known already.
    rowids: Option<Vec<i64>>,
    records: Statement<'a>,
    values: Values<'a>,
    /// The metadata key of owners.
    owner_key: &'a str,
    /// For records that the consumer knows.
    owners: Owners<'a>,
    arrays: Option<Values<'a>>,
    /// Read only where a page of `embeddings` or its index cannot be read.
    record_ids: Option<RecordIds>,
}

impl<'a> MetadataTables<'a> {
    /// Prepares to read `entry`, whose owners are the values of `owner_key` and of which `rowids` may be known; `None` if it
    /// has no metadata segment.
    pub fn new(
        database: &'a Database,
        schema: &Schema,
        entry: &'a CatalogEntry,
        depth: Depth,
        owner_key: &'a str,
        rowids: Option<Vec<i64>>,
    ) -> Result<Option<MetadataTables<'a>>, SourceError> {
        let Some(segment) = entry.metadata_segment.as_deref() else {
            return Ok(None);
        };
        Ok(Some(MetadataTables {
            database,
            segment,
            keys: entry.keys.as_ref(),
            rowids,
            records: database.prepare(
                "SELECT id, embedding_id, seq_id, created_at FROM embeddings WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )?,
            values: Values::scalars(database, schema.bools, depth)?,
            owners: Owners::new(database, schema.bools, owner_key)?,
            owner_key,
            arrays: match schema.arrays {
                true => Some(Values::arrays(database, depth)?),
                false => None,
            },
            record_ids: None,
        }))
    }

    /// Gives every record to `each`, in the order of insertion, until it breaks.
    pub fn read(
        &mut self,
        knows: &mut Knows<'_>,
        mut each: impl FnMut(StoredRecord) -> Result<ControlFlow<()>, SourceError>,
    ) -> Result<ControlFlow<()>, SourceError> {
        let rowids = match self.rowids.take() {
            Some(rowids) => Some(rowids),
            None => unless_corrupt(rowids_of(self.database, self.segment))?,
        };
        let rowids = match rowids {
            Some(rowids) => rowids,
            None => self.record_ids()?.ids.keys().copied().collect(),
        };
        self.owners.expect(rowids.len());
        for range in ranges(&rowids) {
            let mut rest = range;
            while !rest.is_empty() {
                let flow = unless_corrupt(self.read_range(&mut rest, knows, &mut each))?;
                if flow.is_some_and(|flow| flow.is_break()) {
                    return Ok(ControlFlow::Break(()));
                }
                let (some, later) = rest.split_at(rest.len().min(ONE_BY_ONE));
                for rowid in some {
                    let row = self.read_one(*rowid, &rowids)?;
                    if each(row)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                rest = later;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives the records `rest`, which are one range, and removes from `rest` those that were given.
    fn read_range(
        &mut self,
        rest: &mut &[i64],
        knows: &mut Knows<'_>,
        each: &mut impl FnMut(StoredRecord) -> Result<ControlFlow<()>, SourceError>,
    ) -> Result<ControlFlow<()>, StatementError> {
        while !rest.is_empty() {
            if self.read_some(rest, knows, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// As [`MetadataTables::read_range`], but may stop early, after some records.
    fn read_some(
        &mut self,
        rest: &mut &[i64],
        knows: &mut Knows<'_>,
        each: &mut impl FnMut(StoredRecord) -> Result<ControlFlow<()>, SourceError>,
    ) -> Result<ControlFlow<()>, StatementError> {
        let (first, last) = first_and_last(rest);
        let failed = |error| self.database.statement_error(error);
        let mut records = self.records.query([first, last]).map_err(failed)?;
        let mut values = LazyCursor::new(&mut self.values);
        let mut owners = LazyCursor::new(&mut self.owners);
        let mut arrays = match &mut self.arrays {
            Some(arrays) => Some(arrays.range(first, last)?),
            None => None,
        };
        while let Some(row) = records.next().map_err(failed)? {
            let rowid: i64 = row.get(0).map_err(failed)?;
            match rest.first() {
                Some(wanted) if *wanted == rowid => {}
                // The index has a row that the table has not.
                Some(wanted) if *wanted < rowid => return Err(StatementError::Corrupt),
                _ => continue,
            }
            self.database.check_stop()?;
            let mut found = head(row).map_err(failed)?.ok_or(StatementError::Corrupt)?;
            let more = |arrays: &mut Option<ValueCursor<'_>>| match arrays {
                Some(arrays) => arrays.all(rowid),
                None => Ok(KeyValues::new()),
            };
            if knows(&found.id) {
                values.pass();
                let Some(cursor) = owners.at(|table| table.range(rowid, last))? else {
                    return Ok(ControlFlow::Continue(()));
                };
                let owner = cursor.of(rowid)?;
                let mut more = more(&mut arrays)?;
                more.retain(|(key, _)| **key == *self.owner_key);
                fill(&mut found.content, owner, more, self.keys);
            } else {
                owners.pass();
                let Some(cursor) = values.at(|table| table.range(rowid, last))? else {
                    return Ok(ControlFlow::Continue(()));
                };
                let pairs = cursor.all(rowid)?;
                fill(&mut found.content, pairs, more(&mut arrays)?, self.keys);
            }
            *rest = rest.get(1..).unwrap_or(&[]);
            if each(found)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if rest.is_empty() {
            Ok(ControlFlow::Continue(()))
        } else {
            Err(StatementError::Corrupt)
        }
    }

    /// The record `rowid`, one of `rowids`, with what can be read of it.
    fn read_one(&mut self, rowid: i64, rowids: &[i64]) -> Result<StoredRecord, SourceError> {
        self.database.check_stop()?;
        let mut row = match unless_corrupt(self.read_head(rowid))?.flatten() {
            Some(row) => row,
            None => {
                let mut row = StoredRecord {
                    id: self
                        .record_ids()?
                        .ids
                        .get(&rowid)
                        .cloned()
                        .unwrap_or_default(),
                    sequence: i64::MIN,
                    ..StoredRecord::default()
                };
                row.mark_damaged(
                    "embeddings",
                    format!("row {rowid} of table embeddings cannot be read"),
                );
                row
            }
        };
        let pairs = self.values.of(rowid, rowids)?;
        let more = match &mut self.arrays {
            Some(arrays) => arrays.of(rowid, rowids)?,
            None => Some(KeyValues::new()),
        };
        if pairs.is_none() {
            row.mark_damaged(
                "embedding_metadata",
                "not all of its rows in table embedding_metadata can be read",
            );
        }
        if more.is_none() {
            row.mark_damaged(
                "embedding_metadata_array",
                "not all of its rows in table embedding_metadata_array can be read",
            );
        }
        let more = more.unwrap_or_default();
        match pairs {
            Some(pairs) => fill(&mut row.content, pairs, more, self.keys),
            None => {
                let owner = self.owners.of(rowid)?;
                fill(&mut row.content, owner, more, self.keys);
            }
        }
        Ok(row)
    }

    fn read_head(&mut self, rowid: i64) -> Result<Option<StoredRecord>, StatementError> {
        let failed = |error| self.database.statement_error(error);
        let mut rows = self.records.query([rowid, rowid]).map_err(failed)?;
        match rows.next().map_err(failed)? {
            Some(row) => head(row).map_err(failed),
            None => Ok(None),
        }
    }

    fn record_ids(&mut self) -> Result<&RecordIds, SourceError> {
        let record_ids = match self.record_ids.take() {
            Some(record_ids) => record_ids,
            None => RecordIds::read(self.database, self.segment)?,
        };
        Ok(self.record_ids.insert(record_ids))
    }

    /// Rows of `embeddings` that may be records of the collection, but cannot be read.
    pub fn unreadable(&self) -> &[UnreadableRows] {
        self.record_ids
            .as_ref()
            .map_or(&[], |record_ids| record_ids.unreadable.as_slice())
    }
}

/// What `embeddings` has of a record; `None` if it is not what Chroma writes.
fn head(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<StoredRecord>> {
    let id = row.get_ref(1)?;
    let Ok(sequence) = sequence(row.get_ref(2)?) else {
        return Ok(None);
    };
    Ok((!is_damaged_text(id)).then(|| StoredRecord {
        id: text(id).unwrap_or_default(),
        sequence: sequence.unwrap_or(i64::MIN),
        created_at: row.get_ref(3).ok().and_then(timestamp),
        ..StoredRecord::default()
    }))
}

/// Puts scalars and the elements of arrays into `content`.
fn fill(
    content: &mut Content,
    pairs: impl IntoIterator<Item = KeyValue>,
    elements: KeyValues,
    keys: Option<&BTreeSet<String>>,
) {
    let pairs = pairs.into_iter();
    content.metadata.reserve(pairs.size_hint().0);
    for (key, value) in pairs {
        if value.is_some() {
            content.put(key, value);
        }
    }
    for (key, list) in lists(elements) {
        // Rows of a deleted collection stay behind, and SQLite gives their rowids to other records.
        let known = keys.is_none_or(|keys| keys.contains(&*key));
        if known && !content.has(&key) {
            content.put(key, Some(list));
        }
    }
}

/// The rowids of the records of `entry` in `embeddings`, ascending; `None` if they cannot be read, or there is no metadata segment.
pub(crate) fn rowids(
    database: &Database,
    entry: &CatalogEntry,
) -> Result<Option<Vec<i64>>, SourceError> {
    match entry.metadata_segment.as_deref() {
        Some(segment) => unless_corrupt(rowids_of(database, segment)),
        None => Ok(None),
    }
}

fn rowids_of(database: &Database, segment: &str) -> Result<Vec<i64>, StatementError> {
    let failed = |error| database.statement_error(error);
    let mut statement = database.prepare("SELECT id FROM embeddings WHERE segment_id = ?1")?;
    let mut rows = statement.query([segment]).map_err(failed)?;
    let mut rowids = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        rowids.push(row.get::<_, i64>(0).map_err(failed)?);
        database.check_count(rowids.len())?;
    }
    rowids.sort_unstable();
    Ok(rowids)
}
