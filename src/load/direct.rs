//! Rows straight into a table, by what COPY itself calls at its end: `heap_multi_insert`, `ExecConstraints`,
//! `ExecInsertIndexTuples`, `ExecARInsertTriggers`.
//!
//! COPY and INSERT receive each value anew: they read JSON and take vectors apart, in the backend's own time, while the
//! reader's thread has written both as the table has them. Like COPY, it checks neither privileges nor row-level security:
//! whoever describes a target does.

use std::ffi::c_int;

use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};

use super::after::After;
use super::decode::Decoder;
use super::defaults::Defaults;
use super::{Destination, LeftOut, Supply};
use crate::{lock, pg};

/// Rows that are put in together; as many as COPY takes, but for wide ones.
const ROWS: usize = 1000;
/// Bytes of rows that are put in together: they stay in the processor's cache.
const BYTES: usize = 1 << 16;

/// Loads what the supply gives; the number of rows stored, which is that of the tuples.
///
/// # Errors
/// The server's own are raised: constraints, unique indexes.
pub(super) fn load(to: &Destination, supply: &mut dyn Supply) -> u64 {
    let relation = lock::open_for_writing(to.oid);
    let decoder = Decoder::new(&relation, to);
    if !to.late.is_empty() {
        // A command of its own: its number tells these rows from those that have their entries.
        pg::next_command();
    }
    // SAFETY: relation_open (relation.c): the table is open, and stays so until `finish`; `way` has chosen it.
    let mut heap = unsafe { Heap::begin(&relation, &decoder, &to.late) };
    loop {
        let piece = supply.more();
        if piece.is_empty() {
            break;
        }
        // SAFETY: heap_multi_insert (heapam.c) copies what the slots point to: the piece is not written to before the supply is
        // asked again, and by then `put` has put in all of it.
        unsafe { heap.put(piece, &decoder) };
    }
    let command = heap.command;
    // SAFETY: once, at the end, as EndCopyFrom (copyfrom.c).
    let stored = unsafe { heap.finish() };
    to.late.loaded(command, stored);
    pg::next_command();
    stored
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
    unsafe fn begin(opened: &PgRelation, decoder: &Decoder<'_>, late: &LeftOut) -> Heap {
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
                columns: decoder.columns(),
                constrained: !(*descriptor).constr.is_null(),
                indexed,
                defaults: Defaults::new(opened, decoder),
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
    /// As [`Heap::begin`]; the decoder is the table's.
    unsafe fn put(&mut self, piece: &[u8], decoder: &Decoder<'_>) {
        let mut at = 0;
        while at < piece.len() {
            // SAFETY: heap_multi_insert (heapam.c), as this function's own: the slots are flushed before `piece` is given back.
            unsafe {
                let Some(end) = self.row(piece, at, decoder) else {
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
        // SAFETY: as this function's own (heap_multi_insert in heapam.c).
        unsafe { self.flush() };
    }

    /// Makes the tuple at `at` the next slot's row; where it ends, or `None` if it is not whole.
    ///
    /// # Safety
    /// As [`Heap::put`]; the slot is used before `piece` is written to.
    unsafe fn row(&mut self, piece: &[u8], at: usize, decoder: &Decoder<'_>) -> Option<usize> {
        // SAFETY: MakeTupleTableSlot (execTuples.c): the slot is made for the relation's descriptor, so its arrays have
        // `columns` elements. What the decoder makes is in the memory of one tuple, there until the slots are empty again.
        unsafe {
            let slot = self.slot();
            clear(slot);
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, self.columns);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, self.columns);
            let before = pg_sys::MemoryContextSwitchTo(self.memory);
            let end = decoder.decode(piece, at, values, nulls);
            pg_sys::MemoryContextSwitchTo(before);
            self.defaults.evaluate(self.state, values, nulls)?;
            pg_sys::ExecStoreVirtualTuple(slot);
            // As CopyFrom (copyfrom.c) does: constraints and indexes may ask which table a row is in.
            (*slot).tts_tableOid = (*self.relation).rd_id;
            if self.constrained {
                pg_sys::ExecConstraints(self.result, slot, self.state);
            }
            end
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
        // SAFETY: RelationIncrementReferenceCount (relcache.c): the relation's descriptor is valid while it is open.
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
        // SAFETY: heap_multi_insert (heapam.c) takes as many slots as hold tuples of the relation; what is allocated on the way is
        // in the memory of one tuple, which is emptied when nothing points to it any more.
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
        // SAFETY: as at the end of CopyFrom and EndCopyFrom (copyfrom.c): each was made by `begin` or `slot`, and is let go once.
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
unsafe fn leave_out(result: *mut pg_sys::ResultRelInfo, late: &LeftOut) -> bool {
    // SAFETY: ExecOpenIndices (execIndexing.c) has made two arrays of ri_NumIndices elements; the IndexInfo is this ResultRelInfo's
    // own (BuildIndexInfo in index.c), and ExecInsertIndexTuples passes over one that is not ready for inserts.
    unsafe {
        let count = usize::try_from((*result).ri_NumIndices).unwrap_or(0);
        let mut others = false;
        for at in 0..count {
            let index = *(*result).ri_IndexRelationDescs.add(at);
            if late.has((*index).rd_id) {
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
    // SAFETY: TupleTableSlotOps (tuptable.h): a slot has operations, and this one among them.
    unsafe {
        if let Some(clear) = (*(*slot).tts_ops).clear {
            clear(slot);
        }
    }
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
    // SAFETY: as this function's own, which ExecInsertIndexTuples (execIndexing.c) asks for.
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
