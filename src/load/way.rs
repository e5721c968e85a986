//! Which way rows take into a table.
//!
//! Directly go the rows of ordinary tables for which nothing is to be done before a row is in: COPY would do no more, and
//! reads each value anew. AFTER ROW triggers, and with them foreign keys and deferrable constraints, come after the rows.

use std::fmt;

use pgrx::{PgRelation, pg_sys};

use super::LoadColumn;
use crate::{lock, pg};

/// How rows go into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Directly, by the calls that COPY makes at its end.
    Direct,
    /// By INSERT, as the server plans it.
    Executor(Cause),
}

/// Why the executor has to see the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is a view or a foreign table.
    NoStorage,
    /// It is partitioned, or a partition.
    Partitioned,
    /// Another extension keeps its rows.
    Distributed,
    /// It has another access method than `heap`.
    AccessMethod,
    /// Its row-level security applies to the role.
    RowSecurity,
    /// It has rules for INSERT.
    Rules,
    /// It has triggers other than AFTER ROW.
    Triggers,
    /// It has generated columns.
    Generated,
    /// It has a column that rows do not bring, of a domain, or with a default that can see how far the rows have come.
    Defaults,
    /// The setting forbids the direct way.
    Setting,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::NoStorage => "it is a view or a foreign table",
            Cause::Partitioned => "it is partitioned or a partition",
            Cause::Distributed => "another extension keeps its rows",
            Cause::AccessMethod => "its access method is not heap",
            Cause::RowSecurity => "its row-level security applies",
            Cause::Rules => "it has rules for INSERT",
            Cause::Triggers => "it has triggers other than AFTER ROW",
            Cause::Generated => "it has generated columns",
            Cause::Defaults => {
                "it has volatile defaults, or domains among the columns that rows do not bring"
            }
            Cause::Setting => "vector_migrate.direct_load is off",
        })
    }
}

/// The way for rows of these columns into the table, for the current role. `distributed`: another extension keeps its rows.
/// `substituted`: columns that get numbers instead of their default. `allowed`: the direct way is.
///
/// # Errors
/// The server's own are raised.
pub fn choose(
    table: pg_sys::Oid,
    columns: &[LoadColumn],
    substituted: &[&str],
    distributed: bool,
    allowed: bool,
) -> Way {
    let relation = lock::open_for_writing(table);
    let filled = |name: &str| {
        columns.iter().any(|column| column.name == name) || substituted.contains(&name)
    };
    let cause = storage(&relation)
        .or(distributed.then_some(Cause::Distributed))
        .or(pg::row_security_applies(table).then_some(Cause::RowSecurity))
        .or_else(|| before_rows(&relation))
        .or_else(|| other_columns(&relation, filled))
        .or((!allowed).then_some(Cause::Setting));
    cause.map_or(Way::Direct, Way::Executor)
}

fn storage(relation: &PgRelation) -> Option<Cause> {
    const TABLE: u8 = pg_sys::RELKIND_RELATION;
    const PARTITIONED: u8 = pg_sys::RELKIND_PARTITIONED_TABLE;
    // SAFETY: RelationIncrementReferenceCount (relcache.c): an open relation's descriptors stay valid.
    let class = unsafe { &*relation.rd_rel };
    match class.relkind.cast_unsigned() {
        _ if class.relispartition => Some(Cause::Partitioned),
        PARTITIONED => Some(Cause::Partitioned),
        TABLE if class.relam == pg_sys::HEAP_TABLE_AM_OID => None,
        TABLE => Some(Cause::AccessMethod),
        _ => Some(Cause::NoStorage),
    }
}

/// What the server does before a row is in, or with a whole statement.
fn before_rows(relation: &PgRelation) -> Option<Cause> {
    // SAFETY: RelationIncrementReferenceCount (relcache.c): an open relation's descriptors stay valid; RelationBuildRuleLock
    // (relcache.c) gives numLocks pointers to rules.
    let (inserts, triggers) = unsafe {
        let rules = relation.rd_rules.as_ref().map_or(&[][..], |it| {
            std::slice::from_raw_parts(it.rules, usize::try_from(it.numLocks).unwrap_or(0))
        });
        let inserts = |rule: &*mut pg_sys::RewriteRule| {
            rule.as_ref()
                .is_some_and(|it| it.event == pg_sys::CmdType::CMD_INSERT)
        };
        (rules.iter().any(inserts), relation.trigdesc.as_ref())
    };
    if inserts {
        return Some(Cause::Rules);
    }
    let triggered = triggers.is_some_and(|it| {
        it.trig_insert_before_row
            || it.trig_insert_instead_row
            || it.trig_insert_before_statement
            || it.trig_insert_after_statement
            || it.trig_insert_new_table
    });
    triggered.then_some(Cause::Triggers)
}

/// What has to be computed for a row.
fn other_columns(relation: &PgRelation, filled: impl Fn(&str) -> bool) -> Option<Cause> {
    let there = relation.tuple_desc();
    let mut columns = there.iter().filter(|it| !it.attisdropped);
    columns.find_map(|column| {
        if column.attgenerated != 0 {
            return Some(Cause::Generated);
        }
        let plain = filled(column.name()) || fills_itself(relation, column);
        (!plain).then_some(Cause::Defaults)
    })
}

/// Whether a column that is left out gets NULL, or a default that cannot see how far the rows have come.
fn fills_itself(relation: &PgRelation, column: &pg_sys::FormData_pg_attribute) -> bool {
    // SAFETY: get_typtype (lsyscache.c) looks at the catalog, which knows a column's type.
    let kind = unsafe { pg_sys::get_typtype(column.atttypid) };
    // Its type may refuse NULL.
    if kind.cast_unsigned() == pg_sys::TYPTYPE_DOMAIN {
        return false;
    }
    // SAFETY: build_column_default (rewriteHandler.c) and the walk over its result (clauses.c) take a column of an open
    // relation; the expression is in the current memory context. BeginCopyFrom (copyfrom.c) asks the same.
    unsafe {
        let default = pg_sys::build_column_default(relation.as_ptr(), column.attnum.into());
        default.is_null() || !pg_sys::contain_volatile_functions_not_nextval(default)
    }
}
