//! Rows of loads into an index that left them out, one by one: for a table that others use meanwhile, or that has many more.
//!
//! Promise: each row that these loads have put into the table, in this transaction or in a subtransaction of it that stays, gets
//! its entry; all other rows have theirs already, those that this transaction put in otherwise among them.

use pgrx::{PgMemoryContexts, pg_sys};

use crate::error::Error;
use crate::load::Loads;
use crate::{interrupt, lock};

/// Inserts the rows of the table that the `loads` put in into the index.
///
/// # Errors
/// The server's own are raised.
pub fn insert_own_rows(table: pg_sys::Oid, index: pg_sys::Oid, loads: &Loads) -> Result<(), Error> {
    let mut commands = loads.commands.clone();
    commands.sort_unstable();
    let relation = lock::open_for_writing(table);
    // SAFETY: ExecOpenIndices (execIndexing.c) opens indexes with this lock; the table is open, a heap, and locked for writing, as
    // for an INSERT. What heap_getnext (heapam.c) gives with SnapshotSelf is committed or this transaction's own: which of the two,
    // TransactionIdIsCurrentTransactionId (xact.c) says of the row's xmin, which is not frozen where it is ours; and then
    // HeapTupleHeaderGetCmin (combocid.c) knows the command that put it in. Those of the loads are commands of their own
    // (`load` in load/direct.rs), so none of these rows has an entry. The row is there until the next one is asked for, as the scan has
    // its buffer pinned. It is the first of its HOT chain, so an index may point to it: heap_multi_insert (heapam.c) makes no others,
    // heap_update does, by other commands. FormIndexDatum (index.c) evaluates as ExecInsertIndexTuples has it do; the memory of a row is emptied when
    // nothing points to it any more. An error leaves all that is open to ResourceOwnerReleaseInternal (resowner.c) at the end of the
    // (sub)transaction, which then warns of nothing; pgrx's OwnedMemoryContext (memcxt.rs) leaves `memory` before it deletes it.
    unsafe {
        let table = relation.as_ptr();
        let opened = pg_sys::index_open(index, pg_sys::RowExclusiveLock.cast_signed());
        let info = pg_sys::BuildIndexInfo(opened);
        let state = pg_sys::CreateExecutorState();
        let slot =
            pg_sys::MakeSingleTupleTableSlot((*table).rd_att, &raw const pg_sys::TTSOpsHeapTuple);
        (*pg_sys::MakePerTupleExprContext(state)).ecxt_scantuple = slot;
        let mut memory = PgMemoryContexts::new("vector_migrate late row");
        let scan = pg_sys::heap_beginscan(
            table,
            &raw mut pg_sys::SnapshotSelfData,
            0,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            pg_sys::ScanOptions::SO_TYPE_SEQSCAN,
        );
        loop {
            interrupt::check();
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            let Some(row) = tuple.as_ref() else { break };
            let xmin = (*row.t_data).t_choice.t_heap.t_xmin;
            if !pg_sys::TransactionIdIsCurrentTransactionId(xmin) {
                continue;
            }
            let command = pg_sys::HeapTupleHeaderGetCmin(row.t_data);
            if commands.binary_search(&command).is_err() {
                continue;
            }
            pg_sys::ExecStoreHeapTuple(tuple, slot, false);
            let before = pg_sys::MemoryContextSwitchTo(memory.value());
            let mut values = [pg_sys::Datum::from(0); pg_sys::INDEX_MAX_KEYS as usize];
            let mut nulls = [true; pg_sys::INDEX_MAX_KEYS as usize];
            pg_sys::FormIndexDatum(info, slot, state, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::index_insert(
                opened,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
                &raw mut (*slot).tts_tid,
                table,
                pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO,
                false,
                info,
            );
            pg_sys::MemoryContextSwitchTo(before);
            memory.reset();
        }
        pg_sys::heap_endscan(scan);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::FreeExecutorState(state);
        pg_sys::index_close(opened, pg_sys::NoLock.cast_signed());
    }
    Ok(())
}
