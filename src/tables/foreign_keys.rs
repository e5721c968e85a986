//! Foreign keys of other tables to a table, as DELETE meets them.

use pgrx::pg_sys;

use super::RunTable;
use super::run_table::KEYS;
use crate::error::Error;
use crate::spi;

/// A foreign key to a table, whatever it does on DELETE.
#[derive(Debug)]
pub struct ForeignKey {
    /// The referring table, as `regclass` shows it.
    pub shown: String,
    /// Its owner.
    pub owner: pg_sys::Oid,
    /// The referring table is the referred-to one, or a part of it.
    pub of_itself: bool,
    /// The referring table is the run's entity table, or a part of it.
    pub of_entities: bool,
    /// Rows may go while others refer to them, until the end of the transaction, which fails then.
    pub deferrable: bool,
    /// The columns referred to.
    pub referred: Vec<String>,
    /// The referring columns.
    pub referring: Vec<String>,
    /// Qualified and quoted name of the referring table, with ONLY where its children are not bound by the key.
    table: String,
    /// The condition that `t` refers to the texts `c1`, `c2` ... of `k`.
    condition: String,
}

impl ForeignKey {
    /// The keys to `table`, its partitions and its children. A key to a partitioned table is one key, not one for each
    /// partition.
    ///
    /// # Errors
    /// The server's own.
    pub fn all(table: &RunTable, entity: Option<&RunTable>) -> Result<Vec<ForeignKey>, Error> {
        let entity = entity.map_or(pg_sys::InvalidOid, |entity| entity.oid);
        spi::look_up(KEYS_TO, &[table.oid.into(), entity.into()], |row| {
            Ok(ForeignKey {
                shown: row.get(1)?.unwrap_or_default(),
                owner: row.get(2)?.unwrap_or(pg_sys::InvalidOid),
                of_itself: row.get(3)?.unwrap_or_default(),
                of_entities: row.get(4)?.unwrap_or_default(),
                deferrable: row.get(5)?.unwrap_or_default(),
                referred: row.get(6)?.unwrap_or_default(),
                referring: row.get(7)?.unwrap_or_default(),
                table: row.get(8)?.unwrap_or_default(),
                condition: row.get(9)?.unwrap_or_default(),
            })
        })
    }

    /// The query for the numbers of those rows `k` (number, and the referred-to columns as texts) that rows refer to. Its
    /// parameters are arrays of `k`'s columns.
    pub fn query(&self) -> String {
        format!(
            "SELECT k.number FROM {} WHERE EXISTS (SELECT FROM {} t WHERE {})",
            self.rows(1),
            self.table,
            self.condition
        )
    }

    /// The same for a key of `itself`: pairs of a row's number and the number of the row of [`KEYS`] that refers to it, NULL
    /// if that is not one of them or not as the run left it (with `force`: whatever it is like). The parameters of [`KEYS`] come first.
    pub fn query_within(&self, itself: &RunTable, force: bool) -> String {
        format!(
            "SELECT DISTINCT k.number, r.number FROM {} JOIN {} t ON {} LEFT JOIN {KEYS} ON {} AND {}",
            self.rows(6),
            self.table,
            self.condition,
            itself.lookup.condition,
            itself.untouched(force)
        )
    }

    /// Relation `k` of arrays given as the parameters from `first` on.
    fn rows(&self, first: usize) -> String {
        let columns = 1..=self.referred.len();
        let names: String = columns.clone().map(|n| format!(", c{n}")).collect();
        let places: String = columns.map(|n| format!(", ${}", first + n)).collect();
        format!("unnest(${first}{places}) AS k(number{names})")
    }
}

/// The operators are those that the key itself compares by, under the collation that its own checks take
/// (`ri_GenerateQualCollation` in ri_triggers.c: the referred-to column's if it is not deterministic).
const KEYS_TO: &str = "\
    WITH RECURSIVE tree(oid) AS ( \
      SELECT $1 \
      UNION \
      SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
        JOIN tree ON i.inhparent OPERATOR(pg_catalog.=) tree.oid), \
    entities(oid) AS ( \
      SELECT $2 \
      UNION \
      SELECT i.inhrelid FROM pg_catalog.pg_inherits i \
        JOIN entities ON i.inhparent OPERATOR(pg_catalog.=) entities.oid), \
    roots(oids) AS (SELECT ARRAY(SELECT tree.oid FROM tree)) \
    SELECT f.oid::pg_catalog.regclass::pg_catalog.text, f.relowner, \
           f.oid OPERATOR(pg_catalog.=) ANY (roots.oids), \
           f.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT entities.oid FROM entities)), \
           c.condeferrable AND c.confdeltype OPERATOR(pg_catalog.=) 'a', parts.referred, parts.referring, \
           CASE WHEN f.relkind OPERATOR(pg_catalog.=) 'p' THEN '' ELSE 'ONLY ' END \
             OPERATOR(pg_catalog.||) pg_catalog.format('%I.%I', n.nspname, f.relname), \
           parts.condition \
      FROM roots \
      JOIN pg_catalog.pg_constraint c \
        ON c.contype OPERATOR(pg_catalog.=) 'f' AND c.confrelid OPERATOR(pg_catalog.=) ANY (roots.oids) \
      JOIN pg_catalog.pg_class f ON f.oid OPERATOR(pg_catalog.=) c.conrelid \
      JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.relnamespace \
     CROSS JOIN LATERAL ( \
           SELECT pg_catalog.array_agg(theirs.attname::pg_catalog.text ORDER BY u.n) AS referred, \
                  pg_catalog.array_agg(ours.attname::pg_catalog.text ORDER BY u.n) AS referring, \
                  pg_catalog.string_agg(pg_catalog.format( \
                    '(k.c%s::%I.%I%s%s OPERATOR(%I.%s) t.%I)', u.n, ts.nspname, ty.typname, \
                    CASE WHEN l.typtype OPERATOR(pg_catalog.<>) 'p' \
                         THEN pg_catalog.format('::%I.%I', ls.nspname, l.typname) END, \
                    CASE WHEN theirs.attcollation OPERATOR(pg_catalog.<>) 0 \
                         THEN pg_catalog.format(' COLLATE %I.%I', s.nspname, x.collname) END, \
                    m.nspname, o.oprname, ours.attname), ' AND ' ORDER BY u.n) AS condition \
             FROM unnest(c.conkey, c.confkey, c.conpfeqop) WITH ORDINALITY AS u(ours, theirs, operator, n) \
             JOIN pg_catalog.pg_attribute ours ON ours.attrelid OPERATOR(pg_catalog.=) c.conrelid \
              AND ours.attnum OPERATOR(pg_catalog.=) u.ours \
             JOIN pg_catalog.pg_attribute theirs ON theirs.attrelid OPERATOR(pg_catalog.=) c.confrelid \
              AND theirs.attnum OPERATOR(pg_catalog.=) u.theirs \
             JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.operator \
             JOIN pg_catalog.pg_namespace m ON m.oid OPERATOR(pg_catalog.=) o.oprnamespace \
             JOIN pg_catalog.pg_type l ON l.oid OPERATOR(pg_catalog.=) o.oprleft \
             JOIN pg_catalog.pg_namespace ls ON ls.oid OPERATOR(pg_catalog.=) l.typnamespace \
             JOIN pg_catalog.pg_type ty ON ty.oid OPERATOR(pg_catalog.=) theirs.atttypid \
             JOIN pg_catalog.pg_namespace ts ON ts.oid OPERATOR(pg_catalog.=) ty.typnamespace \
             LEFT JOIN pg_catalog.pg_collation p ON p.oid OPERATOR(pg_catalog.=) theirs.attcollation \
             LEFT JOIN pg_catalog.pg_collation x ON x.oid OPERATOR(pg_catalog.=) \
                  CASE WHEN p.collisdeterministic AND ours.attcollation OPERATOR(pg_catalog.<>) 0 \
                       THEN ours.attcollation ELSE theirs.attcollation END \
             LEFT JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) x.collnamespace) parts \
     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint parent \
                        WHERE parent.oid OPERATOR(pg_catalog.=) c.conparentid \
                          AND parent.confrelid OPERATOR(pg_catalog.=) ANY (roots.oids)) \
     ORDER BY 1, c.oid";
