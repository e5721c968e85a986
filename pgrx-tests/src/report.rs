//! What `migrate_chroma` answers.

use postgres::Row;

/// The numbers of one line, or of several added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Column `found`.
    pub found: i64,
    /// Column `migrated`.
    pub migrated: i64,
    /// Column `skipped`.
    pub skipped: i64,
    /// Column `failed`.
    pub failed: i64,
    /// Column `reused`.
    pub reused: i64,
    /// Column `embedded`.
    pub embedded: i64,
    /// Column `entities`.
    pub entities: i64,
}

/// One line: a collection and a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Column `run_id`, NULL in a dry run.
    pub run_id: Option<i64>,
    /// Column `collection`.
    pub collection: String,
    /// Column `user_id`.
    pub user_id: Option<String>,
    /// The numbers.
    pub counts: Counts,
    /// Column `note`.
    pub note: Option<String>,
}

/// Every line of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order of the answer.
    pub lines: Vec<Line>,
}

impl Report {
    /// Reads the rows, and checks what has to hold for every answer.
    #[track_caller]
    pub(crate) fn new(rows: &[Row]) -> Report {
        let names: Vec<&str> = rows
            .iter()
            .take(1)
            .flat_map(|row| row.columns())
            .map(|column| column.name())
            .collect();
        let wanted = [
            "run_id",
            "collection",
            "user_id",
            "found",
            "migrated",
            "skipped",
            "failed",
            "reused",
            "embedded",
            "entities",
            "note",
        ];
        assert!(rows.is_empty() || names == wanted, "columns {names:?}");
        let lines: Vec<Line> = rows.iter().map(Line::new).collect();
        for (n, line) in lines.iter().enumerate() {
            let counts = line.counts;
            assert_eq!(
                counts.found,
                counts.migrated + counts.skipped + counts.failed,
                "{line:?}"
            );
            assert_eq!(counts.migrated, counts.reused + counts.embedded, "{line:?}");
            let same =
                |other: &Line| other.collection == line.collection && other.user_id == line.user_id;
            assert!(!lines[..n].iter().any(same), "twice: {line:?}");
            assert_eq!(line.run_id, lines[0].run_id, "one run");
        }
        Report { lines }
    }

    /// The run's id.
    #[track_caller]
    pub fn run_id(&self) -> i64 {
        self.lines
            .first()
            .and_then(|line| line.run_id)
            .expect("a run with an id")
    }

    /// The numbers of one user in all collections; `None`: of records without a user.
    pub fn user(&self, user: Option<&str>) -> Counts {
        self.sum(|line| line.user_id.as_deref() == user)
    }

    /// The numbers of one collection.
    pub fn collection(&self, collection: &str) -> Counts {
        self.sum(|line| line.collection == collection)
    }

    /// The numbers of all lines.
    pub fn total(&self) -> Counts {
        self.sum(|_| true)
    }

    /// `found, migrated, skipped, failed` of all lines.
    pub fn outcome(&self) -> (i64, i64, i64, i64) {
        let total = self.total();
        (total.found, total.migrated, total.skipped, total.failed)
    }

    /// The lines without the run's id, to compare two runs.
    pub fn without_run(&self) -> Vec<Line> {
        self.lines
            .iter()
            .map(|line| Line {
                run_id: None,
                ..line.clone()
            })
            .collect()
    }

    /// The users in the order of the answer.
    pub fn users(&self) -> Vec<Option<&str>> {
        self.lines
            .iter()
            .map(|line| line.user_id.as_deref())
            .collect()
    }

    fn sum(&self, wanted: impl Fn(&Line) -> bool) -> Counts {
        let mut sum = Counts::default();
        for Line { counts, .. } in self.lines.iter().filter(|line| wanted(line)) {
            sum.found += counts.found;
            sum.migrated += counts.migrated;
            sum.skipped += counts.skipped;
            sum.failed += counts.failed;
            sum.reused += counts.reused;
            sum.embedded += counts.embedded;
            sum.entities += counts.entities;
        }
        sum
    }
}

impl Line {
    fn new(row: &Row) -> Line {
        Line {
            run_id: row.get("run_id"),
            collection: row.get("collection"),
            user_id: row.get("user_id"),
            counts: Counts {
                found: row.get("found"),
                migrated: row.get("migrated"),
                skipped: row.get("skipped"),
                failed: row.get("failed"),
                reused: row.get("reused"),
                embedded: row.get("embedded"),
                entities: row.get("entities"),
            },
            note: row.get("note"),
        }
    }
}
