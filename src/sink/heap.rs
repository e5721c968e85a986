//! Tuples straight into a table, without COPY, where COPY would do no more than put them there.
//!
//! COPY receives each value anew: it reads JSON and takes vectors apart, in the backend's own time, while the reader's
//! thread has written both already. So into a plain table (see `plain`) the rows go as the reader made them
//! ([`Form::Heap`]), by what COPY itself calls at its end: `heap_multi_insert`, `ExecConstraints`, `ExecInsertIndexTuples`,
//! `ExecARInsertTriggers`.
//! Like COPY, it checks neither privileges nor row-level security: whoever describes a target does.

use std::ffi::c_int;

use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};
use vector_migrate_core::encode::{TableColumn, varlena};

#[cfg(doc)]
use vector_migrate_core::encode::Form;

use super::after::After;
use super::copy::Supply;
use super::defaults::Defaults;
use super::plain::{self, Coercion, Field, Value};
use crate::tables::Target;
use crate::{lock, pg};

/// Rows that are put in together; as many as COPY takes, but for wide ones.
const ROWS: usize = 1000;
/// Bytes of rows that are put in together: they stay in the processor's cache.
const BYTES: usize = 1 << 16;

/// Puts tuples of [`Form::Heap`] into the target's columns. The supply gives whole tuples. Gives the number of rows
/// stored, which is that of the tuples. What is allocated stays in the current memory context: callers are in a
/// subtransaction, which has one of its own, and whose end takes back what an error leaves open.
///
/// # Errors
/// The server's own are raised: constraints, unique indexes.
pub fn put_supply<C: TableColumn>(target: &Target<C>, supply: &mut dyn Supply) -> u64 {
    let relation = lock::open_for_writing(target.oid);
    let Some(fields) = plain::fields(&relation, &target.columns) else {
        // Only this transaction itself can have changed it: its lock keeps all others out.
        ereport!(
            ERROR,
            PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            format!("{} was altered while rows were put into it", target.name)
        );
    };
    // SAFETY: the relation is open and a plain table, and stays so until `finish`.
    let mut heap = unsafe { Heap::begin(&relation, &fields, &target.late) };
    loop {
        let piece = supply.more();
        if piece.is_empty() {
            break;
        }
        // SAFETY: the piece is not written to before the supply is asked again; `put` has ended by then, and has
        // put in all that it pointed to.
        unsafe { heap.put(piece, &fields) };
    }
    // SAFETY: once, at the end.
    let stored = unsafe { heap.finish() };
    pg::next_command();
    stored
}

/// [`put_supply`] of tuples that are all there.
pub fn put_tuples<C: TableColumn>(target: &Target<C>, tuples: &[Vec<u8>]) -> u64 {
    struct Tuples<'a>(std::slice::Iter<'a, Vec<u8>>);
    impl Supply for Tuples<'_> {
        fn more(&mut self) -> &[u8] {
            self.0.next().map_or(&[], Vec::as_slice)
        }
    }
    put_supply(target, &mut Tuples(tuples.iter()))
}

/// A table under way of being filled.
struct Heap {
    relation: pg_sys::Relation,
    state: *mut pg_sys::EState,
    memory: pg_sys::MemoryContext,
    result: *mut pg_sys::ResultRelInfo,
    bulk: pg_sys::BulkInsertState,
    command: pg_sys::CommandId,
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    columns: usize,
    constrained: bool,
    indexed: bool,
    /// What rows do not bring.
    defaults: Defaults,
    /// What comes after them.
    after: Option<After>,
    /// Rows in slots.
    filled: usize,
    bytes: usize,
    stored: u64,
}

impl Heap {
    /// # Safety
    /// On the backend's thread, inside a subtransaction; `opened` is a plain table, and outlives this.
    unsafe fn begin(opened: &PgRelation, fields: &[Field], late: &[pg_sys::Oid]) -> Heap {
        let relation = opened.as_ptr();
        // SAFETY: the calls are those of COPY (copyfrom.c) for one table; the table is in no range table, as in the catalog's
        // own inserts (indexing.c).
        unsafe {
            let state = pg_sys::CreateExecutorState();
            let result = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            pg_sys::InitResultRelInfo(result, relation, 0, std::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(result, false);
            let indexed = leave_out(result, late);
            let memory = (*pg_sys::MakePerTupleExprContext(state)).ecxt_per_tuple_memory;
            let descriptor = (*relation).rd_att;
            Heap {
                relation,
                state,
                memory,
                result,
                bulk: pg_sys::GetBulkInsertState(),
                command: pg_sys::GetCurrentCommandId(true),
                slots: Vec::new(),
                columns: usize::try_from((*descriptor).natts).unwrap_or(0),
                constrained: !(*descriptor).constr.is_null(),
                indexed,
                defaults: Defaults::new(opened, fields),
                after: After::begin(relation),
                filled: 0,
                bytes: 0,
                stored: 0,
            }
        }
    }

    /// Puts in the tuples of `piece`.
    ///
    /// # Safety
    /// As [`Heap::begin`]; `fields` are the table's.
    unsafe fn put(&mut self, piece: &[u8], fields: &[Field]) {
        let mut at = 0;
        while at < piece.len() {
            // SAFETY: as this function's own.
            unsafe {
                let Some(end) = self.row(piece, at, fields) else {
                    error!("an encoded tuple does not have the table's columns");
                };
                self.filled += 1;
                self.bytes += end - at;
                at = end;
                if self.filled >= ROWS || self.bytes >= BYTES {
                    self.flush();
                }
            }
        }
        // SAFETY: as this function's own.
        unsafe { self.flush() };
    }

    /// Points the next slot to the tuple at `at`; where that ends, or `None` if it is not whole.
    ///
    /// # Safety
    /// As [`Heap::put`]; the slot is used before `piece` is written to.
    unsafe fn row(&mut self, piece: &[u8], at: usize, fields: &[Field]) -> Option<usize> {
        let word = |at: usize| piece.get(at..)?.first_chunk::<4>().copied();
        if usize::try_from(i32::from_ne_bytes(word(at)?)).ok()? != fields.len() {
            return None;
        }
        // SAFETY: the slot is made for the relation's descriptor, so its arrays have `columns` elements, and a field's
        // column is one of those. A value of variable length has its own header, is whole within `piece`, and begins at
        // a multiple of four like its form's every field (`piece` itself is at the beginning of an allocation or
        // behind whole tuples in it).
        unsafe {
            let slot = self.slot();
            clear(slot);
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, self.columns);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, self.columns);
            nulls.fill(true);
            let mut at = at + 4;
            for field in fields {
                let header = word(at)?;
                if header == [0; 4] {
                    at += 4;
                    continue;
                }
                let whole = piece.get(at..at.checked_add(varlena::total(header))?)?;
                let bytes = whole.get(4..)?;
                let value = match field.value {
                    Value::Whole => pg_sys::Datum::from(whole.as_ptr()),
                    Value::Bytes => pg_sys::Datum::from(bytes.as_ptr()),
                    Value::Number => number(bytes)?,
                };
                *values.get_mut(field.column)? = match field.coercion {
                    Some(coercion) => self.coerced(value, coercion),
                    None => value,
                };
                *nulls.get_mut(field.column)? = false;
                at = (at + whole.len()).next_multiple_of(4);
            }
            self.defaults.evaluate(self.state, values, nulls)?;
            pg_sys::ExecStoreVirtualTuple(slot);
            // As CopyFrom (copyfrom.c) does: constraints and indexes may ask which table a row is in.
            (*slot).tts_tableOid = (*self.relation).rd_id;
            if self.constrained {
                pg_sys::ExecConstraints(self.result, slot, self.state);
            }
            Some(at)
        }
    }

    /// The value as its column's modifier wants it, in the memory of one tuple: there until the slots are empty again.
    ///
    /// # Safety
    /// As [`Heap::begin`]; the value is of the coercion's type.
    unsafe fn coerced(&self, value: pg_sys::Datum, coercion: Coercion) -> pg_sys::Datum {
        // SAFETY: build_coercion_expression (parse_coerce.c): a length coercion takes the value, the modifier and, if it has a third
        // argument, whether it is a cast; COPY's is none. One of two arguments does not look at a third.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.memory);
            let (modifier, cast) = (pg_sys::Datum::from(coercion.modifier), false.into());
            let none = pg_sys::InvalidOid;
            let value =
                pg_sys::OidFunctionCall3Coll(coercion.function, none, value, modifier, cast);
            pg_sys::MemoryContextSwitchTo(before);
            value
        }
    }

    /// The next slot, made if there is none yet.
    ///
    /// # Safety
    /// As [`Heap::begin`].
    unsafe fn slot(&mut self) -> *mut pg_sys::TupleTableSlot {
        if let Some(slot) = self.slots.get(self.filled) {
            return *slot;
        }
        // SAFETY: the relation's descriptor is valid while it is open.
        let slot = unsafe {
            pg_sys::MakeSingleTupleTableSlot(
                (*self.relation).rd_att,
                &raw const pg_sys::TTSOpsVirtual,
            )
        };
        self.slots.push(slot);
        slot
    }

    /// Puts the rows that are in slots into the table and its indexes.
    ///
    /// # Safety
    /// As [`Heap::begin`]; what the slots point to is still there.
    unsafe fn flush(&mut self) {
        if self.filled == 0 {
            return;
        }
        pgrx::check_for_interrupts!();
        // SAFETY: `filled` slots hold tuples of the relation; what is allocated on the way is in the memory of one
        // tuple, which is emptied when nothing points to it any more.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.memory);
            let count = c_int::try_from(self.filled).unwrap_or(0);
            pg_sys::heap_multi_insert(
                self.relation,
                self.slots.as_mut_ptr(),
                count,
                self.command,
                0,
                self.bulk,
            );
            for slot in self.slots.iter().take(self.filled) {
                let recheck = match self.indexed {
                    true => insert_index_tuples(self.result, *slot, self.state),
                    false => std::ptr::null_mut(),
                };
                if let Some(after) = &self.after {
                    after.queue(self.result, *slot, recheck, self.state);
                }
            }
            pg_sys::MemoryContextSwitchTo(before);
            pg_sys::MemoryContextReset(self.memory);
        }
        self.stored += self.filled as u64;
        (self.filled, self.bytes) = (0, 0);
    }

    /// Closes what [`Heap::begin`] opened; the rows stored.
    ///
    /// # Safety
    /// As [`Heap::begin`]; nothing is put in any more.
    unsafe fn finish(self) -> u64 {
        // SAFETY: each was made by `begin` or `slot`, and is let go once.
        unsafe {
            pg_sys::FreeBulkInsertState(self.bulk);
            if let Some(after) = self.after {
                after.fire(self.state);
            }
            for slot in self.slots {
                pg_sys::ExecDropSingleTupleTableSlot(slot);
            }
            pg_sys::ExecCloseIndices(self.result);
            pg_sys::FreeExecutorState(self.state);
        }
        self.stored
    }
}

/// Keeps rows out of the `late` indexes, which get their entries after the load; whether others are left.
///
/// # Safety
/// The indexes of `result` are open.
unsafe fn leave_out(result: *mut pg_sys::ResultRelInfo, late: &[pg_sys::Oid]) -> bool {
    // SAFETY: ExecOpenIndices (execIndexing.c) has made two arrays of ri_NumIndices elements; the IndexInfo is this ResultRelInfo's
    // own (BuildIndexInfo in index.c), and ExecInsertIndexTuples passes over one that is not ready for inserts.
    unsafe {
        let count = usize::try_from((*result).ri_NumIndices).unwrap_or(0);
        let mut others = false;
        for at in 0..count {
            let index = *(*result).ri_IndexRelationDescs.add(at);
            if late.contains(&(*index).rd_id) {
                (**(*result).ri_IndexRelationInfo.add(at)).ii_ReadyForInserts = false;
            } else {
                others = true;
            }
        }
        others
    }
}

/// `ExecClearTuple`, which is inline in the server's headers.
///
/// # Safety
/// `slot` is one.
unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: as this function's own; a slot has operations, and this one among them.
    unsafe {
        if let Some(clear) = (*(*slot).tts_ops).clear {
            clear(slot);
        }
    }
}

/// A number as it is passed by value.
fn number(bytes: &[u8]) -> Option<pg_sys::Datum> {
    Some(match *bytes {
        [byte] => pg_sys::Datum::from(byte),
        [a, b] => pg_sys::Datum::from(i16::from_be_bytes([a, b])),
        [a, b, c, d] => pg_sys::Datum::from(i32::from_be_bytes([a, b, c, d])),
        _ => pg_sys::Datum::from(i64::from_be_bytes(bytes.try_into().ok()?)),
    })
}

/// Puts a row that is in the table into its indexes; gives those whose uniqueness is to be checked later, by a trigger.
///
/// # Safety
/// `slot` holds a row that was just put into the table of `result`, whose indexes are open.
unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    state: *mut pg_sys::EState,
) -> *mut pg_sys::List {
    let none = std::ptr::null_mut();
    // SAFETY: as this function's own.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        return pg_sys::ExecInsertIndexTuples(result, slot, state, false, false, none, none.cast());
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        return pg_sys::ExecInsertIndexTuples(
            result,
            slot,
            state,
            false,
            false,
            none,
            none.cast(),
            false,
        );
    }
}
