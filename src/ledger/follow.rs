//! Entries of other runs follow rows that get a new `xmin` from us.
//!
//! A row is a run's as long as its `xmin` is the one that the ledger has. Where a later run overwrites a row
//! of an earlier one, or a rollback puts it back, the earlier entry follows to the new `xmin`, so that runs
//! can be undone in any order.

use pgrx::pg_sys;

use super::owner::as_owner;
use crate::error::Error;
use crate::settings;
use crate::spi;

/// Moves that are made at once: each pass reads all blocks of the table.
const AT_ONCE: usize = 100_000;

/// A row that has got another `xmin`.
#[derive(Debug)]
pub struct Move {
    /// The content row's collection.
    pub collection: String,
    /// The content row's id.
    pub key: String,
    /// The content row's owner, if the table's key has it.
    pub user: Option<String>,
    /// The `xmin` that it had.
    pub from: String,
    /// The `xmin` that it has.
    pub to: String,
}

/// Moves of rows of one table by one run or its rollback, collected.
#[derive(Debug)]
pub struct Followers {
    run: i64,
    target: pg_sys::Oid,
    per_collection: bool,
    moves: Vec<Move>,
}

impl Followers {
    /// Those of rows that `run`, or its rollback, changes in `target`; `per_collection`: the table's key
    /// keeps collections apart.
    pub fn new(run: i64, target: pg_sys::Oid, per_collection: bool) -> Followers {
        Followers {
            run,
            target,
            per_collection,
            moves: Vec::new(),
        }
    }

    /// Adds a move.
    ///
    /// # Errors
    /// The server's own.
    pub fn push(&mut self, moved: Move) -> Result<(), Error> {
        self.moves.push(moved);
        if self.moves.len() >= AT_ONCE {
            self.flush()?;
        }
        Ok(())
    }

    /// Lets the entries of other runs follow the moves so far.
    ///
    /// # Errors
    /// The server's own.
    pub fn flush(&mut self) -> Result<(), Error> {
        let moves = std::mem::take(&mut self.moves);
        if moves.is_empty() {
            return Ok(());
        }
        let mut columns = [const { Vec::new() }; 4];
        let mut users = Vec::with_capacity(moves.len());
        for moved in moves {
            users.push(moved.user);
            let parts = [moved.collection, moved.key, moved.from, moved.to];
            for (column, part) in columns.iter_mut().zip(parts) {
                column.push(part);
            }
        }
        let [collections, keys, from, to]: [Vec<String>; 4] = columns;
        let args = [
            self.run.into(),
            self.target.into(),
            self.per_collection.into(),
            collections.into(),
            keys.into(),
            users.into(),
            from.into(),
            to.into(),
        ];
        // Both sides are long: whatever the planner takes the ledger's size for, a hash join is right.
        let hashed = &[(c"enable_nestloop", c"off")];
        as_owner(|| settings::with(hashed, || spi::write(FOLLOW, &args)))?;
        Ok(())
    }
}

/// The users of a block without users are NULL on both sides.
const FOLLOW: &str = "\
    UPDATE vector_migrate.run_rows o SET xids = n.xids \
      FROM (SELECT e.run_id, e.block_no, \
                   pg_catalog.array_agg(coalesce(m.moved_to::pg_catalog.xid, e.xid) ORDER BY e.n) AS xids \
              FROM (SELECT b.run_id, b.block_no, b.collection, u.key, u.user_id, u.xid, u.n \
                      FROM vector_migrate.run_rows b, \
                           unnest(b.keys, b.users, b.xids) WITH ORDINALITY AS u(key, user_id, xid, n) \
                     WHERE b.run_id OPERATOR(pg_catalog.<>) $1 \
                       AND b.target OPERATOR(pg_catalog.=) $2) e \
              LEFT JOIN unnest($4, $5, $6, $7, $8) AS m(collection, key, user_id, moved_from, moved_to) \
                ON m.key OPERATOR(pg_catalog.=) e.key \
               AND m.moved_from::pg_catalog.xid OPERATOR(pg_catalog.=) e.xid \
               AND (m.collection OPERATOR(pg_catalog.=) e.collection OR NOT $3) \
               AND (m.user_id OPERATOR(pg_catalog.=) e.user_id \
                    OR m.user_id IS NULL AND e.user_id IS NULL) \
             GROUP BY e.run_id, e.block_no \
            HAVING pg_catalog.count(m.key) OPERATOR(pg_catalog.>) 0) n \
     WHERE o.run_id OPERATOR(pg_catalog.=) n.run_id AND o.block_no OPERATOR(pg_catalog.=) n.block_no";
