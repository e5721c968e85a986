//! The few calls into the server's C code that need no file of their own.

use std::ffi::{CStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::{FromDatum, PgMemoryContexts, pg_sys};
use vector_migrate_core::embed::onnx::TELEMETRY_SWITCH;
use vector_migrate_core::source::chroma::remove_copies;

/// Refuses settings of this prefix that nobody registered.
pub fn reserve_prefix(prefix: &'static CStr) {
    // SAFETY: MarkGUCPrefixReserved (guc.c; in 14 EmitWarningsOnPlaceholders) takes a terminated text, which it copies. It is called
    // from _PG_init after every setting is registered: what is not by then, it warns of or removes.
    unsafe {
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(prefix.as_ptr());
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(prefix.as_ptr());
    }
}

/// Sets the process's environment as this library needs it.
///
/// ONNX Runtime's usage data is turned off: without the switch its environment opens a database of events
/// in the home directory, starts a thread for it and may upload it. No network access at run time, ever.
/// Backtraces are, too: pgrx captures one for each error that it carries, which is slow for rows that the
/// server refuses one by one, and shows it to the user.
pub fn set_environment() {
    // SAFETY: set_var (std's env.rs) wants that no other thread reads the environment: _PG_init is called by internal_load_library
    // (dfmgr.c) before this library starts a thread, and a backend has none of its own.
    unsafe {
        std::env::set_var(TELEMETRY_SWITCH, "1");
        std::env::set_var("RUST_LIB_BACKTRACE", "0");
    }
}

/// The server's share directory (`pg_config --sharedir`).
pub fn share_directory() -> PathBuf {
    let mut buffer = vec![0; pg_sys::MAXPGPATH as usize];
    // SAFETY: get_share_path (path.c) writes a terminated path of at most MAXPGPATH bytes; my_exec_path (globals.c) is an array that
    // getInstallationPaths (postmaster.c) fills before there is a backend.
    let path = unsafe {
        pg_sys::get_share_path(
            (&raw const pg_sys::my_exec_path).cast(),
            buffer.as_mut_ptr(),
        );
        CStr::from_ptr(buffer.as_ptr())
    };
    PathBuf::from(std::ffi::OsStr::from_bytes(path.to_bytes()))
}

/// The server's library directory (`pg_config --pkglibdir`).
pub fn library_directory() -> PathBuf {
    // SAFETY: pkglib_path (globals.c) is a terminated path, which getInstallationPaths (postmaster.c) sets before there is a backend.
    let path = unsafe { CStr::from_ptr((&raw const pg_sys::pkglib_path).cast()) };
    PathBuf::from(std::ffi::OsStr::from_bytes(path.to_bytes()))
}

/// The server's own folder for temporary files; what a crash leaves in it under the server's prefix, the
/// next start removes.
pub fn temporary_directory() -> PathBuf {
    // SAFETY: DataDir (globals.c) is a terminated path of malloc, which SetDataDir (miscinit.c) sets before there is a backend.
    let data = unsafe { CStr::from_ptr(pg_sys::DataDir) };
    PathBuf::from(std::ffi::OsStr::from_bytes(data.to_bytes())).join("base/pgsql_tmp")
}

/// Bytes that temporary files of this session may take (`temp_file_limit`); `None`: no limit.
pub fn temporary_limit() -> Option<u64> {
    // SAFETY: a plain read of a setting (guc.c's variable) on the backend's thread.
    let kilobytes = unsafe { pg_sys::temp_file_limit };
    u64::try_from(kilobytes).ok()?.checked_mul(1024)
}

/// Counts a temporary file of so many bytes in `pg_stat_database`, as the server does when it closes one of its own.
pub fn count_temporary_file(bytes: u64) {
    // SAFETY: pgstat_report_tempfile (pgstat_database.c, in 14 pgstat.c) keeps the figure for the next report, in a backend that is
    // connected to a database; pgrx's guard takes what it may raise.
    unsafe { pg_sys::pgstat_report_tempfile(usize::try_from(bytes).unwrap_or(usize::MAX)) };
}

/// Has the private copies of stores removed when this backend exits, also by a FATAL error, which drops nothing.
pub fn remove_copies_at_exit() {
    static DONE: AtomicBool = AtomicBool::new(false);
    /// # Safety
    /// Touches nothing of the server's: proc_exit_prepare (ipc.c) calls it with any arguments.
    unsafe extern "C-unwind" fn remove(_: c_int, _: pg_sys::Datum) {
        // A panic here would become an error inside the exit.
        let _ = std::panic::catch_unwind(remove_copies);
    }
    if !DONE.swap(true, Ordering::Relaxed) {
        // SAFETY: the function is of this library, which stays loaded until the process ends (dfmgr.c unloads none).
        // on_proc_exit (ipc.c) raises FATAL if its twenty places are taken.
        unsafe { pg_sys::on_proc_exit(Some(remove), pg_sys::Datum::from(0)) };
    }
}

/// Kilobytes that the session allows for building an index (`maintenance_work_mem`).
pub fn maintenance_work_mem() -> u64 {
    // SAFETY: a plain read of a setting (globals.c's variable) on the backend's thread.
    u64::try_from(unsafe { pg_sys::maintenance_work_mem }).unwrap_or(0)
}

/// Threads that may work on an index at once, this one included: one more than the parallel workers that the session allows
/// for it (`max_parallel_maintenance_workers`), and no more than there are processors.
pub fn index_threads() -> usize {
    // SAFETY: a plain read of a setting (globals.c's variable) on the backend's thread.
    let workers = unsafe { pg_sys::max_parallel_maintenance_workers };
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    usize::try_from(workers)
        .unwrap_or(0)
        .saturating_add(1)
        .min(processors)
}

/// Parallel workers that the server has at all.
pub fn parallel_workers() -> u32 {
    // SAFETY: plain reads of settings (globals.c's variables) on the backend's thread.
    let workers = unsafe { pg_sys::max_parallel_workers.min(pg_sys::max_worker_processes) };
    u32::try_from(workers).unwrap_or(0)
}

/// Bytes of shared memory that can still be had for parallel workers; `None` where nothing limits it. Containers often have
/// 64 MB of POSIX shared memory, and a build that asks for more fails (dsm_impl_posix in dsm_impl.c).
pub fn shared_memory_room() -> Option<u64> {
    // SAFETY: a plain read of a setting (dsm_impl.c's variable) on the backend's thread.
    let posix = unsafe { pg_sys::dynamic_shared_memory_type } == DSM_POSIX;
    let room = || {
        let mut figures = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: statvfs (sys/statvfs.h) of a terminated path; it fills the struct in if it returns 0 (std's own use of it).
        unsafe {
            (libc::statvfs(c"/dev/shm".as_ptr(), figures.as_mut_ptr()) == 0)
                .then(|| figures.assume_init())
        }
    };
    let figures = posix.then(room).flatten()?;
    Some(figures.f_bavail.saturating_mul(figures.f_frsize))
}

/// The server's number of POSIX shared memory (`DSM_IMPL_POSIX` in dsm_impl.h).
const DSM_POSIX: c_int = 1;

/// Whether the transaction may write; a standby's may not either.
pub fn can_write() -> bool {
    // SAFETY: XactReadOnly (xact.c's variable) is read on the backend's thread; RecoveryInProgress (xlog.c) raises nothing.
    unsafe { !pg_sys::XactReadOnly && !pg_sys::RecoveryInProgress() }
}

/// The (sub)transaction that rows written now carry in `xmin`.
pub fn current_xid() -> u32 {
    // SAFETY: GetCurrentTransactionId (xact.c), inside a transaction, assigns an id if there is none yet; callers are about to write
    // or have written.
    unsafe { u32::from(pg_sys::GetCurrentTransactionId()) }
}

/// The same with its epoch: a number that is never used again.
pub fn current_full_xid() -> u64 {
    // SAFETY: GetCurrentFullTransactionId (xact.c), as in current_xid.
    unsafe { pg_sys::GetCurrentFullTransactionId().value }
}

/// The number, with its epoch, that the next transaction to write will get; on a standby, as far as it has come.
pub fn next_full_xid() -> u64 {
    // SAFETY: ReadNextFullTransactionId (varsup.c) reads a shared variable under its lock, and raises nothing.
    unsafe { pg_sys::ReadNextFullTransactionId().value }
}

/// Runs `work` with a memory context of its own, so that what it allocates is gone afterwards. The result must not point
/// into the server's memory.
pub fn with_memory_of_its_own<R>(work: impl FnOnce() -> R) -> R {
    struct Restore {
        before: pg_sys::MemoryContext,
        own: Option<PgMemoryContexts>,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: MemoryContextSwitchTo (palloc.h): the context was current before, and it is the parent of ours
            // (`PgMemoryContexts::new` in pgrx's memcxt.rs), so it is there for as long as ours. Ours is deleted after that, by pgrx's
            // OwnedMemoryContext (MemoryContextDelete in mcxt.c); an error in `work` unwinds to here before anything resets either.
            unsafe { pg_sys::MemoryContextSwitchTo(self.before) };
            drop(self.own.take());
        }
    }
    let own = PgMemoryContexts::new("vector_migrate step");
    // SAFETY: MemoryContextSwitchTo (palloc.h) to a context that lives until the guard drops.
    let _restore = unsafe {
        let before = pg_sys::MemoryContextSwitchTo(own.value());
        Restore {
            before,
            own: Some(own),
        }
    };
    work()
}

/// Makes the rows written so far visible to the next command.
pub fn next_command() {
    // SAFETY: CommandCounterIncrement (xact.c) inside a transaction; it raises in a parallel worker, and pgrx's guard takes that.
    unsafe { pg_sys::CommandCounterIncrement() }
}

/// What a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapshot {
    /// What the transaction's next statement would see.
    Transaction,
    /// What is committed now, in every isolation level.
    Latest,
}

/// Runs `work` with a new snapshot, which queries that SPI takes for read-only use. An error leaves it to the end of the
/// (sub)transaction.
pub fn under_snapshot<R>(snapshot: Snapshot, work: impl FnOnce() -> R) -> R {
    // SAFETY: PushActiveSnapshot (snapmgr.c) copies both snapshots that it is given here, as they are the transaction's own. It is
    // popped by PopActiveSnapshot as `work` returns, which has popped its own by then, or after an error by AtSubAbort_Snapshot
    // or AtEOXact_Snapshot: never by a destructor, which could come before inner ones are popped.
    unsafe {
        pg_sys::PushActiveSnapshot(match snapshot {
            Snapshot::Transaction => pg_sys::GetTransactionSnapshot(),
            Snapshot::Latest => pg_sys::GetLatestSnapshot(),
        });
    }
    let result = work();
    // SAFETY: PopActiveSnapshot (snapmgr.c) of what was pushed, as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Whether row-level security of the table applies to the current role.
pub fn row_security_applies(table: pg_sys::Oid) -> bool {
    // SAFETY: check_enable_rls (rls.c) takes any OID, gives RLS_NONE for one that is gone, and with noError raises nothing.
    let verdict = unsafe { pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true) };
    verdict == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
}

/// Whether the database's encoding is UTF-8, as Chroma's texts are.
pub fn is_utf8() -> bool {
    // SAFETY: GetDatabaseEncoding (mbutils.c) reads one variable, on the backend's thread.
    unsafe { pg_sys::GetDatabaseEncoding() == UTF8 }
}

/// PostgreSQL's number of UTF-8.
const UTF8: c_int = pg_sys::pg_enc::PG_UTF8 as c_int;

/// The next number of a sequence, as `nextval` gives it: the role needs USAGE or UPDATE on it.
pub fn next_number(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: OidFunctionCall1Coll (fmgr.c) calls nextval_oid (sequence.c), which takes the OID of a sequence and gives an int8; it
    // opens what it needs itself, as where COPY evaluates a column's default. FromDatum (pgrx's datum/from.rs) reads an int8.
    unsafe {
        let function = pg_sys::Oid::from(NEXTVAL);
        let number = pg_sys::OidFunctionCall1Coll(function, pg_sys::InvalidOid, sequence.into());
        i64::from_datum(number, false).unwrap_or_default()
    }
}

/// OID of the function `nextval(regclass)` (pg_proc.dat).
const NEXTVAL: u32 = 1574;
