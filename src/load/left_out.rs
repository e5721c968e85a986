//! Indexes that get their entries after the load, and which rows lack entries in them.
//!
//! Promise: rows that did not go in directly have their entries, and so has everything that was in the table before.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::pg_sys;

use crate::message::notice;

/// Indexes of one table that rows which go in directly get no entries in; and what there is to say when the first row comes.
/// Clones share what is kept.
#[derive(Debug, Clone, Default)]
pub struct LeftOut {
    indexes: Rc<[pg_sys::Oid]>,
    loads: Rc<RefCell<Loads>>,
    notice: Rc<RefCell<Option<String>>>,
}

/// The loads that have put rows in.
#[derive(Debug, Clone, Default)]
pub struct Loads {
    /// The number of each one's command: with the transaction it tells the rows that it put in from all others.
    pub commands: Vec<pg_sys::CommandId>,
    /// Rows that they stored, those of loads that were taken back included.
    pub rows: u64,
}

impl LeftOut {
    /// These `indexes`, none of them filled by a load yet. `notice`: said once, before the first row goes in.
    pub fn new(indexes: Vec<pg_sys::Oid>, notice: Option<String>) -> LeftOut {
        LeftOut {
            indexes: indexes.into(),
            loads: Rc::default(),
            notice: Rc::new(RefCell::new(notice)),
        }
    }

    /// What has been loaded without entries.
    pub fn loads(&self) -> Loads {
        self.loads.borrow().clone()
    }

    /// There are none.
    pub(super) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Whether rows get no entries in this one.
    pub(super) fn has(&self, index: pg_sys::Oid) -> bool {
        self.indexes.contains(&index)
    }

    /// Rows are about to come, on whichever way.
    pub(super) fn begin(&self) {
        let notice = self.notice.borrow_mut().take();
        if let Some(notice) = notice {
            notice!("{notice}");
        }
    }

    /// The command of this number has put in so many rows without entries.
    pub(super) fn loaded(&self, command: pg_sys::CommandId, rows: u64) {
        if !self.is_empty() {
            let mut loads = self.loads.borrow_mut();
            loads.commands.push(command);
            loads.rows += rows;
        }
    }
}
