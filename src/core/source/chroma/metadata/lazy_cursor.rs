//! A cursor that is opened for the first record whose values are wanted.
//!
//! Stage: source. May import `sqlite::errors`.

use crate::source::chroma::sqlite::errors::StatementError;

/// So many records in a row of which a cursor's values are not wanted are stepped over.
const STEPPED_OVER: usize = 4;

/// The values of some records, from one cursor `C` over the table `T`.
pub(super) struct LazyCursor<T, C> {
    table: Option<T>,
    cursor: Option<C>,
    /// Records since the last one whose values were wanted.
    passed: usize,
}

impl<T, C> LazyCursor<T, C> {
    pub fn new(table: T) -> LazyCursor<T, C> {
        LazyCursor {
            table: Some(table),
            cursor: None,
            passed: 0,
        }
    }

    /// A record whose values are not wanted.
    pub fn pass(&mut self) {
        self.passed = self.passed.saturating_add(1);
    }

    /// The cursor, which `begin` opens for the first record whose values are wanted. `None`: to begin anew
    /// costs less than to step over the values of those that were passed.
    pub fn at(
        &mut self,
        begin: impl FnOnce(T) -> Result<C, StatementError>,
    ) -> Result<Option<&mut C>, StatementError> {
        if self.cursor.is_some() && self.passed > STEPPED_OVER {
            return Ok(None);
        }
        self.passed = 0;
        if let Some(table) = self.table.take() {
            self.cursor = Some(begin(table)?);
        }
        Ok(self.cursor.as_mut())
    }
}
