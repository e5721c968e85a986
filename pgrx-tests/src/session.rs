//! A connection: SQL in, text, errors in parts and notices out.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use postgres::error::DbError;
use postgres::types::{FromSqlOwned, ToSql};
use postgres::{CancelToken, Client, NoTls, Row, SimpleQueryMessage};

use crate::report::Report;
use crate::server;
use crate::store::Store;

/// How NULL is written by [`Session::lines`].
const NULL: &str = "∅";

/// An error of the server, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// SQLSTATE.
    pub code: String,
    /// Primary message.
    pub message: String,
    /// Detail, empty if there is none.
    pub detail: String,
    /// Hint, empty if there is none.
    pub hint: String,
}

impl Failure {
    fn new(error: &DbError) -> Failure {
        Failure {
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().unwrap_or_default().to_owned(),
            hint: error.hint().unwrap_or_default().to_owned(),
        }
    }

    /// Message, detail and hint in one text, for what may be in any of them.
    pub fn text(&self) -> String {
        [&*self.message, &*self.detail, &*self.hint].join("\n")
    }

    /// Panics unless the SQLSTATE is `code`.
    #[track_caller]
    pub fn expect(self, code: &str) -> Failure {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Panics unless `part` is somewhere in the text.
    #[track_caller]
    pub fn names(self, part: &str) -> Failure {
        assert!(
            self.text().contains(part),
            "nothing about {part:?}: {self:#?}"
        );
        self
    }

    /// Panics unless `part` is in the hint.
    #[track_caller]
    pub fn hints(self, part: &str) -> Failure {
        assert!(
            self.hint.contains(part),
            "no hint about {part:?}: {self:#?}"
        );
        self
    }

    /// Panics unless `part` is in the detail.
    #[track_caller]
    pub fn details(self, part: &str) -> Failure {
        assert!(
            self.detail.contains(part),
            "no detail about {part:?}: {self:#?}"
        );
        self
    }
}

/// What the server said beside the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING` ...
    pub severity: String,
    /// Message, then detail and hint on lines of their own where there are any.
    pub text: String,
}

/// A connection to a test's database.
pub struct Session {
    client: RefCell<Client>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Session {
    pub(crate) fn connect(database: &str, user: &str) -> Session {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let mut config = server::config(database, user);
        config.notice_callback(move |error| {
            let text = Failure::new(&error).text().trim_end().to_owned();
            let notice = Notice {
                severity: error.severity().to_owned(),
                text,
            };
            sink.lock().expect("no panic holds the lock").push(notice);
        });
        let client = config
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("connecting to {database} as {user}: {error:?}"));
        Session {
            client: RefCell::new(client),
            notices,
        }
    }

    /// The notices since the last call.
    pub fn notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.lock().expect("no panic holds the lock"))
    }

    /// Whether one of the notices since the last call has all of these parts.
    pub fn told(&self, parts: &[&str]) -> bool {
        let has_all = |text: &str| parts.iter().all(|part| text.contains(part));
        self.notices().iter().any(|notice| has_all(&notice.text))
    }

    /// What `migrate_chroma(store, arguments)` answers, all but the run's id, with its notes: for a dry run and a real one
    /// to be compared.
    #[track_caller]
    pub fn answer(&self, store: &Store, arguments: &str) -> Vec<String> {
        self.lines(&call(store, arguments).replace(
            "SELECT *",
            "SELECT collection, user_id, found, migrated, skipped, failed, reused, embedded, entities, note",
        ))
    }

    /// For cancelling what this session is doing.
    pub fn cancel_token(&self) -> CancelToken {
        self.client.borrow().cancel_token()
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        if let Err(failure) = self.attempt(sql) {
            panic!("{sql}\n{failure:#?}");
        }
    }

    /// Runs statements; the answer is every row of the last that had any, columns in text.
    pub fn attempt(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        match self.client.borrow_mut().simple_query(sql) {
            Ok(messages) => Ok(rows(messages)),
            Err(error) => Err(failure(sql, &error)),
        }
    }

    /// The error that statements end with.
    #[track_caller]
    pub fn error(&self, sql: &str) -> Failure {
        match self.attempt(sql) {
            Ok(rows) => panic!("no error from {sql}\n{rows:?}"),
            Err(failure) => failure,
        }
    }

    /// As [`Session::error`]; panics unless the SQLSTATE is `code` and nothing has been written.
    #[track_caller]
    pub fn refused(&self, sql: &str, code: &str) -> Failure {
        let state = "SELECT (SELECT count(*) FROM pg_class),
                            (SELECT count(*) FROM vector_migrate.runs),
                            (SELECT count(*) FROM vector_migrate.run_errors)";
        let before = self.line(state);
        let failure = self.error(sql).expect(code);
        assert_eq!(self.line(state), before, "{sql} has left something");
        failure
    }

    /// Rows as text: columns joined by `|`, NULL as `∅`.
    #[track_caller]
    pub fn lines(&self, sql: &str) -> Vec<String> {
        let rows = self
            .attempt(sql)
            .unwrap_or_else(|failure| panic!("{sql}\n{failure:#?}"));
        let text = |value: Option<String>| value.unwrap_or_else(|| NULL.to_owned());
        rows.into_iter()
            .map(|row| row.into_iter().map(text).collect::<Vec<_>>().join("|"))
            .collect()
    }

    /// The only row, as [`Session::lines`] writes it.
    #[track_caller]
    pub fn line(&self, sql: &str) -> String {
        let mut lines = self.lines(sql);
        assert_eq!(lines.len(), 1, "{sql}\n{lines:?}");
        lines.remove(0)
    }

    /// Number of rows in a table.
    #[track_caller]
    pub fn count(&self, table: &str) -> i64 {
        self.one(&format!("SELECT count(*) FROM {table}"))
    }

    /// Rows through the extended protocol.
    #[track_caller]
    pub fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        let answer = self.client.borrow_mut().query(sql, values);
        answer.unwrap_or_else(|error| panic!("{:#?}", failure(sql, &error)))
    }

    /// The only value of the only row.
    #[track_caller]
    pub fn one<T: FromSqlOwned>(&self, sql: &str) -> T {
        let rows = self.query(sql, &[]);
        assert_eq!(rows.len(), 1, "rows of {sql}");
        rows[0].get(0)
    }

    /// `migrate_chroma(store, arguments)`; `arguments` is SQL, may be empty.
    #[track_caller]
    pub fn migrate(&self, store: &Store, arguments: &str) -> Report {
        Report::new(&self.query(&call(store, arguments), &[]))
    }

    /// The error of `migrate_chroma(store, arguments)`.
    #[track_caller]
    pub fn migrate_error(&self, store: &Store, arguments: &str) -> Failure {
        self.error(&call(store, arguments))
    }
}

/// `SELECT * FROM migrate_chroma(...)`.
fn call(store: &Store, arguments: &str) -> String {
    let comma = if arguments.is_empty() { "" } else { ", " };
    format!(
        "SELECT * FROM migrate_chroma({}{comma}{arguments})",
        store.sql()
    )
}

fn failure(sql: &str, error: &postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(error) => Failure::new(error),
        None => panic!("{sql}\nthe connection broke: {error:?}"),
    }
}

fn rows(messages: Vec<SimpleQueryMessage>) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(_) => rows.clear(),
            SimpleQueryMessage::Row(row) => {
                rows.push(
                    (0..row.len())
                        .map(|column| row.get(column).map(str::to_owned))
                        .collect(),
                );
            }
            _ => {}
        }
    }
    rows
}
