//! An existing table, as far as filling it goes.

use pgrx::pg_sys;
use vector_migrate_core::encode::{
    Column, ColumnType, ContentColumn, EntityColumn, TableColumn, VectorType,
};

use super::attributes::{Attribute, attributes, column_type};
use super::privileges::check_insert_privilege;
use super::versions::{is_on_citus, is_versioned};
use super::{KeyPart, Pgvector, Place, Target, UserTable};
use crate::error::Error;
use crate::load::SequenceSubstitute;
use crate::{pg, spi};

/// Describes the content table at `place`.
///
/// # Errors
/// [`Error::NotATable`], [`Error::MissingColumn`], [`Error::ColumnType`], [`Error::Unfillable`],
/// [`Error::NoPrivilege`].
pub fn describe_content(
    place: &Place,
    oid: pg_sys::Oid,
    pgvector: &Pgvector,
) -> Result<Target<ContentColumn>, Error> {
    let (mut target, attributes) = describe::<ContentColumn>(place, oid, pgvector)?;
    target.key = key_of_table(oid, target.has(ContentColumn::ChromaCollection))?;
    let user = attributes
        .iter()
        .find(|a| a.name == ContentColumn::UserId.name());
    if let Some(user) = user {
        target.users = users(oid, user.number)?;
        target.user_required = user.not_null;
    }
    Ok(target)
}

/// Describes the entity table at `place`.
///
/// # Errors
/// As [`describe_content`].
pub fn describe_entity(
    place: &Place,
    oid: pg_sys::Oid,
    pgvector: &Pgvector,
) -> Result<Target<EntityColumn>, Error> {
    Ok(describe::<EntityColumn>(place, oid, pgvector)?.0)
}

fn describe<C: TableColumn>(
    place: &Place,
    oid: pg_sys::Oid,
    pgvector: &Pgvector,
) -> Result<(Target<C>, Vec<Attribute>), Error> {
    let name = place.qualified();
    let kind = relation_kind(oid)?;
    check_is_fillable(&kind, place)?;
    let attributes = attributes(oid)?;
    let mut columns = Vec::new();
    let mut types = Vec::new();
    let mut lengths = Vec::new();
    let mut vector = VectorType {
        half: false,
        dimension: None,
    };
    let mut vector_required = false;
    for &column in C::ALL {
        let found = attributes
            .iter()
            .find(|a| a.name == column.name() && !a.generated);
        let Some(found) = found else {
            if column.required() {
                return Err(Error::MissingColumn {
                    target: name,
                    column: column.name(),
                });
            }
            continue;
        };
        let ty = column_type(found, pgvector).filter(|&ty| column.kind().fits(ty));
        let Some(ty) = ty else {
            return Err(Error::ColumnType {
                target: name,
                column: column.name(),
                has: found.shown.clone(),
                wanted: column.kind().wanted(),
            });
        };
        if column == C::EMBEDDING {
            let dimension = u32::try_from(found.typmod).ok().filter(|&n| n > 0);
            vector = VectorType {
                half: ty == ColumnType::HalfVec,
                dimension,
            };
            vector_required = found.not_null;
        }
        columns.push(Column { column, ty });
        types.push(found.qualified.clone());
        lengths.push(found.length());
    }
    let filled = |a: &&Attribute| C::ALL.iter().any(|column| column.name() == a.name);
    for attribute in attributes.iter().filter(|a| a.not_null && !filled(a)) {
        if !attribute.has_default && !attribute.generated {
            return Err(Error::Unfillable {
                target: name,
                column: attribute.name.clone(),
            });
        }
    }
    let defaulted = attributes
        .iter()
        .filter(|a| a.not_null && !a.generated && !filled(a))
        .map(|a| a.name.clone())
        .collect();
    let unfilled: Vec<&Attribute> = attributes
        .iter()
        .filter(|a| a.sequenced && !filled(a))
        .collect();
    let substitute = |it: &Attribute| SequenceSubstitute::new(&it.name, it.base);
    let substitutes: Vec<_> = unfilled.iter().filter_map(|it| substitute(it)).collect();
    let draws_numbers = substitutes.len() < unfilled.len() || has_sequences_below(oid)?;
    check_insert_privilege(
        oid,
        &name,
        columns.iter().map(|column| column.column.name()),
    )?;
    let distributed = distributed_by(oid)?;
    let ordinary = kind == "r" && distributed.is_none() && !pg::row_security_applies(oid);
    let target = Target {
        oid,
        name,
        columns,
        types,
        lengths,
        vector_column: C::EMBEDDING.name().to_owned(),
        vector,
        vector_required,
        user_required: false,
        distributed: distributed.is_some(),
        created: false,
        versioned: is_versioned(oid)?,
        key: vec![KeyPart::Id],
        users: None,
        defaulted,
        substitutes,
        draws_numbers,
        overwritable: distributed != Some(Distributor::Citus),
        copyable: ordinary && !has_rules_of_its_own(oid)?,
    };
    Ok((target, attributes))
}

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

/// Whether the table refuses or changes rows in ways that a plain copy of it would not show: triggers, rules for INSERT ('3' is
/// CMD_INSERT in nodes.h), foreign keys other than that of `user_id` or to the content row, unique indexes other than the key's, checks of system
/// columns (their numbers are below zero), as of the table that a row is in.
fn has_rules_of_its_own(oid: pg_sys::Oid) -> Result<bool, Error> {
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
                                   AND a.attname OPERATOR(pg_catalog.=) \
                                       ANY (ARRAY['user_id', 'content_id']))) \
             OR EXISTS (SELECT FROM pg_catalog.pg_index i \
                         WHERE i.indrelid OPERATOR(pg_catalog.=) $1 \
                           AND (i.indisunique OR i.indisexclusion) \
                           AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL OR NOT EXISTS ( \
                                 SELECT FROM pg_catalog.pg_attribute a \
                                  WHERE a.attrelid OPERATOR(pg_catalog.=) $1 \
                                    AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[]) \
                                    AND a.attname OPERATOR(pg_catalog.=) 'id')))",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.flatten().unwrap_or(true))
}

fn relation_kind(oid: pg_sys::Oid) -> Result<String, Error> {
    let kind = spi::look_up_one(
        "SELECT relkind::pg_catalog.text FROM pg_catalog.pg_class \
          WHERE oid OPERATOR(pg_catalog.=) $1",
        &[oid.into()],
        |row| row.get::<String>(1),
    )?;
    Ok(kind.flatten().unwrap_or_default())
}

fn check_is_fillable(kind: &str, place: &Place) -> Result<(), Error> {
    let detail = match kind {
        "r" | "p" | "f" | "v" => None,
        "m" => Some("It is a materialized view."),
        "S" => Some("It is a sequence."),
        "i" | "I" => Some("It is an index."),
        "c" => Some("It is a composite type."),
        _ => Some("Rows cannot be put into it."),
    };
    let detail = match place.schema.as_str() {
        "vector_migrate" | "pg_catalog" | "information_schema" => {
            Some("It belongs to the system or to this extension.")
        }
        _ => detail,
    };
    match detail {
        Some(detail) => Err(Error::NotATable {
            target: place.qualified(),
            detail: detail.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Whether the relation is a view over a table with a column that takes numbers from a sequence.
fn has_sequences_below(oid: pg_sys::Oid) -> Result<bool, Error> {
    let found = spi::look_up_one(
        "WITH RECURSIVE below(oid) AS ( \
           SELECT c.oid FROM pg_catalog.pg_class c \
            WHERE c.oid OPERATOR(pg_catalog.=) $1 AND c.relkind OPERATOR(pg_catalog.=) 'v' \
           UNION \
           SELECT d.refobjid FROM below \
             JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) below.oid \
             JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) r.oid \
              AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
              AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass) \
         SELECT EXISTS (SELECT FROM below \
           JOIN pg_catalog.pg_depend d ON d.refobjid OPERATOR(pg_catalog.=) below.oid \
            AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
            AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
           JOIN pg_catalog.pg_class q ON q.oid OPERATOR(pg_catalog.=) d.objid \
            AND q.relkind OPERATOR(pg_catalog.=) 'S')",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.flatten().unwrap_or(true))
}

/// An extension that keeps a table's rows elsewhere by hooking the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distributor {
    /// Its distributed tables: rows are on other servers.
    Citus,
    /// Its hypertables, which block inserts below the planner by a trigger.
    Timescale,
}

fn distributed_by(oid: pg_sys::Oid) -> Result<Option<Distributor>, Error> {
    let hypertable = spi::look_up_one(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger \
                         WHERE tgrelid OPERATOR(pg_catalog.=) $1 \
                           AND tgname OPERATOR(pg_catalog.=) 'ts_insert_blocker')",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    if hypertable.flatten() == Some(true) {
        return Ok(Some(Distributor::Timescale));
    }
    Ok(is_on_citus(oid)?.then_some(Distributor::Citus))
}

/// The columns of the smallest unique index made of our key columns, the primary key first; without one,
/// what tells records apart in Chroma: collection (if the table has it) and id.
pub fn key_of_table(oid: pg_sys::Oid, has_collection: bool) -> Result<Vec<KeyPart>, Error> {
    let indexes = spi::look_up(
        "SELECT ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a \
                       WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid \
                         AND a.attnum OPERATOR(pg_catalog.=) ANY ((i.indkey::pg_catalog.int2[]) \
                             [0:i.indnkeyatts OPERATOR(pg_catalog.-) 1]) \
                       ORDER BY a.attname) \
           FROM pg_catalog.pg_index i \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisunique AND i.indisvalid \
            AND i.indpred IS NULL AND i.indexprs IS NULL \
          ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid",
        &[oid.into()],
        |row| row.get::<Vec<String>>(1),
    )?;
    for index in indexes.into_iter().flatten() {
        let parts: Option<Vec<KeyPart>> = index
            .iter()
            .map(|column| match column.as_str() {
                "chroma_collection" => Some(KeyPart::Collection),
                "id" => Some(KeyPart::Id),
                "user_id" => Some(KeyPart::User),
                _ => None,
            })
            .collect();
        if let Some(parts) = parts.filter(|parts| parts.contains(&KeyPart::Id)) {
            return Ok(parts);
        }
    }
    Ok(if has_collection {
        vec![KeyPart::Collection, KeyPart::Id]
    } else {
        vec![KeyPart::Id]
    })
}

/// The table that a foreign key on `user_id` alone refers to.
fn users(oid: pg_sys::Oid, user_id: i16) -> Result<Option<UserTable>, Error> {
    let found = spi::look_up_one(
        "SELECT pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(r.relname), \
                pg_catalog.quote_ident(a.attname), \
                pg_catalog.quote_ident(s.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(t.typname) \
           FROM pg_catalog.pg_constraint c \
           JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.confrelid \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace \
           JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.confrelid \
            AND a.attnum OPERATOR(pg_catalog.=) c.confkey[1] \
           JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
           JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) t.typnamespace \
          WHERE c.conrelid OPERATOR(pg_catalog.=) $1 AND c.contype OPERATOR(pg_catalog.=) 'f' \
            AND c.conkey OPERATOR(pg_catalog.=) ARRAY[$2]::pg_catalog.int2[] \
          ORDER BY c.oid LIMIT 1",
        &[oid.into(), user_id.into()],
        |row| {
            Ok((
                row.get::<String>(1)?,
                row.get::<String>(2)?,
                row.get::<String>(3)?,
            ))
        },
    )?;
    Ok(match found {
        Some((Some(name), Some(column), Some(ty))) => Some(UserTable { name, column, ty }),
        _ => None,
    })
}
