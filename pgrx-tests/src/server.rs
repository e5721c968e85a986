//! The server under test, and one database on it for each test.

use std::cell::RefCell;
use std::env;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, Config, NoTls};

use crate::quote;
use crate::session::Session;

/// Key of the advisory lock that guards the making of the template.
const TEMPLATE_LOCK: i64 = 0x766d_7465_7374;

/// The functions that are not for everybody.
pub const FUNCTIONS: &str = "chroma_collections, chroma_store, chroma_records, check_model,
    migrate_chroma(text, text, boolean, text, jsonb, text, text, text, text, text, text, boolean, text, text, text, text, text[], int, text, text, jsonb),
    migrate_chroma(text, bigint, boolean, text, jsonb, text, text, text, text, text, text, boolean, text, text, text, text, text[], int, text, text, jsonb),
    migrate_chroma(text, uuid, boolean, text, jsonb, text, text, text, text, text, text, boolean, text, text, text, text, text[], int, text, text, jsonb),
    embed_text(text), embed_text(text[]), search_content, search_entities, model_info";

/// A value that `make test` sets.
pub(crate) fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need a server with the extension; run `make test` or `make test-server`")
    })
}

/// How to reach `database` as `user`. Runs do not compare vectors with the model unless a test turns that on: each
/// session would load it, and most stores here have vectors of no model.
pub(crate) fn config(database: &str, user: &str) -> Config {
    let port = setting("VECTOR_MIGRATE_PORT");
    let mut config = Config::new();
    config
        .host(&setting("VECTOR_MIGRATE_HOST"))
        .port(port.parse().expect("VECTOR_MIGRATE_PORT is a number"))
        .user(user)
        .dbname(database)
        .options("-c vector_migrate.check_model=off")
        .application_name("vector_migrate_tests");
    config
}

/// The cluster's superuser.
pub(crate) fn superuser() -> String {
    setting("VECTOR_MIGRATE_USER")
}

fn admin() -> Client {
    config("postgres", &superuser())
        .connect(NoTls)
        .expect("the server of `make test` answers")
}

/// A database of one test's own, dropped at the end; also a session of the superuser in it.
pub struct Db {
    name: String,
    roles: RefCell<Vec<String>>,
    session: Option<Session>,
}

impl Db {
    /// A fresh database that has the extension.
    pub fn new() -> Db {
        Db::from_template(template())
    }

    /// A fresh database without any extension.
    pub fn bare() -> Db {
        Db::from_template("template0")
    }

    fn from_template(template: &str) -> Db {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("vm_{}_{number}", std::process::id());
        admin()
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .unwrap_or_else(|error| panic!("no database from {template}: {error}"));
        let session = Session::connect(&name, &superuser());
        Db {
            name,
            roles: RefCell::default(),
            session: Some(session),
        }
    }

    /// A copy of the database, whose files the server has not read yet; the database itself is dropped.
    pub fn copied(mut self) -> Db {
        drop(self.session.take());
        let mut admin = admin();
        // The backend may take a moment to leave.
        let gone = format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}",
            quote(&self.name)
        );
        admin.batch_execute(&gone).expect("no session is left");
        let version: String = admin
            .query_one("SHOW server_version_num", &[])
            .expect("answers")
            .get(0);
        let strategy = if version.as_str() < "150000" {
            ""
        } else {
            " STRATEGY file_copy"
        };
        Db::from_template(&format!("{}{strategy}", self.name))
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates an extension that comes with PostgreSQL, as long as this server has it; false, and a line that says so,
    /// where its files are not installed.
    pub fn has_module(&self, name: &str) -> bool {
        let there = self.one(&format!(
            "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = {})",
            quote(name)
        ));
        if there {
            self.run(&format!("CREATE EXTENSION IF NOT EXISTS {name}"));
        } else {
            println!("skipped: this server does not have {name}");
        }
        there
    }

    /// Another session of the superuser.
    pub fn session(&self) -> Session {
        Session::connect(&self.name, &superuser())
    }

    /// A bare connection of the superuser, for what may lose it.
    pub fn client(&self) -> Client {
        config(&self.name, &superuser())
            .connect(NoTls)
            .expect("connects")
    }

    /// A new role that can log in, of a name of its own in the cluster; dropped with the database.
    pub fn role(&self, label: &str) -> String {
        let role = format!("{}_{label}", self.name);
        self.run(&format!("CREATE ROLE {role} LOGIN"));
        self.roles.borrow_mut().push(role.clone());
        role
    }

    /// A new role that may read the server's files, call every function of the extension, and create tables.
    pub fn reader(&self, label: &str) -> String {
        let role = self.role(label);
        self.run(&format!(
            "GRANT pg_read_server_files TO {role};
             GRANT EXECUTE ON FUNCTION {FUNCTIONS} TO {role};
             GRANT CREATE ON SCHEMA public TO {role}"
        ));
        role
    }

    /// A session of `role`.
    pub fn session_as(&self, role: &str) -> Session {
        Session::connect(&self.name, role)
    }
}

impl Default for Db {
    fn default() -> Db {
        Db::new()
    }
}

impl Deref for Db {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("only Drop takes the session")
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        drop(self.session.take());
        let mut admin = admin();
        let mut sql = vec![format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            self.name
        )];
        sql.extend(
            self.roles
                .borrow()
                .iter()
                .map(|role| format!("DROP ROLE {role}")),
        );
        for sql in sql {
            if let Err(error) = admin.batch_execute(&sql)
                && !std::thread::panicking()
            {
                panic!("{sql}: {error}");
            }
        }
    }
}

/// The template's name: made once for each installed build of the extension.
fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let mut admin = admin();
        admin
            .execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK])
            .expect("locks");
        let name = template_name(&mut admin);
        let there: Vec<String> = admin
            .query(
                "SELECT datname::text FROM pg_database WHERE datname LIKE 'vmtemplate\\_%'",
                &[],
            )
            .expect("lists databases")
            .iter()
            .map(|row| row.get(0))
            .collect();
        if !there.contains(&name) {
            // Left by earlier builds, or by a test session that was killed.
            for old in there {
                let _ = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {old} WITH (FORCE)"));
            }
            make_template(&mut admin, &name);
        }
        name
    })
}

fn template_name(admin: &mut Client) -> String {
    let stamp = "SELECT md5(string_agg(f || (pg_stat_file(f)).modification::text, ',' ORDER BY f))
        FROM (SELECT (SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR') || '/vector_migrate.so'
              UNION ALL
              SELECT d || '/' || n FROM (SELECT setting || '/extension' FROM pg_config WHERE name = 'SHAREDIR') s(d),
                     pg_ls_dir(d) n WHERE n LIKE 'vector\\_migrate%') files(f)";
    let row = admin.query_one(stamp, &[]).unwrap_or_else(|error| {
        panic!("the extension is not installed; run `make install`: {error:?}")
    });
    format!("vmtemplate_{}", row.get::<_, String>(0))
}

fn make_template(admin: &mut Client, name: &str) {
    let draft = format!("{name}_draft");
    let run = |admin: &mut Client, sql: String| {
        admin
            .batch_execute(&sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    };
    run(admin, format!("CREATE DATABASE {draft} TEMPLATE template0"));
    let mut inside = config(&draft, &superuser())
        .connect(NoTls)
        .expect("connects");
    inside
        .batch_execute("CREATE EXTENSION vector_migrate CASCADE")
        .unwrap_or_else(|error| panic!("CREATE EXTENSION vector_migrate CASCADE: {error:?}"));
    inside.close().expect("closes");
    // The backend may take a moment to leave.
    run(
        admin,
        format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}",
            quote(&draft)
        ),
    );
    run(admin, format!("ALTER DATABASE {draft} RENAME TO {name}"));
}
