//! What a run writes into `run_rows`: blocks of rows.

use pgrx::pg_sys;
use vector_migrate_core::encode::{ArrayImage, ColumnType, TupleBuffer};
use vector_migrate_core::pipeline::Identity;
use vector_migrate_core::reason::Rejection;

use super::follow::{Followers, Move};
use super::table::{array_of, too_long, write};
use crate::error::Error;
use crate::tables::Target;

const TEXTS: ColumnType = array_of(pg_sys::BuiltinOid::TEXTOID);
const INTEGERS: ColumnType = array_of(pg_sys::BuiltinOid::INT4OID);
const XIDS: ColumnType = array_of(pg_sys::BuiltinOid::XIDOID);

/// The columns of `run_rows`, as rows fill them.
const COLUMNS: [(&str, ColumnType); 12] = [
    ("run_id", ColumnType::Int8),
    ("block_no", ColumnType::Int8),
    ("target", ColumnType::Oid),
    ("collection", ColumnType::Text),
    ("source", ColumnType::Text),
    ("collection_key", ColumnType::Text),
    ("keys", TEXTS),
    ("records", TEXTS),
    ("users", TEXTS),
    ("entities", INTEGERS),
    ("xids", XIDS),
    ("before", TEXTS),
];

/// Rows in one block: enough to make a row's share of a block's cost small, few enough for a rollback to
/// undo a block at once.
const BLOCK_ROWS: usize = 4_000;
/// A block is closed beyond this size, which overwritten rows may reach early.
const BLOCK_BYTES: usize = 8 << 20;

/// What an `integer` can count.
const MOST_ENTITIES: usize = 0x7FFF_FFFF;

/// A content row that the run wrote.
#[derive(Debug)]
pub struct WrittenRow<'a> {
    /// The content row's id, as its column spells it.
    pub key: &'a str,
    /// The record's id, where the key has another.
    pub record: &'a str,
    /// The content row's owner.
    pub user: Option<&'a str>,
    /// Entity rows that were inserted with it.
    pub entities: usize,
    /// `xmin` of what was written.
    pub xid: u32,
    /// For a row that was overwritten: its `xmin`, and the JSON object of `row` (each column as text) and
    /// `entities` (its entity rows, likewise).
    pub before: Option<(&'a str, &'a str)>,
}

/// A collection as the run writes it down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunCollection {
    /// The name that its rows have.
    pub name: String,
    /// The id that Chroma gave it.
    pub source: String,
    /// What the table's key has for it, if it has it.
    pub key: String,
}

/// A block under construction.
#[derive(Debug)]
struct NewBlock {
    keys: ArrayImage,
    records: ArrayImage,
    users: ArrayImage,
    entities: ArrayImage,
    has_entities: bool,
    xids: ArrayImage,
    before: ArrayImage,
}

impl Default for NewBlock {
    fn default() -> NewBlock {
        let array = |ty: pg_sys::Oid| ArrayImage::new(ty.into());
        NewBlock {
            keys: array(pg_sys::TEXTOID),
            records: array(pg_sys::TEXTOID),
            users: array(pg_sys::TEXTOID),
            entities: array(pg_sys::INT4OID),
            has_entities: false,
            xids: array(pg_sys::XIDOID),
            before: array(pg_sys::TEXTOID),
        }
    }
}

/// The ledger of a run that is going on. What is added is in the table after [`Journal::close`].
#[derive(Debug)]
pub struct Journal {
    run: i64,
    target: pg_sys::Oid,
    with_users: bool,
    /// The keys are not the records' ids.
    with_records: bool,
    collection: RunCollection,
    inserted: NewBlock,
    overwritten: NewBlock,
    /// Blocks that are whole and not in the table yet, as tuples: a store may have very many collections, each with blocks of its
    /// own.
    whole: Vec<u8>,
    /// Blocks of the run, these included.
    blocks: i64,
    /// Rows of earlier runs that the load that goes on overwrites.
    moves: Vec<Move>,
    /// Entries of earlier runs whose rows this run overwrites; `None` where `xmin` tells nothing.
    followers: Option<Followers>,
}

impl Journal {
    /// The journal of `run`, which fills `target` and has written `blocks` blocks before.
    pub fn new((run, blocks): (i64, i64), target: &Target) -> Journal {
        let Target { oid, key, .. } = target;
        Journal {
            run,
            target: *oid,
            with_users: key.user.is_some(),
            with_records: target.identity != Identity::Record,
            collection: RunCollection::default(),
            inserted: NewBlock::default(),
            overwritten: NewBlock::default(),
            whole: Vec::new(),
            blocks,
            moves: Vec::new(),
            followers: (target.versioned)
                .then(|| Followers::new(run, *oid, key.collection.is_some())),
        }
    }

    /// The run.
    pub fn run(&self) -> i64 {
        self.run
    }

    /// Adds a row of `collection`.
    ///
    /// # Errors
    /// The server's own.
    pub fn add(&mut self, collection: &RunCollection, entry: &WrittenRow<'_>) -> Result<(), Error> {
        if self.collection != *collection {
            self.end_blocks()?;
            self.collection = collection.clone();
        }
        let block = match entry.before {
            None => &mut self.inserted,
            Some(_) => &mut self.overwritten,
        };
        block
            .push(entry, self.with_users, self.with_records)
            .map_err(too_long)?;
        if block.keys.len() >= BLOCK_ROWS || block.before.bytes() >= BLOCK_BYTES {
            self.end_blocks()?;
        }
        if let (Some(_), Some((before, _))) = (&self.followers, entry.before) {
            self.moves.push(Move {
                collection: collection.name.clone(),
                key: entry.key.to_owned(),
                user: entry.user.filter(|_| self.with_users).map(str::to_owned),
                from: before.to_owned(),
                to: entry.xid.to_string(),
            });
        }
        Ok(())
    }

    /// The rows added are in their tables to stay, as far as the transaction is.
    ///
    /// # Errors
    /// The server's own.
    pub fn settle(&mut self) -> Result<(), Error> {
        let Some(followers) = &mut self.followers else {
            return Ok(());
        };
        for moved in self.moves.drain(..) {
            followers.push(moved)?;
        }
        Ok(())
    }

    /// Forgets the rows added since [`Journal::flush`]: the subtransaction that they and their blocks were written in is taken
    /// back.
    pub fn forget(&mut self) {
        self.inserted = NewBlock::default();
        self.overwritten = NewBlock::default();
        self.whole.clear();
        self.moves.clear();
    }

    /// Writes down what is not written yet; the table gets no more rows. Gives the number of blocks of the run.
    ///
    /// # Errors
    /// The server's own.
    pub fn close(mut self) -> Result<i64, Error> {
        self.flush()?;
        self.settle()?;
        if let Some(followers) = &mut self.followers {
            followers.flush()?;
        }
        Ok(self.blocks)
    }

    /// Writes the blocks that are whole, and those that were begun.
    ///
    /// # Errors
    /// The server's own.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.end_blocks()?;
        self.write()
    }

    /// Ends the blocks that were begun; writes them with others, when these are enough.
    fn end_blocks(&mut self) -> Result<(), Error> {
        for block in [
            std::mem::take(&mut self.inserted),
            std::mem::take(&mut self.overwritten),
        ] {
            if !block.keys.is_empty() {
                let before = std::mem::take(&mut self.whole);
                self.whole = self.tuple(&block, before).map_err(too_long)?;
                self.blocks += 1;
            }
        }
        match self.whole.len() >= BLOCK_BYTES {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), Error> {
        let whole = std::mem::take(&mut self.whole);
        match whole.is_empty() {
            true => Ok(()),
            false => write("vector_migrate.run_rows", &COLUMNS, whole),
        }
    }

    /// Appends the tuple of a block to `before`.
    fn tuple(&self, block: &NewBlock, before: Vec<u8>) -> Result<Vec<u8>, Rejection> {
        let mut out = TupleBuffer::behind(before);
        let array = |out: &mut TupleBuffer, there: bool, array: &ArrayImage| {
            if there {
                return out.array(array);
            }
            out.null();
            Ok(())
        };
        out.begin(COLUMNS.len());
        out.field(&self.run.to_ne_bytes())?;
        out.field(&self.blocks.to_ne_bytes())?;
        out.field(&u32::from(self.target).to_ne_bytes())?;
        out.text(Some(&self.collection.name))?;
        out.text(Some(&self.collection.source))?;
        let key = &self.collection.key;
        out.text(
            Some(key)
                .filter(|key| **key != self.collection.name)
                .map(String::as_str),
        )?;
        array(&mut out, true, &block.keys)?;
        array(&mut out, self.with_records, &block.records)?;
        array(&mut out, self.with_users, &block.users)?;
        array(&mut out, block.has_entities, &block.entities)?;
        array(&mut out, true, &block.xids)?;
        array(&mut out, !block.before.is_empty(), &block.before)?;
        Ok(out.into_bytes())
    }
}

impl NewBlock {
    fn push(
        &mut self,
        entry: &WrittenRow<'_>,
        with_users: bool,
        with_records: bool,
    ) -> Result<(), Rejection> {
        self.keys.push_text(entry.key)?;
        if with_records {
            self.records.push_text(entry.record)?;
        }
        match entry.user {
            Some(user) if with_users => self.users.push_text(user)?,
            None if with_users => self.users.push_null(),
            _ => {}
        }
        self.entities
            .push_word(u32::try_from(entry.entities.min(MOST_ENTITIES)).unwrap_or(0));
        self.has_entities |= entry.entities > 0;
        self.xids.push_word(entry.xid);
        match entry.before {
            Some((_, before)) => self.before.push_text(before),
            None => Ok(()),
        }
    }
}
