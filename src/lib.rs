//! vector_migrate: ChromaDB persist directories into pgvector tables, inside PostgreSQL.
//!
//! ```text
//! persist dir -> source -> record -> map -> encode -> embed -> sink -> index -> ledger -> report
//!               '------ vector_migrate_core, on its own thread ------'  '--- this crate ----'
//!    access guards this edge        interrupt ticks between batches        error guards the SQL edge
//! ```
//!
//! | module | what it is | unsafe |
//! | --- | --- | --- |
//! | `api` | every SQL function: check arguments, check access, call, convert | no |
//! | `access` | who may read which path | no |
//! | `guc` | the settings | no |
//! | `error` | every error with its SQLSTATE | no |
//! | `query` | Chroma's own queries over a table | no |
//! | `reader` | the reader's thread, as the backend sees it | no |
//! | `run` | one `migrate_chroma` call from plan to report | no |
//! | `tables` | the tables: described, created | no |
//! | `sink` | records sorted out, embedded, loaded, recorded | no |
//! | `load` | rows into one table: directly, or by the executor | `after`, `conversion`, `decode`, `defaults`, `bulk_rows`, `direct`, `way` |
//! | `index` | the vector index: imported from Chroma's graph, or built | `buffers`, `define`, `fill`, `late`, `opened`, `scan`, `search`, `values` |
//! | `lock` | locks on tables, held to the end of the transaction | yes |
//! | `ledger` | which run put which row where, and undoing it | `owner` |
//! | `verify` | a run's tables compared with its store | no |
//! | `message` | NOTICE, WARNING, DEBUG | yes |
//! | `model` | the embedder of this backend | no |
//! | `interrupt` | cancels, and threads that take no signals | yes |
//! | `settings` | settings for the length of a statement | yes |
//! | `spi` | one-line queries | no |
//! | `rows` | a query's rows as the executor makes them | yes |
//! | `subxact` | subtransactions | yes |
//! | `pg` | the few C calls that need no file of their own | yes |
//! | `progress` | `pg_stat_progress_copy` for a whole run | yes |
//! | `image` | values made by the reader as return values | yes |
//! | `jsonb` | jsonb arguments as text, a table's jsonb as a return value | yes |
//! | `vector` | pgvector's type as an argument and a return value | yes |
//!
//! Errors of the server come as panics, which unwind: every function of pgrx's bindings is guarded. Not guarded are three kinds of
//! call, none of which can raise where it is made: ereport's own functions below ERROR, which `message` guards itself;
//! `tts_virtual_clear` (execTuples.c) by its pointer in `load::direct`, which frees nothing, as those slots own no memory; and plain reads and
//! writes of the server's variables. An expression is evaluated by its pointer in `load::defaults`, guarded there. Functions given to the server
//! from Rust (`load::bulk_rows`, `rows`) are `#[pg_guard]`.

#![deny(rustdoc::broken_intra_doc_links)]

// pgrx turns every error of the server into a panic, which has to unwind to the function that the server called: there
// it becomes an error again. Built with `panic = "abort"`, each ERROR would end the backend, and with it every session.
#[cfg(not(panic = "unwind"))]
compile_error!("vector_migrate has to be built with panic = \"unwind\"");

use pgrx::prelude::*;

mod access;
mod api;
mod error;
mod guc;
#[allow(unsafe_code)]
mod image;
mod index;
#[allow(unsafe_code)]
mod interrupt;
#[allow(unsafe_code)]
mod jsonb;
mod ledger;
mod load;
#[allow(unsafe_code)]
mod lock;
#[allow(unsafe_code)]
mod message;
mod model;
#[allow(unsafe_code)]
mod pg;
#[allow(unsafe_code)]
mod progress;
mod query;
mod reader;
#[allow(unsafe_code)]
mod rows;
mod run;
#[allow(unsafe_code)]
mod settings;
mod sink;
mod spi;
#[allow(unsafe_code)]
mod subxact;
mod tables;
#[allow(unsafe_code)]
mod vector;
mod verify;

pgrx::pg_module_magic!(name, version);

extension_sql_file!("../sql/bootstrap.sql", name = "bootstrap", bootstrap);
extension_sql_file!("../sql/privileges.sql", name = "privileges", finalize);

/// Called by the server when the library is loaded: registers the settings, starts nothing.
#[pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    guc::register();
    pg::set_environment();
}
