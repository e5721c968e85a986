//! What comes after rows that went directly into a table: AFTER ROW triggers, those of foreign keys and of deferrable
//! constraints among them.
//!
//! Promise: they fire as after COPY, when all rows of the load are in; deferred ones at the end of the transaction.

use pgrx::pg_sys;

/// The queue of one load's triggers.
pub(super) struct After(());

impl After {
    /// Begins to queue, if the table has such triggers.
    ///
    /// # Safety
    /// On the backend's thread, inside a subtransaction, which takes the queue back after an error (AfterTriggerEndSubXact in
    /// trigger.c); `relation` is open.
    pub unsafe fn begin(relation: pg_sys::Relation) -> Option<After> {
        // SAFETY: RelationIncrementReferenceCount (relcache.c): an open relation's descriptors stay valid. CopyFrom (copyfrom.c)
        // makes the same call before its first row.
        unsafe {
            let triggers = (*relation).trigdesc.as_ref()?;
            triggers.trig_insert_after_row.then(|| {
                pg_sys::AfterTriggerBeginQuery();
                After(())
            })
        }
    }

    /// Queues the triggers of a row that is in the table. `recheck`: the indexes whose uniqueness is to be checked.
    ///
    /// # Safety
    /// As [`After::begin`]; `slot` holds a row that was just put into the table of `result`, with its place.
    pub unsafe fn queue(
        &self,
        result: *mut pg_sys::ResultRelInfo,
        slot: *mut pg_sys::TupleTableSlot,
        recheck: *mut pg_sys::List,
        state: *mut pg_sys::EState,
    ) {
        // SAFETY: as CopyMultiInsertBufferFlush (copyfrom.c) does after ExecInsertIndexTuples; heap_multi_insert (heapam.c) has set
        // the slot's place. There is nothing to capture, as tables with transition tables are not taken.
        unsafe {
            pg_sys::ExecARInsertTriggers(state, result, slot, recheck, std::ptr::null_mut());
        }
    }

    /// Fires what is not deferred, and ends the queue.
    ///
    /// # Safety
    /// As [`After::begin`]; all rows are in the table, and their slots are not needed any more.
    pub unsafe fn fire(self, state: *mut pg_sys::EState) {
        // SAFETY: as at the end of CopyFrom (copyfrom.c). The triggers' slots let go of the table's descriptor, and the relations
        // that the executor opened for them are closed, as by ExecEndPlan and ExecCloseResultRelations (execMain.c).
        unsafe {
            pg_sys::AfterTriggerEndQuery(state);
            pg_sys::ExecResetTupleTable((*state).es_tupleTable, false);
            pg_sys::ExecCloseResultRelations(state);
        }
    }
}
