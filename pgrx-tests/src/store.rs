//! Copies of the fixture directories, where the server can read them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::quote;
use crate::server::setting;

/// A directory of a test's own that the server can reach, removed at the end.
pub struct Store {
    folder: TempDir,
    path: PathBuf,
}

/// A copy of the fixture `name`: `chroma-1.5.9`, `special/many` ...
pub fn store(name: &str) -> Store {
    Store::copy_of(&root().join("pgrx-tests/fixtures").join(name))
}

/// A copy of the sample store of `make demo`.
pub fn demo_store() -> Store {
    Store::copy_of(&root().join("demo/store"))
}

/// A copy of the second store of `make demo`: six collections, no owners, two dimensions.
pub fn demo_files() -> Store {
    Store::copy_of(&root().join("demo/files"))
}

/// A store of `records` records with a document of 1,000 characters each. The tables have them all; the vectors of all but
/// some are in the queue, as in a store whose index was never written.
pub fn many_records(records: i64) -> Store {
    let source = store("special/many");
    source.damage(&format!(
        "PRAGMA synchronous = OFF;
         CREATE TEMP TABLE n AS
             WITH RECURSIVE n(n) AS (VALUES (2500) UNION ALL SELECT n + 1 FROM n WHERE n < {records} - 1) SELECT n FROM n;
         INSERT INTO embeddings_queue (seq_id, created_at, operation, topic, id, vector, encoding, metadata)
             SELECT n + 1, created_at, 0, topic, 'm-' || n, vector, encoding, '{{}}'
               FROM n, (SELECT * FROM embeddings_queue LIMIT 1);
         INSERT INTO embeddings (id, segment_id, embedding_id, seq_id, created_at)
             SELECT n + 1, segment_id, 'm-' || n, n + 1, created_at FROM n, (SELECT * FROM embeddings LIMIT 1);
         INSERT INTO embedding_metadata (id, key, string_value)
             SELECT n + 1, 'user_id', n % 5 + 1 FROM n UNION ALL
             SELECT n + 1, 'chroma:document', n || ' ' || replace(hex(zeroblob(500)), '0', 'x') FROM n;
         UPDATE max_seq_id SET seq_id = {records}
          WHERE segment_id IN (SELECT id FROM segments WHERE scope = 'METADATA')"
    ));
    source
}

/// The records of the sample store whose vectors are in its queue, each with what `change` makes of id and vector.
pub fn queued_demo_store(mut change: impl FnMut(&str, &[f32]) -> Vec<f32>) -> Store {
    let store = demo_store();
    store.damage(
        "DELETE FROM embeddings_queue WHERE seq_id <= (SELECT min(seq_id) FROM max_seq_id);
         DELETE FROM embedding_metadata WHERE id NOT IN
             (SELECT e.id FROM embeddings e JOIN embeddings_queue q ON q.id = e.embedding_id);
         DELETE FROM embeddings WHERE embedding_id NOT IN (SELECT id FROM embeddings_queue)",
    );
    let database = Connection::open(store.path.join("chroma.sqlite3")).expect("opens");
    let mut query = database
        .prepare("SELECT seq_id, id, vector FROM embeddings_queue")
        .expect("is SQL");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let rows: Vec<(i64, String, Vec<u8>)> = rows
        .expect("runs")
        .map(|row| row.expect("is a row"))
        .collect();
    for (seq_id, id, blob) in rows {
        let words = blob.chunks_exact(4).map(|word| word.try_into());
        let vector: Vec<f32> = words
            .map(|word| f32::from_le_bytes(word.expect("four bytes")))
            .collect();
        let changed = change(&id, &vector);
        let blob: Vec<u8> = changed
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let update = "UPDATE embeddings_queue SET vector = ?1 WHERE seq_id = ?2";
        database.execute(update, (blob, seq_id)).expect("writes");
    }
    drop(query);
    store
}

/// The checkout's top folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member of the workspace")
        .to_owned()
}

impl Store {
    /// An empty directory.
    pub fn empty() -> Store {
        let folder = tempfile::Builder::new()
            .prefix("store.")
            .tempdir_in(setting("VECTOR_MIGRATE_SCRATCH"))
            .expect("a folder in the scratch folder");
        let path = folder.path().join("chroma");
        fs::create_dir(&path).expect("creates");
        allow(folder.path(), 0o777);
        allow(&path, 0o777);
        Store { folder, path }
    }

    pub(crate) fn copy_of(from: &Path) -> Store {
        let store = Store::empty();
        copy(from, &store.path);
        store
    }

    /// The persist directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds the persist directory and nothing else of anybody's.
    pub fn parent(&self) -> &Path {
        self.folder.path()
    }

    /// The persist directory as an SQL literal.
    pub fn sql(&self) -> String {
        quote(self.path.to_str().expect("UTF-8"))
    }

    /// A path below the persist directory as an SQL literal.
    pub fn sql_of(&self, below: &str) -> String {
        quote(self.path.join(below).to_str().expect("UTF-8"))
    }

    /// Changes the store's database, for stores that no Chroma would write.
    pub fn damage(&self, sql: &str) {
        let database = Connection::open(self.path.join("chroma.sqlite3")).expect("opens");
        database.execute_batch(sql).expect("runs");
    }

    /// The first column of a query on the store's database, for what only its files know.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let database = Connection::open(self.path.join("chroma.sqlite3")).expect("opens");
        let mut query = database.prepare(sql).expect("is SQL");
        let rows = query.query_map([], |row| row.get(0)).expect("runs");
        rows.map(|row| row.expect("is text")).collect()
    }

    /// Sets the mode of a path below the folder that holds the directory.
    pub fn chmod(&self, below: &str, mode: u32) {
        allow(&self.folder.path().join(below), mode);
    }

    /// Every file's name, bytes, time and mode.
    pub fn snapshot(&self) -> Snapshot {
        let mut entries = BTreeMap::new();
        collect(self.folder.path(), &mut entries);
        Snapshot(entries)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What a test has locked must be removable by an ordinary user, too.
        let _ = fs::set_permissions(self.folder.path(), Permissions::from_mode(0o777));
        let _ = fs::set_permissions(&self.path, Permissions::from_mode(0o777));
    }
}

/// Everything about a directory that must not change; compares equal if nothing did.
#[derive(Debug, PartialEq)]
pub struct Snapshot(BTreeMap<PathBuf, Entry>);

/// Mode, time of modification, and a file's bytes.
#[derive(PartialEq)]
struct Entry(u32, SystemTime, Option<Vec<u8>>);

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:o} {:?} {:?} bytes",
            self.0,
            self.1,
            self.2.as_ref().map(Vec::len)
        )
    }
}

fn collect(folder: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    let meta = fs::metadata(folder).expect("reads");
    let modified = |meta: &fs::Metadata| meta.modified().expect("has a time");
    entries.insert(
        folder.to_owned(),
        Entry(meta.permissions().mode(), modified(&meta), None),
    );
    for entry in fs::read_dir(folder).expect("lists") {
        let path = entry.expect("reads").path();
        let meta = fs::metadata(&path).expect("reads");
        if meta.is_dir() {
            collect(&path, entries);
        } else {
            let bytes = fs::read(&path).expect("reads");
            entries.insert(
                path,
                Entry(meta.permissions().mode(), modified(&meta), Some(bytes)),
            );
        }
    }
}

/// Copies a tree; whatever writes to the copy can, so that it would be noticed.
fn copy(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("reads");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("has a type").is_dir() {
            fs::create_dir(&target).expect("creates");
            copy(&entry.path(), &target);
            allow(&target, 0o777);
        } else {
            fs::copy(entry.path(), &target).expect("copies");
            allow(&target, 0o666);
        }
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("changes the mode");
}
