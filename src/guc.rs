//! The settings, all under `vector_migrate.`.
//!
//! What names a path or raises a ceiling is for superusers; the rest is anybody's.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

use crate::pg;

static MODEL_PATH: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static ONNXRUNTIME_PATH: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c""));
static ALLOWED_ROOTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static MAX_MEMORY_MB: GucSetting<i32> = GucSetting::<i32>::new(1024);
static EMBED_THREADS: GucSetting<i32> = GucSetting::<i32>::new(0);
static EMBED_BATCH_TOKENS: GucSetting<i32> = GucSetting::<i32>::new(2048);
static MODEL_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(60_000);
static QUERY_PREFIX: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static PASSAGE_PREFIX: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static CHECK_MODEL: GucSetting<bool> = GucSetting::<bool>::new(true);
static BATCH_BYTES: GucSetting<i32> = GucSetting::<i32>::new(2048);
static DIRECT_LOAD: GucSetting<bool> = GucSetting::<bool>::new(true);
static PROGRESS_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5);

/// Steps beyond are no faster, and take gigabytes: all-MiniLM-L6-v2 takes 34 kB a token. What a cancel leaves behind, one
/// operation of the graph, has to end before the session's next text or its end.
const MOST_BATCH_TOKENS: i32 = 16_384;

/// Registers every setting and reserves the prefix.
pub fn register() {
    let none = GucFlags::default();
    let path = GucFlags::SUPERUSER_ONLY;
    GucRegistry::define_string_guc(
        c"vector_migrate.model_path",
        c"Directory of the embedding model.",
        c"Empty: vector_migrate/model in the server's share directory. A change counts for sessions \
          that have not embedded yet.",
        &MODEL_PATH,
        GucContext::Suset,
        path,
    );
    GucRegistry::define_string_guc(
        c"vector_migrate.onnxruntime_path",
        c"Shared library of ONNX Runtime, 1.24 or newer.",
        c"Empty: vector_migrate/libonnxruntime.so in the server's library directory. A change counts \
          for sessions that have not embedded yet.",
        &ONNXRUNTIME_PATH,
        GucContext::Suset,
        path,
    );
    GucRegistry::define_string_guc(
        c"vector_migrate.allowed_roots",
        c"Directories below which persist directories may be read, separated by colons.",
        c"Empty: anywhere. Symbolic links are resolved before the check.",
        &ALLOWED_ROOTS,
        GucContext::Suset,
        path,
    );
    GucRegistry::define_int_guc(
        c"vector_migrate.max_memory_mb",
        c"Memory that a run's batches, and what it keeps of each record's id, may take together.",
        c"Lowers batch_bytes where that would exceed it; a store with too many records for it is refused.",
        &MAX_MEMORY_MB,
        16,
        1_048_576,
        GucContext::Suset,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"vector_migrate.embed_threads",
        c"Threads of the embedding model where many texts are embedded.",
        c"0: half of the processors. More than there are processors are not started. A search has one.",
        &EMBED_THREADS,
        0,
        256,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_int_guc(
        c"vector_migrate.embed_batch_tokens",
        c"Tokens embedded in one step, padding included.",
        c"Texts of like length go through the model together, padded to the longest. Larger takes more memory.",
        &EMBED_BATCH_TOKENS,
        256,
        MOST_BATCH_TOKENS,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_int_guc(
        c"vector_migrate.model_idle_timeout",
        c"Time without texts after which a session's thread of the embedding model ends.",
        c"0: it stays. The model stays in memory; the next text starts a thread again.",
        &MODEL_IDLE_TIMEOUT,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_string_guc(
        c"vector_migrate.query_prefix",
        c"Words that the embedding model wants before the text of a search.",
        c"As in 'query: ' for models of the e5 family. Empty: what the model's own files say, mostly nothing.",
        &QUERY_PREFIX,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_string_guc(
        c"vector_migrate.passage_prefix",
        c"Words that the embedding model wants before a text that is stored.",
        c"As in 'passage: ' for models of the e5 family. Empty: what the model's own files say, mostly nothing.",
        &PASSAGE_PREFIX,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_bool_guc(
        c"vector_migrate.check_model",
        c"Compares a few of the stored vectors that a run migrates with those of the embedding model.",
        c"A run that takes vectors from another model warns, as text searches will not fit them.",
        &CHECK_MODEL,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_int_guc(
        c"vector_migrate.batch_bytes",
        c"Bytes of rows that the reader hands over at once.",
        c"One bulk load takes up to 24 batches; where the server refuses a row, each batch is a load of its own.",
        &BATCH_BYTES,
        64,
        262_144,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_bool_guc(
        c"vector_migrate.direct_load",
        c"Puts rows directly into tables for whose rows nothing is to be done before they are in.",
        c"Off, or where a table has partitions, BEFORE triggers, rules, row-level security or generated columns, it is INSERT.",
        &DIRECT_LOAD,
        GucContext::Userset,
        none,
    );
    GucRegistry::define_int_guc(
        c"vector_migrate.progress_interval",
        c"Seconds between two progress notices of a run.",
        c"0 turns them off.",
        &PROGRESS_INTERVAL,
        0,
        86_400,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    pg::reserve_prefix(c"vector_migrate");
}

fn text(setting: &GucSetting<Option<CString>>) -> Option<String> {
    let text = setting.get()?.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}

/// Directory of the embedding model.
pub fn model_path() -> PathBuf {
    text(&MODEL_PATH).map_or_else(
        || pg::share_directory().join("vector_migrate/model"),
        PathBuf::from,
    )
}

/// Shared library of ONNX Runtime.
pub fn onnxruntime_path() -> PathBuf {
    text(&ONNXRUNTIME_PATH).map_or_else(
        || pg::library_directory().join("vector_migrate/libonnxruntime.so"),
        PathBuf::from,
    )
}

/// Directories below which stores may be read; empty: anywhere.
pub fn allowed_roots() -> Vec<PathBuf> {
    text(&ALLOWED_ROOTS).map_or_else(Vec::new, |roots| {
        roots
            .split(':')
            .filter(|root| !root.is_empty())
            .map(PathBuf::from)
            .collect()
    })
}

/// The memory ceiling of a run, in bytes.
pub fn max_memory_bytes() -> u64 {
    u64::try_from(MAX_MEMORY_MB.get()).unwrap_or(0) * 1024 * 1024
}

/// Bytes in a batch of rows, as set; the memory ceiling may make it less.
pub fn batch_bytes() -> u64 {
    u64::try_from(BATCH_BYTES.get()).unwrap_or(0) * 1024
}

/// Threads of the embedding model for many texts, at least 1 and at most the processors that this process may use (its affinity mask and
/// its control group's quota count). As with max_parallel_workers, a larger setting is no error and has no effect: the
/// number of processors may differ where a dump or a standby brings the setting to.
pub fn embed_threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    match unsigned(EMBED_THREADS.get()) {
        0 => (processors / 2).max(1),
        threads => threads.min(processors),
    }
}

/// Time without texts after which the model's thread ends; `None`: it stays.
pub fn model_idle_timeout() -> Option<Duration> {
    match MODEL_IDLE_TIMEOUT.get() {
        0 => None,
        milliseconds => Some(Duration::from_millis(u64::from(
            milliseconds.unsigned_abs(),
        ))),
    }
}

/// Words before the text of a search; `None`: the model's own.
pub fn query_prefix() -> Option<String> {
    text(&QUERY_PREFIX)
}

/// Words before a stored text; `None`: the model's own.
pub fn passage_prefix() -> Option<String> {
    text(&PASSAGE_PREFIX)
}

/// Tokens embedded in one step.
pub fn embed_batch_tokens() -> usize {
    unsigned(EMBED_BATCH_TOKENS.get())
}

/// Whether rows may go directly into a table.
pub fn direct_load() -> bool {
    DIRECT_LOAD.get()
}

/// Whether a run compares stored vectors with the model's.
pub fn check_model() -> bool {
    CHECK_MODEL.get()
}

/// Time between progress notices; `None`: none are wanted.
pub fn progress_interval() -> Option<Duration> {
    match PROGRESS_INTERVAL.get() {
        0 => None,
        seconds => Some(Duration::from_secs(u64::from(seconds.unsigned_abs()))),
    }
}

/// A setting whose range starts at zero or above.
fn unsigned(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}
