//! What a run writes into `run_rows`: blocks of rows, by COPY.

use pgrx::pg_sys;
use vector_migrate_core::encode::TupleBuffer;
use vector_migrate_core::reason::Rejection;

use super::array::ArrayBytes;
use super::failures::{table, too_long};
use super::follow::{Followers, Move};
use crate::error::Error;
use crate::sink::copy_tuples;

/// Rows in one block: enough to make a row's share of a block's cost small, few enough for a rollback to
/// undo a block at once.
const BLOCK_ROWS: usize = 4_000;
/// A block is closed beyond this size, which overwritten rows may reach early.
const BLOCK_BYTES: usize = 8 << 20;

/// A content row that the run wrote.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The content row's id, as its column spells it.
    pub key: &'a str,
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

/// A block under construction.
#[derive(Debug, Default)]
struct Block {
    keys: ArrayBytes,
    users: ArrayBytes,
    entities: ArrayBytes,
    has_entities: bool,
    xids: ArrayBytes,
    before: ArrayBytes,
}

/// The ledger of a run that is going on. What is added is in the table after [`Journal::close`].
#[derive(Debug)]
pub struct Journal {
    run: i64,
    target: pg_sys::Oid,
    with_users: bool,
    collection: String,
    inserted: Block,
    overwritten: Block,
    blocks: i64,
    /// Rows of earlier runs that the load that goes on overwrites.
    moves: Vec<Move>,
    /// Entries of earlier runs whose rows this run overwrites; `None` where `xmin` tells nothing.
    followers: Option<Followers>,
}

impl Journal {
    /// The journal of `run`, which fills `target`. `with_users`: the table's key has the user;
    /// `per_collection`: it has the collection; `versioned`: `xmin` tells rows that have changed.
    pub fn new(
        run: i64,
        target: pg_sys::Oid,
        with_users: bool,
        per_collection: bool,
        versioned: bool,
    ) -> Journal {
        Journal {
            run,
            target,
            with_users,
            collection: String::new(),
            inserted: Block::default(),
            overwritten: Block::default(),
            blocks: 0,
            moves: Vec::new(),
            followers: versioned.then(|| Followers::new(run, target, per_collection)),
        }
    }

    /// Adds a row of `collection`.
    ///
    /// # Errors
    /// The server's own.
    pub fn add(&mut self, collection: &str, entry: &Entry<'_>) -> Result<(), Error> {
        if self.collection != collection {
            self.flush()?;
            collection.clone_into(&mut self.collection);
        }
        let block = match entry.before {
            None => &mut self.inserted,
            Some(_) => &mut self.overwritten,
        };
        block.push(entry, self.with_users).map_err(too_long)?;
        if block.keys.len() >= BLOCK_ROWS || block.before.bytes() >= BLOCK_BYTES {
            self.flush()?;
        }
        if let (Some(_), Some((before, _))) = (&self.followers, entry.before) {
            self.moves.push(Move {
                collection: collection.to_owned(),
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
        self.inserted = Block::default();
        self.overwritten = Block::default();
        self.moves.clear();
    }

    /// Writes down what is not written yet; the run has no more rows.
    ///
    /// # Errors
    /// The server's own.
    pub fn close(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.settle()?;
        match &mut self.followers {
            Some(followers) => followers.flush(),
            None => Ok(()),
        }
    }

    /// Writes the blocks that were begun.
    ///
    /// # Errors
    /// The server's own.
    pub fn flush(&mut self) -> Result<(), Error> {
        for block in [
            std::mem::take(&mut self.inserted),
            std::mem::take(&mut self.overwritten),
        ] {
            if block.keys.len() > 0 {
                let tuple = self.tuple(&block).map_err(too_long)?;
                copy_tuples(
                    table("vector_migrate.run_rows")?,
                    &[
                        "run_id",
                        "block_no",
                        "target",
                        "collection",
                        "keys",
                        "users",
                        "entities",
                        "xids",
                        "before",
                    ],
                    std::iter::once(tuple.as_slice()),
                );
                self.blocks += 1;
            }
        }
        Ok(())
    }

    fn tuple(&self, block: &Block) -> Result<Vec<u8>, Rejection> {
        let mut out = TupleBuffer::new(9);
        let array = |out: &mut TupleBuffer, there: bool, array: &ArrayBytes, ty| {
            if there {
                return array.write(out, ty);
            }
            out.null();
            Ok(())
        };
        out.field(&self.run.to_be_bytes())?;
        out.field(&self.blocks.to_be_bytes())?;
        out.field(&u32::from(self.target).to_be_bytes())?;
        out.field(self.collection.as_bytes())?;
        array(&mut out, true, &block.keys, pg_sys::TEXTOID)?;
        array(&mut out, self.with_users, &block.users, pg_sys::TEXTOID)?;
        array(
            &mut out,
            block.has_entities,
            &block.entities,
            pg_sys::INT4OID,
        )?;
        array(&mut out, true, &block.xids, pg_sys::XIDOID)?;
        let overwritten = block.before.len() > 0;
        array(&mut out, overwritten, &block.before, pg_sys::TEXTOID)?;
        Ok(out.into_bytes())
    }
}

impl Block {
    fn push(&mut self, entry: &Entry<'_>, with_users: bool) -> Result<(), Rejection> {
        self.keys.push(Some(entry.key.as_bytes()))?;
        if with_users {
            self.users.push(entry.user.map(str::as_bytes))?;
        }
        let entities = i32::try_from(entry.entities).unwrap_or(i32::MAX);
        self.entities.push(Some(&entities.to_be_bytes()))?;
        self.has_entities |= entities > 0;
        self.xids.push(Some(&entry.xid.to_be_bytes()))?;
        match entry.before {
            Some((_, before)) => self.before.push(Some(before.as_bytes())),
            None => Ok(()),
        }
    }
}
