//! What a table does with rows beyond keeping them.

use pgrx::pg_sys;

use crate::error::Error;
use crate::spi;

/// Whether the table has triggers that somebody made: not those of constraints.
///
/// # Errors
/// The server's own.
pub fn has_triggers(oid: pg_sys::Oid) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger \
                         WHERE tgrelid OPERATOR(pg_catalog.=) $1 AND NOT tgisinternal)",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.flatten().unwrap_or(true))
}

/// Columns whose rules a run looks at by itself.
pub struct OwnColumns<'a> {
    /// The key's, whose indexes it knows.
    pub id: &'a str,
    /// Those whose foreign keys it follows: the owner's, the parent's, an entity's content.
    pub referring: Vec<String>,
}

/// Whether the table refuses or changes rows in ways that a plain copy of it would not show: triggers, rules for INSERT ('3' is
/// CMD_INSERT in nodes.h), foreign keys other than those that are looked at by themselves, unique indexes other than the key's, checks of system
/// columns (their numbers are below zero), as of the table that a row is in.
///
/// # Errors
/// The server's own.
pub fn has_rules_of_its_own(oid: pg_sys::Oid, own: &OwnColumns<'_>) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger \
                         WHERE tgrelid OPERATOR(pg_catalog.=) $1 AND NOT tgisinternal) \
             OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w \
                         WHERE w.ev_class OPERATOR(pg_catalog.=) $1 \
                           AND w.ev_type OPERATOR(pg_catalog.=) '3') \
             OR EXISTS (SELECT FROM pg_catalog.pg_constraint c \
                         WHERE c.conrelid OPERATOR(pg_catalog.=) $1 \
                           AND c.contype OPERATOR(pg_catalog.=) 'c' \
                           AND c.conbin::pg_catalog.text OPERATOR(pg_catalog.~~) '%:varattno -%') \
             OR EXISTS (SELECT FROM pg_catalog.pg_constraint c \
                         WHERE c.conrelid OPERATOR(pg_catalog.=) $1 \
                           AND c.contype OPERATOR(pg_catalog.=) 'f' \
                           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a \
                                 WHERE a.attrelid OPERATOR(pg_catalog.=) $1 \
                                   AND a.attnum OPERATOR(pg_catalog.=) ANY (c.conkey) \
                                   AND a.attname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.name[]))) \
             OR EXISTS (SELECT FROM pg_catalog.pg_index i \
                         WHERE i.indrelid OPERATOR(pg_catalog.=) $1 \
                           AND (i.indisunique OR i.indisexclusion) \
                           AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR NOT EXISTS ( \
                                 SELECT FROM pg_catalog.pg_attribute a \
                                  WHERE a.attrelid OPERATOR(pg_catalog.=) $1 \
                                    AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[]) \
                                    AND a.attname OPERATOR(pg_catalog.=) $3)))",
        &[oid.into(), own.referring.clone().into(), own.id.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.flatten().unwrap_or(true))
}
