//! What was recorded of an application: its tables' definitions, the rows that its own client wrote, and the store.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value as Json;

use super::{Application, Table};
use crate::expected::assert_same_json;
use crate::server::{Db, setting};
use crate::session::Session;
use crate::store::{Store, root};

/// A fixture: the store, and what was recorded of it.
pub struct Recorded {
    application: Application,
    facts: Json,
    /// A copy of the store.
    pub store: Store,
}

impl Recorded {
    pub(super) fn of(application: Application) -> Recorded {
        let path = fixture(&format!("{}.json", application.name));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Recorded {
            application,
            facts: serde_json::from_str(&text).expect("is JSON"),
            store: packed_store(application.store),
        }
    }

    /// Makes one of the client's tables.
    #[track_caller]
    pub fn make(&self, db: &Session, table: &str) {
        if let Some((schema, _)) = table.split_once('.').filter(|_| !table.starts_with('"')) {
            db.run(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
        }
        db.run(self.definition(table));
    }

    /// The statements of `pg_dump` for one of the client's tables.
    #[track_caller]
    pub fn definition(&self, table: &str) -> &str {
        self.facts["tables"][table].as_str().expect("was recorded")
    }

    /// The rows that the client wrote into a table.
    #[track_caller]
    pub fn rows(&self, table: &str) -> &[Json] {
        self.facts["rows"][table].as_array().expect("was recorded")
    }

    /// What Chroma says of a collection: `id`, `metadata`, `space`, `ids`.
    #[track_caller]
    pub fn collection(&self, name: &str) -> &Json {
        let collections = self.facts["chroma"].as_array().expect("was recorded");
        let found = collections.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("no collection {name}"))
    }

    /// Panics unless all tables have the client's rows.
    #[track_caller]
    pub fn assert_rows(&self, db: &Session) {
        for table in self.application.tables {
            self.assert_table(db, table);
        }
    }

    /// Panics unless the table has the client's rows, but for its own columns: json as values, vectors as text.
    #[track_caller]
    pub fn assert_table(&self, db: &Session, table: &Table) {
        let by_key = |row: &Json| row[table.key].as_str().expect("a text").to_owned();
        let mut found: Vec<Json> = db
            .lines(&format!("SELECT to_jsonb(t) FROM {} AS t", table.name))
            .iter()
            .map(|line| serde_json::from_str(line).expect("is JSON"))
            .collect();
        found.sort_by_key(by_key);
        let mut wanted = self.rows(table.name).to_vec();
        wanted.sort_by_key(by_key);
        let keys = |rows: &[Json]| rows.iter().map(by_key).collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&wanted), "{}", table.name);
        for (found, wanted) in found.iter_mut().zip(&mut wanted) {
            let place = format!("{} {}", table.name, by_key(wanted));
            for row in [&mut *found, &mut *wanted] {
                let columns = row.as_object_mut().expect("a row");
                columns.retain(|name, _| !table.own.contains(&name.as_str()));
                columns
                    .values_mut()
                    .for_each(|value| self.without_blanks(value));
            }
            assert_same_json(found, wanted, &place);
        }
    }

    /// Chroma does not keep a key whose value is None, nor can a migration.
    fn without_blanks(&self, value: &mut Json) {
        if let Some(object) = value.as_object_mut() {
            object.retain(|_, value| {
                !value.is_null()
                    && (self.application.blank.is_none()
                        || value.as_str() != self.application.blank)
            });
        }
    }
}

/// A copy of an application's store.
pub fn packed_store(name: &str) -> Store {
    let (archive, store) = (fixture(&format!("{name}.tar.gz")), Store::empty());
    let status = Command::new("tar")
        .arg("--no-same-owner")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(store.path())
        .status()
        .expect("tar runs");
    assert!(status.success(), "{}", archive.display());
    store
}

fn fixture(file: &str) -> PathBuf {
    root().join("pgrx-tests/fixtures/apps").join(file)
}

/// What `pg_dump` says of a table, without comments and settings.
#[track_caller]
pub fn definition(db: &Db, table: &str) -> String {
    let folder: String = db.one("SELECT setting FROM pg_config WHERE name = 'BINDIR'");
    let output = Command::new(format!("{folder}/pg_dump"))
        .args([
            "-h",
            &setting("VECTOR_MIGRATE_HOST"),
            "-p",
            &setting("VECTOR_MIGRATE_PORT"),
        ])
        .args(["-U", &setting("VECTOR_MIGRATE_USER"), "-d", db.name()])
        .args([
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--no-comments",
        ])
        .args(["-t", table])
        .output()
        .expect("pg_dump runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("is UTF-8");
    let beside = ["--", "SET ", "SELECT pg_catalog.set_config", "\\"];
    let wanted =
        |line: &&str| !line.is_empty() && !beside.iter().any(|start| line.starts_with(start));
    text.lines().filter(wanted).collect::<Vec<_>>().join("\n")
}
