//! What became of a vector index: the ledger's words, the walk through its pages, and its answers.

use crate::{Report, Session, Store, quote};

/// Arguments of `migrate_chroma` for the vectors that are stored, and for nothing but content.
pub const PLAIN: &str = "embeddings => 'stored', entity_target => NULL, orphans => 'keep'";

/// Migrates the collection `name` into `target` with `index => 'way'`; how the index came.
#[track_caller]
pub fn migrate_into(
    session: &Session,
    store: &Store,
    name: &str,
    way: &str,
    target: &str,
) -> (Came, Report) {
    let report = session.migrate(
        store,
        &format!("{PLAIN}, collection => '{name}', index => '{way}', target => '{target}'"),
    );
    (Came::of_last_run(session), report)
}

/// How the last run's index came, as the ledger has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Came {
    /// `imported`, `built`, `inserted`; empty without an index.
    pub way: String,
    /// What it is made of, or why it was not imported.
    pub reason: String,
    /// recall@10 that the run measured.
    pub recall: Option<f64>,
}

impl Came {
    /// The index of the last run.
    #[track_caller]
    pub fn of_last_run(session: &Session) -> Came {
        let rows = session.query(
            "SELECT coalesce(index_way, ''), coalesce(index_reason, ''), index_recall, index_seconds >= 0
               FROM vector_migrate.runs ORDER BY run_id DESC LIMIT 1",
            &[],
        );
        let came = Came {
            way: rows[0].get(0),
            reason: rows[0].get(1),
            recall: rows[0].get(2),
        };
        let timed: Option<bool> = rows[0].get(3);
        assert_eq!(timed.is_some(), !came.way.is_empty(), "{came:?}");
        came
    }

    /// Panics unless it came in this way, with `part` in the reason.
    #[track_caller]
    pub fn expect(self, way: &str, part: &str) -> Came {
        assert!(
            self.way == way && self.reason.contains(part),
            "not {way} with {part:?}: {self:?}"
        );
        self
    }
}

/// What `check_vector_index` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Elements.
    pub elements: i64,
    /// Entries of rows.
    pub rows: i64,
    /// Layers above the lowest.
    pub levels: i32,
    /// Elements whose lists are not full.
    pub not_full: i64,
    /// Elements that no search comes to.
    pub unreachable: i64,
    /// Free places.
    pub deleted: i64,
    /// What is wrong.
    pub problems: i64,
    /// The first of it.
    pub findings: Vec<String>,
    /// recall@10.
    pub recall: Option<f64>,
}

impl Checked {
    /// Checks the index.
    #[track_caller]
    pub fn of(session: &Session, index: &str) -> Checked {
        let rows = session.query(
            &format!(
                "SELECT * FROM check_vector_index({}::regclass)",
                quote(index)
            ),
            &[],
        );
        let row = &rows[0];
        Checked {
            elements: row.get("elements"),
            rows: row.get("rows"),
            levels: row.get("levels"),
            not_full: row.get("not_full"),
            unreachable: row.get("unreachable"),
            deleted: row.get("deleted"),
            problems: row.get("problems"),
            findings: row.get("findings"),
            recall: row.get("recall"),
        }
    }

    /// As [`Checked::of`]; panics unless the index is sound and has as many entries as the table has rows that pgvector
    /// would index: those with a vector, and for cosine distances with one that has a length. pgvector itself, when it
    /// builds or inserts, leaves a few elements where no search comes to: up to a tenth of them may be there.
    #[track_caller]
    pub fn sound(session: &Session, table: &str, index: &str) -> Checked {
        let checked = Checked::of(session, index);
        assert_eq!(checked.problems, 0, "{index}: {checked:?}");
        assert!(
            checked.unreachable * 10 <= checked.elements,
            "{index}: {checked:?}"
        );
        let cosine = definition(session, index).contains("_cosine_ops");
        let wanted = if cosine {
            "vector_norm(embedding) > 0"
        } else {
            "embedding IS NOT NULL"
        };
        let rows: i64 = session.one(&format!("SELECT count(*) FROM {table} WHERE {wanted}"));
        assert_eq!(checked.rows, rows, "{index} of {table}: {checked:?}");
        checked
    }

    /// Panics unless a search can come to every element.
    #[track_caller]
    pub fn reachable(self) -> Checked {
        assert_eq!(self.unreachable, 0, "{self:?}");
        self
    }
}

/// The name of the only HNSW index of `table`.
#[track_caller]
pub fn index_of(session: &Session, table: &str) -> String {
    session.line(&format!(
        "SELECT indexrelid::regclass FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = c.relam
          WHERE indrelid = {}::regclass AND amname = 'hnsw'",
        quote(table)
    ))
}

/// The definition of an index, as the server writes it.
#[track_caller]
pub fn definition(session: &Session, index: &str) -> String {
    session.one(&format!(
        "SELECT pg_get_indexdef({}::regclass)",
        quote(index)
    ))
}

/// Of the ten rows nearest to each of up to a hundred rows of `table`, the share that its index finds. `expression` is what
/// the index is on, `operator` its distance.
#[track_caller]
pub fn agreement(session: &Session, table: &str, expression: &str, operator: &str) -> f64 {
    let nearest = format!(
        "SELECT {expression} {operator} q.v AS d FROM {table} ORDER BY {expression} {operator} q.v LIMIT 10"
    );
    session.run(&format!(
        "BEGIN;
         CREATE TEMP TABLE asked ON COMMIT DROP AS
             SELECT {expression} AS v, 0::float8 AS bound FROM {table} ORDER BY md5(id) LIMIT 100;
         DELETE FROM asked WHERE v IS NULL OR vector_norm(v::text::vector) = 0;
         SET LOCAL enable_indexscan = off;
         UPDATE asked q SET bound = (SELECT max(d) FROM ({nearest}) near);
         SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
    ));
    let sql = format!(
        "SELECT avg((SELECT count(*) FROM ({nearest}) near WHERE d <= q.bound))::float8 / least(10, (SELECT count(*) FROM {table}))
           FROM asked q"
    );
    let plan = session
        .lines(&format!("EXPLAIN (COSTS OFF) {sql}"))
        .join("\n");
    assert!(plan.contains("Order By: ("), "not by the index:\n{plan}");
    let share = session.one(&sql);
    session.run("COMMIT");
    share
}
