//! Values as pgvector puts them into an index: by its own functions.

use std::marker::PhantomData;

use pgrx::pg_sys;
use vector_migrate_core::record::Space;

use super::opened::Opened;
use crate::error::Error;
use crate::spi;
use crate::tables::Pgvector;

/// The number of pgvector's support function for a vector's length (`HNSW_NORM_PROC` in its hnsw.h).
const NORM: u16 = 2;

/// pgvector's functions for the length of a vector and for a vector of length 1, for as long as the index is open.
pub struct Normalizer<'a> {
    length: pg_sys::FmgrInfo,
    normalize: pg_sys::FmgrInfo,
    collation: pg_sys::Oid,
    opened: PhantomData<&'a Opened>,
}

impl<'a> Normalizer<'a> {
    /// Those of the open index, one of pgvector's; `None` if its operator class takes values as they are.
    ///
    /// # Errors
    /// [`Error::Bug`] if pgvector lacks the function.
    pub fn of(opened: &'a Opened, pgvector: &Pgvector) -> Result<Option<Normalizer<'a>>, Error> {
        let index = opened.index();
        // SAFETY: index_getprocid and index_getprocinfo (indexam.c) of an open index, for its first attribute; the FmgrInfo is
        // copied, its memory is the relation's own (rd_indexcxt), which lives while the index is open. get_atttype (lsyscache.c) looks at the catalog. fmgr_info (fmgr.c) fills in one
        // for a function that exists.
        unsafe {
            if pg_sys::index_getprocid(index, 1, NORM) == pg_sys::InvalidOid {
                return Ok(None);
            }
            let length = std::ptr::read(pg_sys::index_getprocinfo(index, 1, NORM));
            let function = l2_normalize(pg_sys::get_atttype((*index).rd_id, 1), pgvector)?;
            let mut normalize = std::mem::zeroed();
            pg_sys::fmgr_info(function, &raw mut normalize);
            Ok(Some(Normalizer {
                length,
                normalize,
                collation: *(*index).rd_indcollation,
                opened: PhantomData,
            }))
        }
    }

    /// Whether the vector has a length that is not zero.
    ///
    /// # Safety
    /// `value` is of the index's type.
    pub unsafe fn has_length(&self, value: pg_sys::Datum) -> bool {
        // SAFETY: FunctionCall1Coll (fmgr.c) of a function of one argument of that type, which gives a float8 by value.
        unsafe {
            let mut function = self.length;
            let length = pg_sys::FunctionCall1Coll(&raw mut function, self.collation, value);
            f64::from_bits(length.value() as u64) > 0.0
        }
    }

    /// The vector divided by its length, in the current memory context; `None` if it has none.
    ///
    /// # Safety
    /// As [`Normalizer::has_length`].
    pub unsafe fn normalized(&self, value: pg_sys::Datum) -> Option<pg_sys::Datum> {
        // SAFETY: FunctionCall1Coll (fmgr.c) as in `has_length`; the result is a whole value of the same type.
        unsafe {
            self.has_length(value).then(|| {
                let mut function = self.normalize;
                pg_sys::FunctionCall1Coll(&raw mut function, self.collation, value)
            })
        }
    }
}

/// pgvector's function of this name for the type.
fn l2_normalize(ty: pg_sys::Oid, pgvector: &Pgvector) -> Result<pg_sys::Oid, Error> {
    let found = spi::look_up_one(
        "SELECT pg_catalog.to_regprocedure($1 OPERATOR(pg_catalog.||) '.l2_normalize(' OPERATOR(pg_catalog.||) \
                pg_catalog.format_type($2, NULL) OPERATOR(pg_catalog.||) ')')::pg_catalog.oid",
        &[pgvector.schema.as_str().into(), ty.into()],
        |row| row.get::<pg_sys::Oid>(1),
    )?;
    found
        .flatten()
        .ok_or_else(|| Error::Bug("pgvector has no function l2_normalize".into()))
}

/// The operator class of a space for the type.
pub fn operator_class(space: Space, half: bool) -> &'static str {
    match (space, half) {
        (Space::L2, false) => "vector_l2_ops",
        (Space::Cosine, false) => "vector_cosine_ops",
        (Space::Ip, false) => "vector_ip_ops",
        (Space::L2, true) => "halfvec_l2_ops",
        (Space::Cosine, true) => "halfvec_cosine_ops",
        (Space::Ip, true) => "halfvec_ip_ops",
    }
}
