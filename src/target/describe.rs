//! An existing table, as far as filling it goes.

use pgrx::pg_sys;
use vector_migrate_core::encode::{
    Column, ColumnType, ContentColumn, EntityColumn, Kind, VectorType,
};

use super::{KeyPart, Pgvector, Place, Target, UserTable, Via};
use crate::error::Error;
use crate::{pg, spi};

/// A column as the catalog has it.
#[derive(Debug)]
struct Attribute {
    name: String,
    number: i16,
    /// Base type: domains are looked through.
    base: pg_sys::Oid,
    typmod: i32,
    category: String,
    is_enum: bool,
    element: pg_sys::Oid,
    not_null: bool,
    has_default: bool,
    generated: bool,
    /// As SQL writes it, with its modifier.
    shown: String,
    /// As SQL writes it, qualified, without its modifier.
    qualified: String,
}

impl Attribute {
    /// Characters that the column takes: the n of varchar(n) and char(n).
    fn length(&self) -> Option<usize> {
        let limited = matches!(self.base, pg_sys::VARCHAROID | pg_sys::BPCHAROID);
        // The modifier counts a header of four bytes.
        usize::try_from(self.typmod - 4).ok().filter(|_| limited)
    }
}

/// Which columns a table of this kind can have.
trait Columns: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    const EMBEDDING: Self;
    fn name(self) -> &'static str;
    fn kind(self) -> Kind;
    fn required(self) -> bool;
}

macro_rules! columns {
    ($ty:ty) => {
        impl Columns for $ty {
            const ALL: &'static [Self] = <$ty>::ALL;
            const EMBEDDING: Self = <$ty>::Embedding;
            fn name(self) -> &'static str {
                self.name()
            }
            fn kind(self) -> Kind {
                self.kind()
            }
            fn required(self) -> bool {
                self.required()
            }
        }
    };
}
columns!(ContentColumn);
columns!(EntityColumn);

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

fn describe<C: Columns>(
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
    check_insert_privilege(
        oid,
        &name,
        columns.iter().map(|column| column.column.name()),
    )?;
    let plain = matches!(kind.as_str(), "r" | "p");
    let copies = plain && !pg::row_security_applies(oid) && !is_distributed(oid)?;
    let target = Target {
        oid,
        name,
        columns,
        types,
        lengths,
        vector,
        vector_required,
        via: if copies { Via::Copy } else { Via::Insert },
        created: false,
        versioned: plain,
        key: vec![KeyPart::Id],
        users: None,
        defaulted,
    };
    Ok((target, attributes))
}

fn relation_kind(oid: pg_sys::Oid) -> Result<String, Error> {
    let kind = spi::read_one(
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

fn attributes(oid: pg_sys::Oid) -> Result<Vec<Attribute>, Error> {
    spi::read(
        "SELECT a.attname::pg_catalog.text, a.attnum, b.oid, b.typmod, t.typcategory::pg_catalog.text, \
                t.typtype OPERATOR(pg_catalog.=) 'e', t.typelem, a.attnotnull, \
                a.atthasdef OR a.attidentity OPERATOR(pg_catalog.<>) '', \
                a.attgenerated OPERATOR(pg_catalog.<>) '', \
                pg_catalog.format_type(a.atttypid, a.atttypmod), \
                pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(d.typname) \
           FROM pg_catalog.pg_attribute a \
           JOIN pg_catalog.pg_type d ON d.oid OPERATOR(pg_catalog.=) a.atttypid \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) d.typnamespace \
          CROSS JOIN LATERAL ( \
                WITH RECURSIVE base(oid, typmod) AS ( \
                  SELECT a.atttypid, a.atttypmod \
                  UNION ALL \
                  SELECT x.typbasetype, x.typtypmod FROM base \
                    JOIN pg_catalog.pg_type x ON x.oid OPERATOR(pg_catalog.=) base.oid \
                   WHERE x.typtype OPERATOR(pg_catalog.=) 'd') \
                SELECT base.oid, base.typmod FROM base \
                  JOIN pg_catalog.pg_type x ON x.oid OPERATOR(pg_catalog.=) base.oid \
                 WHERE x.typtype OPERATOR(pg_catalog.<>) 'd') b \
           JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) b.oid \
          WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 \
            AND NOT a.attisdropped \
          ORDER BY a.attnum",
        &[oid.into()],
        |row| {
            Ok(Attribute {
                name: row.get(1)?.unwrap_or_default(),
                number: row.get(2)?.unwrap_or_default(),
                base: row.get(3)?.unwrap_or(pg_sys::InvalidOid),
                typmod: row.get(4)?.unwrap_or(-1),
                category: row.get(5)?.unwrap_or_default(),
                is_enum: row.get(6)?.unwrap_or_default(),
                element: row.get(7)?.unwrap_or(pg_sys::InvalidOid),
                not_null: row.get(8)?.unwrap_or_default(),
                has_default: row.get(9)?.unwrap_or_default(),
                generated: row.get(10)?.unwrap_or_default(),
                shown: row.get(11)?.unwrap_or_default(),
                qualified: row.get(12)?.unwrap_or_default(),
            })
        },
    )
}

fn column_type(attribute: &Attribute, pgvector: &Pgvector) -> Option<ColumnType> {
    Some(match attribute.base {
        pg_sys::BOOLOID => ColumnType::Bool,
        pg_sys::INT2OID => ColumnType::Int2,
        pg_sys::INT4OID => ColumnType::Int4,
        pg_sys::INT8OID => ColumnType::Int8,
        pg_sys::FLOAT8OID => ColumnType::Float8,
        pg_sys::UUIDOID => ColumnType::Uuid,
        pg_sys::JSONOID => ColumnType::Json,
        pg_sys::JSONBOID => ColumnType::Jsonb,
        pg_sys::TIMESTAMPOID => ColumnType::Timestamp,
        pg_sys::TIMESTAMPTZOID => ColumnType::TimestampTz,
        pg_sys::DATEOID => ColumnType::Date,
        pg_sys::TEXTARRAYOID | pg_sys::VARCHARARRAYOID => ColumnType::TextArray {
            element: attribute.element.into(),
        },
        base if base == pgvector.vector => ColumnType::Vector,
        base if Some(base) == pgvector.halfvec => ColumnType::HalfVec,
        _ if attribute.is_enum || attribute.category == "S" => ColumnType::Text,
        _ => return None,
    })
}

/// INSERT on the table or on each column: COPY's C functions do not ask.
fn check_insert_privilege(
    oid: pg_sys::Oid,
    name: &str,
    columns: impl Iterator<Item = &'static str>,
) -> Result<(), Error> {
    let columns: Vec<String> = columns.map(str::to_owned).collect();
    let allowed = spi::read_one(
        "SELECT pg_catalog.has_table_privilege($1, 'INSERT') OR \
                pg_catalog.bool_and(pg_catalog.has_column_privilege($1, c, 'INSERT')) \
           FROM pg_catalog.unnest($2) AS c",
        &[oid.into(), columns.into()],
        |row| row.get::<bool>(1),
    )?;
    if allowed.flatten() == Some(true) {
        Ok(())
    } else {
        Err(Error::NoPrivilege {
            target: name.to_owned(),
            needed: "INSERT on the columns that are filled",
        })
    }
}

/// Whether an extension that hooks the planner keeps the rows elsewhere: Citus's distributed tables and
/// TimescaleDB's hypertables, which block inserts below the planner by a trigger.
fn is_distributed(oid: pg_sys::Oid) -> Result<bool, Error> {
    let hypertable = spi::read_one(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger \
                         WHERE tgrelid OPERATOR(pg_catalog.=) $1 \
                           AND tgname OPERATOR(pg_catalog.=) 'ts_insert_blocker'), \
                pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL",
        &[oid.into()],
        |row| Ok((row.get::<bool>(1)?, row.get::<bool>(2)?)),
    )?;
    let (hypertable, citus) = hypertable.unwrap_or_default();
    if hypertable == Some(true) {
        return Ok(true);
    }
    if citus != Some(true) {
        return Ok(false);
    }
    let distributed = spi::read_one(
        "SELECT true FROM pg_catalog.pg_dist_partition \
          WHERE logicalrelid OPERATOR(pg_catalog.=) $1",
        &[oid.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(distributed.is_some())
}

/// The columns of the smallest unique index made of our key columns, the primary key first; without one,
/// what tells records apart in Chroma: collection (if the table has it) and id.
pub fn key_of_table(oid: pg_sys::Oid, has_collection: bool) -> Result<Vec<KeyPart>, Error> {
    let indexes = spi::read(
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
    let found = spi::read_one(
        "SELECT pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' \
                  OPERATOR(pg_catalog.||) pg_catalog.quote_ident(r.relname), \
                pg_catalog.quote_ident(a.attname), pg_catalog.format_type(a.atttypid, NULL) \
           FROM pg_catalog.pg_constraint c \
           JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.confrelid \
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace \
           JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.confrelid \
            AND a.attnum OPERATOR(pg_catalog.=) c.confkey[1] \
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

/// Asks for what `on_conflict => 'update'` needs beyond INSERT: UPDATE of the content table's rows, DELETE
/// of the entity rows that are replaced.
///
/// # Errors
/// [`Error::NoPrivilege`].
pub fn check_update_privilege<C>(target: &Target<C>, privilege: &'static str) -> Result<(), Error> {
    let allowed = spi::read_one(
        "SELECT pg_catalog.has_table_privilege($1, 'SELECT') \
            AND pg_catalog.has_table_privilege($1, $2)",
        &[target.oid.into(), privilege.into()],
        |row| row.get::<bool>(1),
    )?;
    match allowed.flatten() {
        Some(true) => Ok(()),
        _ => Err(Error::NoPrivilege {
            target: target.name.clone(),
            needed: match privilege {
                "UPDATE" => "SELECT and UPDATE, as on_conflict is 'update'",
                _ => "SELECT and DELETE, as on_conflict is 'update'",
            },
        }),
    }
}
