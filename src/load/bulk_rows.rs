//! `vector_migrate.bulk_rows`: a load's tuples as rows of its table's type, for statements of the extension's own.
//!
//! A function has no argument for what it reads from, so that is on top of a stack of this thread: a trigger may begin a
//! load of its own, which ends before the one below goes on.

use std::cell::RefCell;
use std::marker::PhantomData;

use pgrx::prelude::*;
use pgrx::{PgRelation, pg_sys};

use super::Supply;
use super::decode::Decoder;

/// What one statement reads.
struct Feed {
    supply: *mut dyn Supply,
    decoder: *const Decoder<'static>,
    relation: pg_sys::Relation,
    piece: *const [u8],
    at: usize,
    ended: bool,
    /// It was read from before.
    started: bool,
    /// The scan that reads it.
    scan: *const pg_sys::FmgrInfo,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

thread_local! {
    static FEEDS: RefCell<Vec<Option<Feed>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the feed away again, also when an error passes; what it points to is borrowed for so long.
struct FeedGuard<'a> {
    depth: usize,
    borrowed: PhantomData<&'a mut dyn Supply>,
}

impl Drop for FeedGuard<'_> {
    fn drop(&mut self) {
        FEEDS.with_borrow_mut(|feeds| feeds.truncate(self.depth));
    }
}

impl<'a> FeedGuard<'a> {
    fn push(
        relation: &'a PgRelation,
        decoder: &'a Decoder<'_>,
        supply: &'a mut dyn Supply,
    ) -> FeedGuard<'a> {
        let supply: *mut (dyn Supply + 'a) = supply;
        let feed = Feed {
            // SAFETY: std::mem::transmute: only the lifetime is forgotten; the guard keeps it, and takes the feed away when it ends.
            supply: unsafe {
                std::mem::transmute::<*mut (dyn Supply + 'a), *mut dyn Supply>(supply)
            },
            decoder: (&raw const *decoder).cast(),
            relation: relation.as_ptr(),
            piece: &[],
            at: 0,
            ended: false,
            started: false,
            scan: std::ptr::null(),
            values: vec![pg_sys::Datum::from(0); decoder.columns()],
            nulls: vec![true; decoder.columns()],
        };
        FEEDS.with_borrow_mut(|feeds| {
            feeds.push(Some(feed));
            FeedGuard {
                depth: feeds.len() - 1,
                borrowed: PhantomData,
            }
        })
    }
}

/// Runs `statement`, in which the function gives what the supply has as rows of the relation's type.
pub(super) fn supplying<R>(
    relation: &PgRelation,
    decoder: &Decoder<'_>,
    supply: &mut dyn Supply,
    statement: impl FnOnce() -> R,
) -> R {
    let _feed = FeedGuard::push(relation, decoder, supply);
    statement()
}

impl Feed {
    /// Begins to give rows: all of them again, if it has given some.
    ///
    /// # Safety
    /// As [`Feed::next`].
    unsafe fn begin(&mut self) {
        if std::mem::replace(&mut self.started, true) {
            // SAFETY: FeedGuard (this file; std's PhantomData) borrows the supply for as long as this feed is on the stack.
            unsafe { (*self.supply).rewind() };
            (self.piece, self.at, self.ended) = (&[], 0, false);
        }
    }

    /// The next row as a value of the table's type, in the current memory context; `None` at the end.
    ///
    /// # Safety
    /// The guard that [`FeedGuard::push`] gave is there.
    unsafe fn next(&mut self) -> Option<pg_sys::Datum> {
        // SAFETY: heap_form_tuple (heaptuple.c) copies the values into a tuple with the descriptor's row type, of which
        // HeapTupleHeaderGetDatum (execTuples.c) makes a Datum. FeedGuard borrows supply and decoder for as long as this feed is on
        // the stack, and nobody else reaches them; a piece is not written to before the supply is asked again.
        unsafe {
            if self.at >= self.piece.len() && !self.ended {
                self.piece = (*self.supply).more();
                self.at = 0;
                self.ended = self.piece.is_empty();
            }
            if self.ended {
                return None;
            }
            let (values, nulls) = (&mut self.values, &mut self.nulls);
            let Some(end) = (*self.decoder).decode(&*self.piece, self.at, values, nulls) else {
                error!("an encoded tuple does not have the table's columns");
            };
            if end - self.at > MOST {
                too_large(end - self.at);
            }
            self.at = end;
            let descriptor = (*self.relation).rd_att;
            let tuple =
                pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            Some(pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data))
        }
    }
}

/// Bytes of a row that is one value: a little less than the 1 GB that palloc gives (`MaxAllocSize` in memutils.h).
const MOST: usize = 0x3FFF_0000;

fn too_large(bytes: usize) -> ! {
    ereport!(
        ERROR,
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!(
            "a row of {bytes} bytes is beyond PostgreSQL's limit of 1 GB for a row that INSERT takes"
        )
    );
}

fn not_loading() -> ! {
    ereport!(
        ERROR,
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "vector_migrate.bulk_rows gives rows to the extension's own statements only"
    );
}

/// The call's information that CREATE FUNCTION asks for.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_vector_migrate_bulk_rows() -> &'static pg_sys::Pg_finfo_record {
    const VERSION_1: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &VERSION_1
}

/// The SQL function: each call gives a row, the last one the end.
///
/// # Safety
/// The server calls it, as sql/bootstrap.sql declares it.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn vector_migrate_bulk_rows(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    let value_per_call = pg_sys::SetFunctionReturnMode::SFRM_ValuePerCall.cast_signed();
    // SAFETY: ExecMakeFunctionResultSet (execSRF.c) puts a ReturnSetInfo there for a function that returns a set, with the modes
    // that the caller can take; get_fn_expr_argtype (fmgr.c) reads the call's expression.
    let (result, wanted) = unsafe {
        let result = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
        (result, pg_sys::get_fn_expr_argtype((*fcinfo).flinfo, 0))
    };
    // SAFETY: as above, ExecMakeFunctionResultSet (execSRF.c).
    if result.is_null() || unsafe { (*result).allowedModes } & value_per_call == 0 {
        not_loading();
    }
    // Off the stack meanwhile: the supply may raise, and may wait.
    let feed = FEEDS.with_borrow_mut(|feeds| feeds.last_mut().and_then(Option::take));
    let Some(mut feed) = feed else { not_loading() };
    // SAFETY: RelationIncrementReferenceCount (relcache.c): the guard's relation is open.
    let ty = unsafe { (*(*feed.relation).rd_rel).reltype };
    // A trigger that calls the function in the middle of another scan is no statement of ours.
    // SAFETY: fmgr_info (fmgr.c) has filled what the call points to; each scan of a statement has its own.
    let scan = unsafe { (*fcinfo).flinfo.cast_const() };
    if ty != wanted || !(feed.scan.is_null() || feed.scan == scan) {
        FEEDS.with_borrow_mut(|feeds| give_back(feeds, feed));
        not_loading();
    }
    // SAFETY: SPI_execute (spi.c) has ended before the guard of the feed on top is dropped, by the caller of the statement.
    let row = unsafe {
        if feed.scan.is_null() {
            feed.begin();
        }
        feed.next()
    };
    feed.scan = match row {
        Some(_) => scan,
        None => std::ptr::null(),
    };
    FEEDS.with_borrow_mut(|feeds| give_back(feeds, feed));
    let done = match row {
        Some(_) => pg_sys::ExprDoneCond::ExprMultipleResult,
        None => pg_sys::ExprDoneCond::ExprEndResult,
    };
    // SAFETY: as above, ExecMakeFunctionResultSet (execSRF.c) reads both after the call.
    unsafe {
        (*result).isDone = done;
        (*fcinfo).isnull = row.is_none();
    }
    row.unwrap_or(pg_sys::Datum::from(0))
}

fn give_back(feeds: &mut [Option<Feed>], feed: Feed) {
    if let Some(top) = feeds.last_mut() {
        *top = Some(feed);
    }
}
