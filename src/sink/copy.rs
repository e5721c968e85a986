//! Binary tuples into a table through PostgreSQL's own COPY machinery.
//!
//! `BeginCopyFrom` takes a callback that hands it the file's bytes; indexes, constraints, triggers,
//! defaults and partitions then come for free. It checks neither privileges nor
//! row-level security: whoever describes a target does. The callback has no context argument, so what
//! it reads next is on top of a stack of feeds of this thread (a stack, as a trigger may start another COPY). COPY's own
//! progress figures are held back: those of the whole run are shown instead.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::{lock, pg, progress};

/// What a binary COPY file begins with: signature, flags, length of the header's extension.
/// PostgreSQL documentation, COPY, "Binary Format".
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with: a field count of -1.
const TRAILER: &[u8] = &[0xff, 0xff];

/// Gives a COPY its tuples, piece by piece: tuples that follow each other, cut anywhere.
pub trait Supply {
    /// The next piece; an empty one ends the COPY. Called from inside `CopyFrom`: may check for interrupts and look at
    /// memory, must not run a query.
    fn more(&mut self) -> &[u8];
}

/// The supply of tuples that are all there.
struct Parts<'a, I>(I, PhantomData<&'a [u8]>);

impl<'a, I: Iterator<Item = &'a [u8]>> Supply for Parts<'a, I> {
    fn more(&mut self) -> &[u8] {
        let whole = |part: &&[u8]| !part.is_empty();
        self.0.find(whole).unwrap_or_default()
    }
}

/// What one COPY reads.
struct Feed {
    supply: *mut dyn Supply,
    current: *const [u8],
    ended: bool,
}

impl Feed {
    /// Copies what comes next to `out`, at most `room` bytes; how many it was, 0 at the end.
    ///
    /// # Safety
    /// `out` has room for `room` bytes, and the supply that [`FeedGuard::push`] was given is still borrowed by it.
    unsafe fn give(&mut self, out: *mut u8, room: usize) -> usize {
        let mut given = 0;
        while given < room {
            // SAFETY: the piece is static, or was lent by `more`, which has not been called since.
            let piece = unsafe { &*self.current };
            if piece.is_empty() {
                // What is in `out` already goes first: waiting for more would hold it back.
                if self.ended || given > 0 {
                    break;
                }
                // SAFETY: the guard borrows the supply for as long as this feed is on the stack, and nobody else
                // reaches it.
                let next = unsafe { (*self.supply).more() };
                self.ended = next.is_empty();
                self.current = if self.ended { TRAILER } else { next };
                continue;
            }
            let (now, later) = piece.split_at(piece.len().min(room - given));
            // SAFETY: `out` has room for `room` bytes, of which `given` are used, and is COPY's own memory.
            unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), out.add(given), now.len()) };
            given += now.len();
            self.current = later;
        }
        given
    }
}

thread_local! {
    static FEEDS: RefCell<Vec<Option<Feed>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the feed away again, also when COPY raises; the supply is borrowed for so long.
struct FeedGuard<'a> {
    depth: usize,
    supply: PhantomData<&'a mut dyn Supply>,
}

impl<'a> FeedGuard<'a> {
    fn push(supply: &'a mut dyn Supply) -> FeedGuard<'a> {
        let supply: *mut (dyn Supply + 'a) = supply;
        // SAFETY: only the lifetime is forgotten; the guard keeps it, and takes the feed away when it ends.
        let supply =
            unsafe { std::mem::transmute::<*mut (dyn Supply + 'a), *mut dyn Supply>(supply) };
        let feed = Feed {
            supply,
            current: HEADER,
            ended: false,
        };
        FEEDS.with_borrow_mut(|feeds| {
            feeds.push(Some(feed));
            FeedGuard {
                depth: feeds.len() - 1,
                supply: PhantomData,
            }
        })
    }
}

impl Drop for FeedGuard<'_> {
    fn drop(&mut self) {
        FEEDS.with_borrow_mut(|feeds| feeds.truncate(self.depth));
    }
}

/// COPY's data source: fills at most `maxread` bytes, 0 at the end.
#[pg_guard]
extern "C-unwind" fn feed(out: *mut c_void, _minread: c_int, maxread: c_int) -> c_int {
    // Taken off the stack meanwhile: the supply may raise, and may wait.
    let Some(mut feed) = FEEDS.with_borrow_mut(|feeds| feeds.last_mut().and_then(Option::take))
    else {
        return 0;
    };
    let room = usize::try_from(maxread).unwrap_or(0);
    // SAFETY: COPY gives room for `maxread` bytes at `out`; the guard of the feed on top, which borrows its
    // supply, is dropped by the caller of COPY only.
    let given = unsafe { feed.give(out.cast::<u8>(), room) };
    FEEDS.with_borrow_mut(|feeds| {
        if let Some(top) = feeds.last_mut() {
            *top = Some(feed);
        }
    });
    c_int::try_from(given).unwrap_or(0)
}

/// Puts tuples into `columns` of `table`; each tuple is given in parts that follow each other.
/// Gives the number of rows that the server stored (a trigger may drop some). What COPY allocates stays in
/// the current memory context: callers are in a subtransaction, which has one of its own.
pub fn copy_tuples<'a>(
    table: pg_sys::Oid,
    columns: &[&str],
    parts: impl Iterator<Item = &'a [u8]>,
) -> u64 {
    copy_supply(table, columns, &mut Parts(parts, PhantomData))
}

/// [`copy_tuples`] of tuples that come into being while COPY runs.
pub fn copy_supply(table: pg_sys::Oid, columns: &[&str], supply: &mut dyn Supply) -> u64 {
    let _feed = FeedGuard::push(supply);
    let stored = progress::untold(|| pg::receiving_utf8(|| copy(table, columns)));
    pg::next_command();
    stored
}

fn copy(table: pg_sys::Oid, columns: &[&str]) -> u64 {
    let relation = lock::open_for_writing(table);
    // SAFETY: every pointer below comes from palloc in the current memory context, which outlives COPY;
    // the calls are those of the server's own logical replication for its initial copy (tablesync.c).
    unsafe {
        let state = pg_sys::make_parsestate(std::ptr::null_mut());
        pg_sys::addRangeTableEntryForRelation(
            state,
            relation.as_ptr(),
            pg_sys::RowExclusiveLock.cast_signed(),
            std::ptr::null_mut(),
            false,
            false,
        );
        let mut names = std::ptr::null_mut();
        for column in columns {
            names = pg_sys::lappend(names, string_node(column));
        }
        let binary = pg_sys::makeDefElem(pstrdup("format"), string_node("binary").cast(), -1);
        let options = pg_sys::lappend(std::ptr::null_mut(), binary.cast());
        let copy = pg_sys::BeginCopyFrom(
            state,
            relation.as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null(),
            false,
            Some(feed),
            names,
            options,
        );
        let stored = pg_sys::CopyFrom(copy);
        pg_sys::EndCopyFrom(copy);
        pg_sys::free_parsestate(state);
        stored
    }
}

/// A String node of the parser.
///
/// # Safety
/// On the backend's thread, with a memory context that outlives the node's use.
unsafe fn string_node(text: &str) -> *mut c_void {
    // SAFETY: as this function's own.
    unsafe { pg_sys::makeString(pstrdup(text)).cast() }
}

/// A terminated copy of `text` in the current memory context.
///
/// # Safety
/// On the backend's thread; `text` has no U+0000 (it is a column's name or a word of ours).
unsafe fn pstrdup(text: &str) -> *mut std::ffi::c_char {
    // SAFETY: pnstrdup reads at most `len` bytes and terminates its copy.
    unsafe { pg_sys::pnstrdup(text.as_ptr().cast(), text.len()) }
}
