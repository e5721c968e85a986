//! Defaults of the columns that rows do not bring.
//!
//! Promise: the values that COPY would supply, for each row anew, by the server's own executor.

use pgrx::pg_sys::submodules::ffi::pg_guard_ffi_boundary;
use pgrx::{PgRelation, pg_sys};

use super::decode::Decoder;

/// Columns, counted from 0, with their defaults.
pub(super) struct Defaults(Vec<(usize, *mut pg_sys::ExprState)>);

impl Defaults {
    /// Prepares the defaults of the columns that the decoder does not fill.
    ///
    /// # Safety
    /// On the backend's thread; the current memory context outlives this.
    pub unsafe fn new(relation: &PgRelation, decoder: &Decoder<'_>) -> Defaults {
        let mut defaults = Vec::new();
        for (column, attribute) in relation.tuple_desc().iter().enumerate() {
            if decoder.fills(column) || attribute.attisdropped {
                continue;
            }
            // SAFETY: the calls of BeginCopyFrom (copyfrom.c) for a column that is not in the file, of an open relation; what they
            // make is in the current memory context.
            unsafe {
                let number = attribute.attnum.into();
                let default = pg_sys::build_column_default(relation.as_ptr(), number);
                if !default.is_null() {
                    let planned = pg_sys::expression_planner(default.cast());
                    defaults.push((column, pg_sys::ExecInitExpr(planned, std::ptr::null_mut())));
                }
            }
        }
        Defaults(defaults)
    }

    /// Evaluates the defaults into a row's values; `None` if the row has not all columns of the table.
    ///
    /// # Safety
    /// As [`Defaults::new`]; `state` is of this load, and its memory of one tuple is emptied only when the row is in the
    /// table.
    pub unsafe fn evaluate(
        &self,
        state: *mut pg_sys::EState,
        values: &mut [pg_sys::Datum],
        nulls: &mut [bool],
    ) -> Option<()> {
        for (column, default) in &self.0 {
            let (value, null) = (values.get_mut(*column)?, nulls.get_mut(*column)?);
            // SAFETY: as NextCopyFrom (copyfromparse.c): ExecInitExpr has set the expression's evalfunc (ExecReadyExpr in
            // execExpr.c), which allocates in the current memory context; an error of it is a panic here (pgrx-pg-sys,
            // submodules/ffi.rs), not a jump over this frame.
            unsafe {
                let context = pg_sys::MakePerTupleExprContext(state);
                let before = pg_sys::MemoryContextSwitchTo((*context).ecxt_per_tuple_memory);
                let evaluate = (**default).evalfunc?;
                *value = pg_guard_ffi_boundary(|| evaluate(*default, context, null));
                pg_sys::MemoryContextSwitchTo(before);
            }
        }
        Some(())
    }
}
