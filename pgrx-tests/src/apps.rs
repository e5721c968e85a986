//! The tables of applications: their Chroma stores, and what was recorded of them (`fixtures/apps`; `make apps` has the
//! applications' own clients look).

mod recorded;

pub use recorded::{Recorded, definition, packed_store};

use crate::report::Report;
use crate::server::Db;
use crate::session::Session;
use crate::store::Store;
use crate::verified::assert_verified;

/// An application's tables and the calls that fill them.
#[derive(Debug, Clone, Copy)]
pub struct Application {
    /// Name of what was recorded.
    pub name: &'static str,
    /// Name of the store.
    pub store: &'static str,
    /// Its tables, one that others refer to before them.
    pub tables: &'static [Table],
    /// Arguments of the calls that fill all tables, where they are there.
    pub calls: &'static [&'static str],
    /// Arguments of a call that makes its tables, and these.
    pub makes: &'static [(&'static str, &'static [&'static str])],
    /// Records that cannot be migrated, and why: one of several reasons with `|` between them.
    pub failed: &'static [(&'static str, &'static str)],
    /// The application writes this for a metadata value that Chroma does not keep, too.
    pub blank: Option<&'static str>,
}

/// A table of an application's.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// As SQL names it.
    pub name: &'static str,
    /// A row is known by this column.
    pub key: &'static str,
    /// Columns with values that the application or the database draws.
    pub own: &'static [&'static str],
    /// It has a row for each record, and not one for each collection.
    pub records: bool,
}

impl Application {
    /// Reads the fixture.
    pub fn recorded(self) -> Recorded {
        Recorded::of(self)
    }

    /// A database with the application's empty tables, and the fixture.
    pub fn ready(self) -> (Db, Recorded) {
        let (db, recorded) = (Db::new(), self.recorded());
        for table in self.tables {
            recorded.make(&db, table.name);
        }
        (db, recorded)
    }

    /// As [`Application::ready`], filled.
    #[track_caller]
    pub fn filled(self) -> (Db, Recorded) {
        let (db, recorded) = self.ready();
        self.fill(&db, &recorded.store);
        (db, recorded)
    }

    /// Runs every call.
    #[track_caller]
    pub fn fill(self, db: &Session, store: &Store) -> Vec<Report> {
        let calls = self.calls.iter();
        calls.map(|call| db.migrate(store, call)).collect()
    }

    /// Every row of every table as text.
    pub fn contents(self, db: &Session) -> Vec<Vec<String>> {
        let rows = |table: &Table| {
            db.lines(&format!(
                "SELECT t::text FROM {} AS t ORDER BY 1",
                table.name
            ))
        };
        self.tables.iter().map(rows).collect()
    }

    /// How many rows the tables with records should have.
    fn wanted(self, recorded: &Recorded) -> i64 {
        let tables = self.tables.iter().filter(|table| table.records);
        let rows: usize = tables.map(|table| recorded.rows(table.name).len()).sum();
        i64::try_from(rows).expect("few")
    }

    /// Panics unless the calls together did this with the records.
    #[track_caller]
    fn assert_outcome(self, reports: &[Report], migrated: i64, skipped: i64) {
        let sum = |count: fn(&Report) -> i64| reports.iter().map(count).sum::<i64>();
        let failed = i64::try_from(self.failed.len()).expect("few");
        assert_eq!(
            (
                sum(|report| report.total().migrated),
                sum(|report| report.total().skipped),
                sum(|report| report.total().failed)
            ),
            (migrated, skipped, failed),
            "{reports:#?}"
        );
        for line in reports.iter().flat_map(|report| &report.lines) {
            assert_eq!(
                (line.counts.entities, &line.user_id),
                (0, &None),
                "{line:?}"
            );
        }
    }

    /// The client's tables, filled: every column of every row is what the client itself wrote; every record that is left out
    /// has its reason.
    #[track_caller]
    pub fn assert_fills_the_tables_as_its_client_does(self) {
        let (db, recorded) = self.ready();
        let reports = self.fill(&db, &recorded.store);
        self.assert_outcome(&reports, self.wanted(&recorded), 0);
        recorded.assert_rows(&db);
        for report in &reports {
            assert_verified(&db, report.run_id());
        }
        let mut found =
            db.lines("SELECT record_id, reason FROM vector_migrate.run_errors ORDER BY 1");
        let mut wanted = self.failed.to_vec();
        wanted.sort_unstable();
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (line, (id, reasons)) in found.drain(..).zip(wanted) {
            let one_of = |reason: &str| line == format!("{id}|{reason}");
            assert!(reasons.split('|').any(one_of), "{line}: not {reasons}");
        }
        let ours =
            "SELECT count(*) FROM pg_class WHERE relname IN ('entity_vectors', 'content_vectors')";
        assert_eq!(
            db.line(ours),
            "0",
            "the extension's own tables are not made"
        );
    }

    /// A second run finds all rows there, and changes none.
    #[track_caller]
    pub fn assert_a_second_run_adds_nothing(self) {
        let (db, recorded) = self.filled();
        let state = |db: &Session| {
            let rows = |table: &Table| {
                db.lines(&format!(
                    "SELECT xmin, ctid, t::text FROM {} AS t ORDER BY 3",
                    table.name
                ))
            };
            self.tables.iter().map(rows).collect::<Vec<_>>()
        };
        let (before, run) = (state(&db), newest_run(&db));
        let reports = self.fill(&db, &recorded.store);
        assert_eq!(state(&db), before);
        let rows = self.wanted(&recorded);
        self.assert_outcome(&reports, 0, rows);
        for report in &reports {
            assert_verified(&db, report.run_id());
        }
        let there =
            format!("vector_migrate.run_errors WHERE run_id > {run} AND reason = 'already_exists'");
        assert_eq!(db.count(&there), rows);
    }

    /// A dry run counts what a run does, and writes nothing; also where the tables are not there.
    #[track_caller]
    pub fn assert_a_dry_run_counts_the_same_and_writes_nothing(self) {
        let (db, recorded) = self.ready();
        let tables =
            "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'i', 'S') ORDER BY 1";
        let counts = |report: &Report| {
            let lines = report.without_run().into_iter();
            lines
                .map(|line| (line.collection, line.user_id, line.counts))
                .collect::<Vec<_>>()
        };
        for (call, made) in self
            .calls
            .iter()
            .map(|call| (*call, false))
            .chain(self.made_calls())
        {
            let bare = made.then(Db::new);
            let db: &Db = bare.as_ref().unwrap_or(&db);
            let before = (
                db.lines(tables),
                if made { vec![] } else { self.contents(db) },
            );
            let run = newest_run(db);
            let dry = db.migrate(&recorded.store, &format!("{call}, dry_run => true"));
            assert_eq!(db.lines(tables), before.0, "{call}");
            if !made {
                assert_eq!(self.contents(db), before.1, "{call}");
            }
            assert_eq!(newest_run(db), run, "{call}");
            let real = db.migrate(&recorded.store, call);
            assert!(real.lines.iter().all(|line| line.run_id.is_some()));
            assert_eq!(counts(&dry), counts(&real), "{call}");
        }
    }

    fn made_calls(self) -> impl Iterator<Item = (&'static str, bool)> {
        self.makes.iter().map(|(call, _)| (*call, true))
    }

    /// A rollback leaves all rows of all tables as they were, those of the application's own among them.
    #[track_caller]
    pub fn assert_a_rollback_leaves_the_tables_as_they_were(self, of_its_own: &str) {
        let (db, recorded) = self.ready();
        db.run(of_its_own);
        let before = self.contents(&db);
        let reports = self.fill(&db, &recorded.store);
        assert_ne!(self.contents(&db), before);
        for report in reports.iter().rev() {
            db.run(&format!(
                "SELECT * FROM rollback_migration({})",
                report.run_id()
            ));
        }
        assert_eq!(self.contents(&db), before);
        let again = self.fill(&db, &recorded.store);
        self.assert_outcome(&again, self.wanted(&recorded), 0);
    }

    /// Where a table is missing, the preset makes it just like the application.
    #[track_caller]
    pub fn assert_the_preset_makes_missing_tables(self) {
        for (call, tables) in self.makes {
            let (db, (theirs, recorded)) = (Db::new(), self.ready());
            let report = db.migrate(&recorded.store, call);
            assert!(report.total().migrated > 0, "{report:?}");
            for table in *tables {
                assert_eq!(definition(&db, table), definition(&theirs, table), "{call}");
                let of = self.tables.iter().find(|it| it.name == *table);
                recorded.assert_table(&db, of.expect("is one of its tables"));
            }
        }
    }
}

/// The id of the newest run, 0 if there is none.
pub fn newest_run(db: &Session) -> i64 {
    db.one("SELECT coalesce(max(run_id), 0) FROM vector_migrate.runs")
}
