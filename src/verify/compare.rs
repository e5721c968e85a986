//! Rows as the store's records give them, against those that the table has.

use std::collections::HashSet;
use std::rc::Rc;

use vector_migrate_core::mapping::Word;
use vector_migrate_core::pipeline::EncodedRow;

use crate::error::Error;
use crate::load::{Destination, LeftOut, LoadColumn, Way};
use crate::settings::{self, EXACT_TEXT};
use crate::spi;
use crate::tables::{Lookup, Target};

/// Compares rows of one table.
pub struct Comparer {
    target: Rc<Target>,
    rows: Destination,
    lookup: Lookup,
    sql: String,
    /// The columns that are compared, but for the vector.
    pub columns: Vec<String>,
}

/// A row that is not as it was expected.
#[derive(Debug, Clone)]
pub struct Unequal {
    /// Which of the rows that were given.
    pub at: usize,
    /// The table does not have it.
    pub missing: bool,
    /// Its `xmin`, if the table has it, and one.
    pub xmin: Option<String>,
    /// The columns that differ, by their places in [`Comparer::columns`].
    pub columns: Vec<usize>,
    /// The vector differs.
    pub vector: bool,
}

/// A row on its way to be compared.
pub struct Given {
    /// The row.
    pub row: EncodedRow,
    /// Its key in the table.
    pub key: String,
    /// Its whole tuple.
    pub tuple: Vec<u8>,
}

impl Comparer {
    /// For rows of `target`.
    ///
    /// # Errors
    /// The server's own.
    pub fn new(target: &Rc<Target>) -> Result<Comparer, Error> {
        let key = target.key_with_collection();
        let lookup = Lookup::new(target.oid, key.as_ref().unwrap_or(&target.key))?;
        let columns: Vec<String> = (target.columns.iter())
            .filter(|it| {
                !it.is_vector() && !matches!(it.word, Word::NewUuid | Word::Number | Word::Default)
            })
            .map(|it| it.name.clone())
            .collect();
        let rows = Destination::new(
            (target.oid, target.name.clone()),
            target.columns.iter().map(LoadColumn::from).collect(),
            Way::Direct,
            Vec::new(),
            LeftOut::default(),
            false,
        );
        let sql = statement(target, &columns, &lookup, &rows.rows());
        Ok(Comparer {
            target: Rc::clone(target),
            rows,
            lookup,
            sql,
            columns,
        })
    }

    /// Those of `given`, all of one collection, whose key has this for it, that the table does not have just so.
    ///
    /// # Errors
    /// The server's own, as for want of the SELECT privilege.
    pub fn unequal(&self, collection: &str, given: &[Given]) -> Result<Vec<Unequal>, Error> {
        let tuples: Vec<Vec<u8>> = given.iter().map(|it| it.tuple.clone()).collect();
        let keys: Vec<String> = given.iter().map(|it| it.key.clone()).collect();
        let with_user = self.target.key.user.is_some();
        let users: Vec<Option<String>> = (given.iter())
            .map(|it| it.row.user.clone().filter(|_| with_user))
            .collect();
        let vectors: Vec<bool> = given.iter().map(|it| it.row.has_vector).collect();
        let args = [
            keys.into(),
            users.into(),
            vectors.into(),
            collection.to_owned().into(),
        ];
        let take = |row: &pgrx::spi::SpiHeapTupleData<'_>| {
            let differing: Vec<bool> = row.get(4)?.unwrap_or_default();
            let places = differing
                .iter()
                .enumerate()
                .filter(|it| *it.1)
                .map(|it| it.0);
            let unequal = Unequal {
                at: usize::try_from(row.get::<i32>(1)?.unwrap_or(1) - 1).unwrap_or_default(),
                missing: row.get::<bool>(2)? == Some(true),
                xmin: row.get(3)?,
                columns: places.collect(),
                vector: row.get::<bool>(5)? == Some(true),
            };
            Ok((unequal, row.get::<String>(6)?, row.get::<String>(7)?))
        };
        let found = settings::with(EXACT_TEXT, || {
            settings::with(self.lookup.settings, || {
                self.rows.ask(&tuples, &self.sql, &args, take)
            })
        })?;
        // Where the key is not unique, a row may have been met twice.
        let mut met = HashSet::new();
        let found = found.into_iter().filter(|(it, ..)| met.insert(it.at));
        Ok(found
            .filter_map(|(unequal, there, wanted)| {
                let restored = given.get(unequal.at).is_some_and(|it| it.row.restored);
                let close =
                    || are_close(there.as_deref(), wanted.as_deref(), self.target.vector.half);
                let vector = unequal.vector && !(restored && close());
                let differs = unequal.missing || vector || !unequal.columns.is_empty();
                differs.then_some(Unequal { vector, ..unequal })
            })
            .collect())
    }
}

/// The query: parameters are keys, owners, whether a vector is compared, and the collection.
fn statement(target: &Target, columns: &[String], lookup: &Lookup, rows: &str) -> String {
    let there = |name: &str| format!("t.{}", spi::ident(name));
    let wanted = |name: &str| format!("(r.u).{}", spi::ident(name));
    let same = |names: &[&str]| {
        let row = |of: &dyn Fn(&str) -> String| {
            let fields: Vec<String> = names.iter().map(|it| of(it)).collect();
            format!("ROW({})", fields.join(", "))
        };
        format!(
            "pg_catalog.record_image_eq({}, {})",
            row(&there),
            row(&wanted)
        )
    };
    let all: Vec<&str> = columns.iter().map(String::as_str).collect();
    let vector = target.vector_column.as_str();
    let vector_differs = format!("r.has_vector AND NOT {}", same(&[vector]));
    let each: Vec<String> = all
        .iter()
        .map(|it| format!("NOT {}", same(&[it])))
        .collect();
    let differs = format!("NOT {} OR {vector_differs}", same(&all));
    let condition = &lookup.condition;
    let unique = match lookup.unique {
        true => String::new(),
        false => format!(
            " AND NOT EXISTS (SELECT FROM {} t WHERE {condition} AND NOT ({differs}))",
            target.name
        ),
    };
    format!(
        "SELECT r.n, {id} IS NULL, {xmin}, \
                CASE WHEN {id} IS NOT NULL THEN ARRAY[{each}] END, {id} IS NOT NULL AND {vector_differs}, \
                CASE WHEN {vector_differs} THEN {there}::pg_catalog.text END, \
                CASE WHEN {vector_differs} THEN {wanted}::pg_catalog.text END \
           FROM (SELECT {rows} AS u, pg_catalog.unnest($1) AS key, pg_catalog.unnest($2) AS user_id, \
                        pg_catalog.unnest($3) AS has_vector, $4::pg_catalog.text AS collection, \
                        pg_catalog.generate_subscripts($1, 1) AS n OFFSET 0) r \
           LEFT JOIN {name} t ON {condition} \
          WHERE ({id} IS NULL OR {differs}){unique}",
        id = there(&target.key.id.name),
        xmin = match target.versioned {
            true => "t.xmin::pg_catalog.text",
            false => "NULL::pg_catalog.text",
        },
        each = each.join(", "),
        there = there(vector),
        wanted = wanted(vector),
        name = target.name,
    )
}

/// Units in the last place by which a vector that Chroma kept normalised may differ from the one that it was given.
const ULPS: u32 = 4;

/// Whether two vectors, as texts, differ by no more than restoring one may; `half`: in half precision.
fn are_close(one: Option<&str>, other: Option<&str>, half: bool) -> bool {
    let (Some(one), Some(other)) = (one.and_then(values), other.and_then(values)) else {
        return false;
    };
    // A half has 13 bits less of a fraction.
    let most = if half { 1 << 13 } else { ULPS };
    one.len() == other.len()
        && one.iter().zip(&other).all(|(a, b)| {
            let apart = ordered(*a).abs_diff(ordered(*b));
            apart <= most.into()
        })
}

fn values(text: &str) -> Option<Vec<f32>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.split(',').map(|it| it.trim().parse().ok()).collect()
}

/// A float's place among all floats.
fn ordered(value: f32) -> i64 {
    let bits = i64::from(value.to_bits().cast_signed());
    match bits < 0 {
        true => i64::from(i32::MIN) - bits,
        false => bits,
    }
}
