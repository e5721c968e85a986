//! The rows of a query, taken one by one as the executor makes them: none is copied, none is kept.

use std::ffi::{CString, c_int};
use std::ops::ControlFlow;

use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::error::Error;

/// A row of texts.
pub struct Texts<'r> {
    values: &'r [pg_sys::Datum],
    nulls: &'r [bool],
}

impl Texts<'_> {
    /// The text at `column`, counted from 0; `None` for NULL.
    pub fn get(&self, column: usize) -> Option<&str> {
        let (value, null) = (self.values.get(column)?, self.nulls.get(column)?);
        // SAFETY: from_datum (pgrx's datum/from.rs) of a text, as `each_text` promises of every column; the row is the executor's
        // current one, which stays until `receive` returns (ExecutePlan in execMain.c), and `Texts` is borrowed no longer. A value that
        // is stored compressed is copied, into the query's memory.
        unsafe { <&str>::from_datum(*value, *null) }
    }
}

/// What takes a row.
type Take<'t> = dyn FnMut(&Texts<'_>) -> ControlFlow<()> + 't;

/// The executor's destination: its own head first, as C would have it.
#[repr(C)]
struct Taker<'a, 't> {
    head: pg_sys::DestReceiver,
    take: &'a mut Take<'t>,
}

/// Runs a query that only reads, whose columns are all of type text and whose one parameter is a text[], and gives
/// each row to `take` until that breaks. `take` must not run a query.
///
/// # Errors
/// [`Error::Bug`]; the server's own are raised.
pub fn each_text(sql: &str, parameter: &[String], take: &mut Take<'_>) -> Result<(), Error> {
    let bug = |what: &str| Error::Bug(format!("{what}: {sql}"));
    let query = CString::new(sql).map_err(|_| bug("a query with U+0000"))?;
    let mut taker = Taker {
        head: pg_sys::DestReceiver {
            receiveSlot: Some(receive),
            rStartup: Some(start),
            rShutdown: Some(end),
            rDestroy: Some(end),
            // Any but SPI's own, which would be looked into for a table of rows.
            mydest: pg_sys::CommandDest::DestTuplestore,
        },
        take,
    };
    let parameter = parameter.to_vec().into_datum();
    let code = Spi::connect_mut(|_| {
        // SAFETY: SPI_execute_extended (spi.c), connected to SPI, calls the receiver from inside of it only, and reads query and
        // parameter no longer than that: all three live as long as the call. makeParamList (params.c) has room for the one
        // parameter, which is of the type that it is said to have.
        unsafe {
            let parameters = pg_sys::makeParamList(1);
            *(*parameters).params.as_mut_ptr() = pg_sys::ParamExternData {
                isnull: parameter.is_none(),
                value: parameter.unwrap_or(pg_sys::Datum::from(0)),
                pflags: pg_sys::PARAM_FLAG_CONST as u16,
                ptype: pg_sys::TEXTARRAYOID,
            };
            let options = pg_sys::SPIExecuteOptions {
                params: parameters,
                dest: (&raw mut taker).cast(),
                ..Default::default()
            };
            pg_sys::SPI_execute_extended(query.as_ptr(), &raw const options)
        }
    });
    if code < 0 {
        return Err(bug("a query that SPI does not take"));
    }
    Ok(())
}

/// Gives the row to the taker; whether it wants more.
///
/// # Safety
/// `this` is a [`Taker`], `slot` a row of texts.
#[pg_guard]
unsafe extern "C-unwind" fn receive(
    slot: *mut pg_sys::TupleTableSlot,
    this: *mut pg_sys::DestReceiver,
) -> bool {
    // SAFETY: MakeTupleTableSlot (execTuples.c) gives the arrays as many elements as the descriptor has columns; all of them are
    // valid after slot_getsomeattrs_int (execTuples.c), which is for those that are not yet. `this` is as this function wants it:
    // ExecutePlan (execMain.c) hands on the receiver that it was given. An error of the taker passes as pgrx's guard turns it into
    // one of the server's.
    unsafe {
        let columns = (*(*slot).tts_tupleDescriptor).natts;
        if c_int::from((*slot).tts_nvalid) < columns {
            pg_sys::slot_getsomeattrs_int(slot, columns);
        }
        let columns = usize::try_from(columns).unwrap_or(0);
        let row = Texts {
            values: std::slice::from_raw_parts((*slot).tts_values, columns),
            nulls: std::slice::from_raw_parts((*slot).tts_isnull, columns),
        };
        let this = this.cast::<Taker<'_, '_>>();
        ((*this).take)(&row).is_continue()
    }
}

/// Nothing is to be done before the first row.
extern "C-unwind" fn start(_: *mut pg_sys::DestReceiver, _: c_int, _: pg_sys::TupleDesc) {}

/// Nothing is to be done after the last one: the taker is its caller's.
extern "C-unwind" fn end(_: *mut pg_sys::DestReceiver) {}
