//! Reading SQLite files that may be hostile, damaged or in use.
//!
//! Stage: source. Promise: nothing is written but private copies; SQLite opens only what the open persist directory holds.
//! May import `files`, `record`, rusqlite; no other folder of this source.
//!
//! ```text
//! header           the first 100 bytes of a file
//! first_page       whether only the beginning of a file is lost
//! database_file    the file beside SQLite: its one descriptor, its locks
//! system_calls     how SQLite reaches a store's files (unsafe)
//! errors           SQLite's errors
//! connection       a connection as it is configured here
//! database         an open database: its tables, statements, its backup
//! columns          values of columns
//! rowids           rowids in ranges
//! ```

pub(super) mod columns;
pub(super) mod connection;
pub(super) mod database;
pub(super) mod database_file;
pub(super) mod errors;
mod first_page;
pub(super) mod header;
pub(super) mod rowids;
#[allow(unsafe_code)]
pub(super) mod system_calls;
