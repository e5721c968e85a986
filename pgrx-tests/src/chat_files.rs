//! The store of a chat UI, `special/chat-files`: a collection for each file, two dimensions.

use crate::expected::Expected;
use crate::session::Session;
use crate::store::{Store, store};

/// A copy of it, and what chromadb says of it.
pub fn chat_files() -> (Store, Expected) {
    let name = "special/chat-files";
    (store(name), Expected::of(name))
}

/// Records in collections of so many dimensions; 0: in all.
pub fn records(expected: &Expected, dimension: i64) -> i64 {
    let all = expected.collections.iter();
    all.filter(|it| dimension == 0 || it.dimension == Some(dimension))
        .map(|it| it.count)
        .sum()
}

/// Names of the collections of so many dimensions that have records.
pub fn filled(expected: &Expected, dimension: i64) -> Vec<String> {
    let all = expected.collections.iter();
    all.filter(|it| it.count > 0 && it.dimension == Some(dimension))
        .map(|it| it.name.clone())
        .collect()
}

/// Ordinary tables in `public`, by name.
#[track_caller]
pub fn made(db: &Session) -> Vec<String> {
    db.lines(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
    )
}

/// Tables of the newest run as `table|created|migrated`.
#[track_caller]
pub fn run_targets(db: &Session) -> Vec<String> {
    db.lines(
        "SELECT content_target, created, migrated FROM vector_migrate.run_targets
          WHERE run_id = (SELECT max(run_id) FROM vector_migrate.runs) ORDER BY target_no",
    )
}

/// The type of a table's `embedding`: `vector(8)`.
#[track_caller]
pub fn type_of_vectors(db: &Session, table: &str) -> String {
    db.line(&format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
          WHERE attrelid = '{table}'::regclass AND attname = 'embedding'"
    ))
}
