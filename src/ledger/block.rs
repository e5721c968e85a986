//! Blocks of `run_rows` as a rollback reads and shrinks them.

use pgrx::pg_sys;

use super::owner::as_owner;
use crate::error::Error;
use crate::spi;
use crate::tables::RunKeys;

/// A row of `run_rows`.
#[derive(Debug)]
pub struct Block {
    /// Its number within the run.
    pub number: i64,
    /// The collection of all its rows.
    pub collection: String,
    /// What the table's key has for it.
    collection_key: String,
    /// The rows' keys.
    pub keys: Vec<String>,
    users: Option<Vec<Option<String>>>,
    entities: Option<Vec<i32>>,
    xids: Vec<String>,
    before: Option<Vec<String>>,
}

impl Block {
    /// The first block of `run` about the table `target` after block `after`.
    ///
    /// # Errors
    /// The server's own.
    pub fn next(run: i64, target: pg_sys::Oid, after: i64) -> Result<Option<Block>, Error> {
        as_owner(|| {
            spi::read_one(
                "SELECT block_no, collection, coalesce(collection_key, collection), keys, users, entities, \
                        xids::pg_catalog.text[], before \
                   FROM vector_migrate.run_rows \
                  WHERE run_id OPERATOR(pg_catalog.=) $1 AND block_no OPERATOR(pg_catalog.>) $2 \
                    AND target OPERATOR(pg_catalog.=) $3 \
                  ORDER BY block_no LIMIT 1",
                &[run.into(), after.into(), target.into()],
                |row| {
                    Ok(Block {
                        number: row.get(1)?.unwrap_or_default(),
                        collection: row.get(2)?.unwrap_or_default(),
                        collection_key: row.get(3)?.unwrap_or_default(),
                        keys: row.get(4)?.unwrap_or_default(),
                        users: row.get(5)?,
                        entities: row.get(6)?,
                        xids: row.get(7)?.unwrap_or_default(),
                        before: row.get(8)?,
                    })
                },
            )
        })
    }

    /// Every row's place.
    pub fn places(&self) -> Vec<usize> {
        (0..self.keys.len()).collect()
    }

    /// The rows were overwritten, not inserted.
    pub fn overwritten(&self) -> bool {
        self.before.is_some()
    }

    /// Those of `places` whose rows came with entity rows.
    pub fn with_entities(&self, places: &[usize]) -> Vec<usize> {
        let entities = self.entities.as_deref().unwrap_or_default();
        let some = |place: &usize| entities.get(*place).is_some_and(|&count| count > 0);
        places.iter().copied().filter(some).collect()
    }

    /// The keys of the rows at `places`, numbered by place.
    pub fn keys(&self, places: &[usize]) -> RunKeys {
        RunKeys {
            collection: self.collection_key.clone(),
            number: places.iter().map(|&place| number(place)).collect(),
            key: pick(&self.keys, places),
            user: self.users.as_ref().map(|users| pick(users, places)),
            xid: pick(&self.xids, places),
        }
    }

    /// What was at `places` before.
    pub fn before(&self, places: &[usize]) -> Vec<String> {
        pick(self.before.as_deref().unwrap_or_default(), places)
    }

    /// Leaves the rows at `places` in the block, in their order; without any the block is gone.
    ///
    /// # Errors
    /// The server's own.
    pub fn shrink(&self, run: i64, places: &[usize]) -> Result<(), Error> {
        if places.len() == self.keys.len() {
            return Ok(());
        }
        // Array subscripts begin at 1.
        let left: Vec<i64> = places.iter().map(|&place| number(place) + 1).collect();
        let sql = if left.is_empty() {
            "DELETE FROM vector_migrate.run_rows \
              WHERE run_id OPERATOR(pg_catalog.=) $1 AND block_no OPERATOR(pg_catalog.=) $2 \
                AND $3 IS NOT NULL"
        } else {
            SHRINK
        };
        as_owner(|| spi::write(sql, &[run.into(), self.number.into(), left.into()]))?;
        Ok(())
    }
}

/// An array that is NULL stays NULL.
const SHRINK: &str = "\
    UPDATE vector_migrate.run_rows b \
       SET (keys, records, users, entities, xids, before) = \
           (SELECT pg_catalog.array_agg(u.key ORDER BY u.n), \
                   CASE WHEN b.records IS NOT NULL THEN pg_catalog.array_agg(u.record ORDER BY u.n) END, \
                   CASE WHEN b.users IS NOT NULL THEN pg_catalog.array_agg(u.user_id ORDER BY u.n) END, \
                   CASE WHEN b.entities IS NOT NULL THEN pg_catalog.array_agg(u.entities ORDER BY u.n) END, \
                   pg_catalog.array_agg(u.xid ORDER BY u.n), \
                   CASE WHEN b.before IS NOT NULL THEN pg_catalog.array_agg(u.before ORDER BY u.n) END \
              FROM unnest(b.keys, b.records, b.users, b.entities, b.xids, b.before) WITH ORDINALITY \
                   AS u(key, record, user_id, entities, xid, before, n) \
             WHERE u.n OPERATOR(pg_catalog.=) ANY ($3)) \
     WHERE b.run_id OPERATOR(pg_catalog.=) $1 AND b.block_no OPERATOR(pg_catalog.=) $2";

/// A place as SQL's integer.
fn number(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// The places that SQL's integers name.
pub fn places(numbers: Vec<i64>) -> impl Iterator<Item = usize> {
    numbers
        .into_iter()
        .filter_map(|number| usize::try_from(number).ok())
}

fn pick<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    let at = |place: &usize| all.get(*place).cloned();
    places.iter().filter_map(at).collect()
}
