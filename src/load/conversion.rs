//! What a value needs, beyond being one, to be its column's: the modifier's and the domain's word, and types that take text.
//!
//! Promise: what INSERT would raise is raised, and nothing is cut: INSERT assigns a value of the column's own type and
//! modifier as it is.

use std::ffi::c_void;

use pgrx::pg_sys::submodules::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

/// How a written value becomes one of a column's base type.
#[derive(Debug)]
pub(super) enum Conversion {
    /// It is one.
    None,
    /// The type's own function for its modifier, as the n of varchar(n).
    Length {
        /// The function: a value, the modifier, and perhaps whether it is a cast.
        function: pg_sys::Oid,
        modifier: i32,
    },
    /// By way of text: the modifier of an array's elements.
    Reread { output: pg_sys::Oid, input: Input },
    /// Text that the type's input function reads: an enum's, a citext's.
    Text(Input),
}

/// A type's input function.
#[derive(Debug)]
pub(super) struct Input {
    function: pg_sys::Oid,
    parameter: pg_sys::Oid,
    modifier: i32,
    /// Bytes that the type takes, if it would cut longer text: `name`.
    most: Option<usize>,
    ty: pg_sys::Oid,
}

impl Conversion {
    /// What values of the base type `ty` need for a column with this modifier, which are written as such.
    pub fn of_value(ty: pg_sys::Oid, modifier: i32) -> Conversion {
        if modifier < 0 {
            return Conversion::None;
        }
        let mut function = pg_sys::InvalidOid;
        // SAFETY: find_typmod_coercion_function (parse_coerce.c) looks at the catalog, which knows a column's type.
        let path = unsafe { pg_sys::find_typmod_coercion_function(ty, &mut function) };
        match path {
            pg_sys::CoercionPathType::COERCION_PATH_FUNC => {
                Conversion::Length { function, modifier }
            }
            pg_sys::CoercionPathType::COERCION_PATH_ARRAYCOERCE => {
                let (mut output, mut varlena) = (pg_sys::InvalidOid, false);
                // SAFETY: getTypeOutputInfo (lsyscache.c) looks at the catalog, which knows a column's type.
                unsafe { pg_sys::getTypeOutputInfo(ty, &mut output, &mut varlena) };
                let input = Input::of(ty, modifier);
                Conversion::Reread { output, input }
            }
            _ => Conversion::None,
        }
    }

    /// The value of the column, in the current memory context if it is another.
    ///
    /// # Safety
    /// On the backend's thread; `value` points to one as it is written for this conversion.
    pub unsafe fn apply(&self, value: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: build_coercion_expression (parse_coerce.c): a length coercion takes the value, the modifier and, if it has a
        // third argument, whether it is a cast; an assignment's is none. One of two arguments does not look at a third. An output
        // function (fmgr.c) takes a value of its type, and gives a terminated text.
        unsafe {
            match self {
                Conversion::None => value,
                Conversion::Length { function, modifier } => {
                    let none = pg_sys::InvalidOid;
                    let (modifier, cast) = (pg_sys::Datum::from(*modifier), false.into());
                    pg_sys::OidFunctionCall3Coll(*function, none, value, modifier, cast)
                }
                Conversion::Reread { output, input } => {
                    input.read(pg_sys::OidOutputFunctionCall(*output, value))
                }
                Conversion::Text(input) => {
                    input.read(pg_sys::text_to_cstring(value.cast_mut_ptr()))
                }
            }
        }
    }
}

impl Input {
    /// The input function of the base type `ty`, for a column with this modifier.
    pub fn of(ty: pg_sys::Oid, modifier: i32) -> Input {
        let (mut function, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        // SAFETY: getTypeInputInfo and get_typlen (lsyscache.c) look at the catalog, which knows a column's type.
        let length = unsafe {
            pg_sys::getTypeInputInfo(ty, &mut function, &mut parameter);
            pg_sys::get_typlen(ty)
        };
        // A type of text of fixed length keeps it with a zero behind it, but for a single character.
        let most = match (usize::try_from(length), ty) {
            (Ok(bytes), pg_sys::NAMEOID) => Some(bytes.saturating_sub(1)),
            (Ok(bytes), pg_sys::CHAROID) => Some(bytes),
            _ => None,
        };
        Input {
            function,
            parameter,
            modifier,
            most,
            ty,
        }
    }

    /// # Safety
    /// On the backend's thread; `text` is terminated.
    unsafe fn read(&self, text: *mut std::ffi::c_char) -> pg_sys::Datum {
        // SAFETY: OidInputFunctionCall (fmgr.c) takes a terminated text, and what getTypeInputInfo and the column's modifier gave.
        unsafe {
            let length = std::ffi::CStr::from_ptr(text).count_bytes();
            if self.most.is_some_and(|most| length > most) {
                too_long(length, self.ty);
            }
            pg_sys::OidInputFunctionCall(self.function, text, self.parameter, self.modifier)
        }
    }
}

/// Raises the error of a text that its type would cut.
fn too_long(bytes: usize, ty: pg_sys::Oid) -> ! {
    let code = PgSqlErrorCode::ERRCODE_STRING_DATA_RIGHT_TRUNCATION;
    let name = match ty {
        pg_sys::NAMEOID => "name",
        _ => "\"char\"",
    };
    let message = format!("value of {bytes} bytes is too long for type {name}");
    ErrorReport::new(code, message, "vector_migrate").report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// A domain's checks.
#[derive(Debug)]
pub(super) struct Domain {
    ty: pg_sys::Oid,
    /// What the server keeps between two checks, in `memory`.
    kept: std::cell::Cell<*mut c_void>,
    memory: pg_sys::MemoryContext,
}

impl Domain {
    /// The domain `ty`, for as long as the current memory context lives.
    pub fn new(ty: pg_sys::Oid) -> Domain {
        Domain {
            ty,
            kept: std::cell::Cell::new(std::ptr::null_mut()),
            // SAFETY: a plain read of backend state on the backend's thread (mcxt.c).
            memory: unsafe { pg_sys::CurrentMemoryContext },
        }
    }

    /// Raises the error of a value, or NULL, that the domain refuses.
    ///
    /// # Safety
    /// On the backend's thread, while the memory context of [`Domain::new`] lives; the value is of the domain's base type.
    pub unsafe fn check(&self, value: pg_sys::Datum, null: bool) {
        let mut kept = self.kept.get();
        // SAFETY: domain_check (domains.c) takes a value of the base type; what it keeps is allocated in the memory context given,
        // and is given back to it.
        unsafe { pg_sys::domain_check(value, null, self.ty, &mut kept, self.memory) };
        self.kept.set(kept);
    }
}
