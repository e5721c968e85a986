//! The rows of a table as an index build sees them.
//!
//! Promise: the rows, their order and their TIDs are those that pgvector's own build would be given; values that it would
//! leave out (NULL, and vectors without a length where the operator class normalises) are left out. A row's bytes are
//! there until the next row.

use std::ffi::c_void;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use vector_migrate_core::index::Tid;

use super::fill::Filling;
use super::values::Normalizer;
use super::which::VectorIndex;

/// Which of a row's values is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The components of the column's vector as the row has it, without headers.
    Components,
    /// The whole value that belongs in the index: cast and normalised.
    Value,
}

/// What is scanned.
pub struct Scan<'a> {
    /// The index that is being filled, with its table.
    pub filling: &'a Filling,
    /// What it is like.
    pub described: &'a VectorIndex,
    /// Makes the index's values; `None` where they are the column's own.
    pub normalizer: Option<&'a Normalizer<'a>>,
}

/// Bytes of a vector before its components: length, dimensions, a reserve.
const HEADER: usize = 8;

struct State<'a> {
    each: &'a mut dyn FnMut(Tid, &[u8]),
    want: Want,
    normalizer: Option<&'a Normalizer<'a>>,
    memory: PgMemoryContexts,
    /// Which of a row's values has the column as it is.
    column: usize,
    left_out: u64,
}

impl Scan<'_> {
    /// Gives each row's TID and bytes to `each`; the number of rows, those left out included. A cancel is obeyed between rows.
    pub fn rows(&self, want: Want, progress: bool, each: &mut dyn FnMut(Tid, &[u8])) -> u64 {
        // SAFETY: FormIndexDatum (index.c) evaluates as many attributes as the copy of the info says, each an expression of its
        // list or a column of the table: the second one is the column with the vectors, in an array of INDEX_MAX_KEYS elements.
        // heapam_index_build_range_scan (heapam_handler.c) takes nothing else from the number of attributes, and calls back
        // without a lock on a buffer. What it finds out about HOT chains goes back to the server's own struct.
        unsafe {
            let mut info = std::ptr::read(self.filling.info());
            let expression = info.ii_IndexAttrNumbers[0] == 0;
            if expression && want == Want::Components {
                info.ii_NumIndexAttrs = 2;
                info.ii_NumIndexKeyAttrs = 2;
                info.ii_IndexAttrNumbers[1] = self.described.column;
            }
            let mut state = State {
                each,
                want,
                normalizer: self.normalizer,
                memory: PgMemoryContexts::new("vector_migrate index row"),
                column: usize::from(expression && want == Want::Components),
                left_out: 0,
            };
            let rows = self.whole(&raw mut info, progress, Some(row), (&raw mut state).cast());
            (*self.filling.info()).ii_BrokenHotChain |= info.ii_BrokenHotChain;
            rows
        }
    }

    /// Gives each row whose TID `wanted` says to pgvector's own insert; how many.
    /// The index has to have its pages.
    pub fn insert(&self, wanted: &mut dyn FnMut(Tid) -> bool) -> u64 {
        struct Inserts<'a> {
            wanted: &'a mut dyn FnMut(Tid) -> bool,
            table: pg_sys::Relation,
            info: *mut pg_sys::IndexInfo,
            inserted: u64,
        }
        /// # Safety
        /// Called by the scan with the state given below.
        #[pg_guard]
        unsafe extern "C-unwind" fn insert_row(
            index: pg_sys::Relation,
            tid: pg_sys::ItemPointer,
            values: *mut pg_sys::Datum,
            nulls: *mut bool,
            _alive: bool,
            state: *mut c_void,
        ) {
            // SAFETY: the state is the one given to the scan; index_insert (indexam.c) leaves memory to hnswinsert (pgvector's
            // hnswinsert.c), which has a context of its own.
            unsafe {
                let state = &mut *state.cast::<Inserts<'_>>();
                if *nulls || !(state.wanted)(place(tid)) {
                    return;
                }
                pg_sys::index_insert(
                    index,
                    values,
                    nulls,
                    tid,
                    state.table,
                    pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO,
                    false,
                    state.info,
                );
                state.inserted += 1;
            }
        }
        let mut state = Inserts {
            wanted,
            table: self.filling.table(),
            info: self.filling.info(),
            inserted: 0,
        };
        // SAFETY: FormIndexDatum (index.c) as in `rows`, with the server's own struct; callbacks may insert into the index, as gistBuildCallback (gistbuild.c)
        // does.
        unsafe {
            self.whole(
                self.filling.info(),
                false,
                Some(insert_row),
                (&raw mut state).cast(),
            );
        }
        state.inserted
    }

    /// The server's table_index_build_scan (tableam.h), an inline function that pgrx has no binding for.
    ///
    /// # Safety
    /// `info` is the index's, or like it; `callback` takes `state`.
    unsafe fn whole(
        &self,
        info: *mut pg_sys::IndexInfo,
        progress: bool,
        callback: pg_sys::IndexBuildCallback,
        state: *mut c_void,
    ) -> u64 {
        // SAFETY: GetTableAmRoutine (tableamapi.c) asserts that the table's access method has this function, and it is given what the inline function
        // gives it. It is called by its pointer, so pgrx does not guard it: pg_guard_ffi_boundary (pgrx-pg-sys's ffi.rs)
        // does, whose closure has nothing to drop.
        unsafe {
            let (table, index) = (self.filling.table(), self.filling.index());
            let Some(scan) = (*(*table).rd_tableam).index_build_range_scan else {
                return 0;
            };
            let none = std::ptr::null_mut();
            let (first, all) = (0, pg_sys::InvalidBlockNumber);
            pg_guard_ffi_boundary(|| {
                scan(
                    table, index, info, false, false, progress, first, all, callback, state, none,
                )
            }) as u64
        }
    }
}

/// The place that `tid` points to.
///
/// # Safety
/// `tid` is valid.
pub unsafe fn place(tid: pg_sys::ItemPointer) -> Tid {
    // SAFETY: plain reads of a valid pointer's struct (itemptr.h).
    unsafe {
        let block = (*tid).ip_blkid;
        Tid {
            block: (u32::from(block.bi_hi) << 16) | u32::from(block.bi_lo),
            offset: (*tid).ip_posid,
        }
    }
}

/// # Safety
/// Called by table_index_build_scan with the state that `Scan::rows` gave it.
#[pg_guard]
unsafe extern "C-unwind" fn row(
    _index: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    values: *mut pg_sys::Datum,
    nulls: *mut bool,
    _alive: bool,
    state: *mut c_void,
) {
    // SAFETY: the arrays have an element for each attribute that the scan was told of. pg_detoast_datum (fmgr.c) gives a whole
    // value with a header of four bytes, in the memory of this row where it makes one; that memory is emptied when nothing
    // points to it any more, and an error leaves it to the owner of `memory`, pgrx's OwnedMemoryContext (memcxt.rs), which switches to
    // the one before if it is the current one.
    unsafe {
        let state = &mut *state.cast::<State<'_>>();
        if *nulls {
            return;
        }
        let before = pg_sys::MemoryContextSwitchTo(state.memory.value());
        let value = pg_sys::Datum::from(pg_sys::pg_detoast_datum((*values).cast_mut_ptr()));
        let indexed = state.normalizer.map_or(Some(value), |it| match state.want {
            Want::Value => it.normalized(value),
            Want::Components => it.has_length(value).then_some(value),
        });
        match (indexed, state.want) {
            (None, _) => state.left_out += 1,
            (Some(value), Want::Value) => (state.each)(place(tid), bytes(value)),
            (Some(value), Want::Components) => {
                let column = match state.column {
                    0 => value,
                    at => pg_sys::Datum::from(pg_sys::pg_detoast_datum(
                        (*values.add(at)).cast_mut_ptr(),
                    )),
                };
                let bytes = bytes(column);
                (state.each)(place(tid), bytes.get(HEADER..).unwrap_or_default());
            }
        }
        pg_sys::MemoryContextSwitchTo(before);
        pg_sys::MemoryContextReset(state.memory.value());
    }
}

/// The bytes of a value that has been detoasted, header included.
///
/// # Safety
/// `value` points to a varlena with a header of four bytes, which is there for as long as the bytes are used.
unsafe fn bytes<'a>(value: pg_sys::Datum) -> &'a [u8] {
    // SAFETY: VARSIZE_4B (postgres.h), on the little-endian processors that pgrx knows, is the length of the whole value, which is
    // there as this function wants it.
    unsafe {
        let start: *const u8 = value.cast_mut_ptr();
        let header = std::ptr::read_unaligned(start.cast::<u32>());
        std::slice::from_raw_parts(start, (header >> 2) as usize)
    }
}
