//! Private copies of stores: gone after every kind of death, never more than the session or the disk allows.
//!
//! `DEATHS`: rounds of each kind. One test at a time, as they all look at the server's folder of temporary files.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use vector_migrate_tests::{Db, Session, Store, store};

const FOLDERS: &str =
    "SELECT f FROM pg_ls_dir('base/pgsql_tmp', true, false) f WHERE f LIKE 'pgsql\\_tmp\\_vector%'";
/// What everything here has to come to.
const PATIENCE: Duration = Duration::from_secs(20);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn deaths() -> u32 {
    let told = std::env::var("DEATHS").ok();
    told.map_or(3, |told| told.parse().expect("DEATHS is a number"))
}

/// A store that has to be copied to be read, with some megabytes that are only copied.
fn logged(megabytes: u32) -> Store {
    let source = store("special/many");
    let writer = Connection::open(source.path().join("chroma.sqlite3")).expect("a database");
    let filler = "CREATE TABLE filler (x); WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ";
    writer
        .execute_batch(&format!(
            "PRAGMA synchronous = 0; PRAGMA journal_mode = wal; {filler}{megabytes}) INSERT INTO filler SELECT \
             zeroblob(1000000) FROM n; PRAGMA wal_checkpoint(truncate)"
        ))
        .expect("a filler");
    source
}

/// Waits until there is a private folder, or none.
#[track_caller]
fn until(db: &Db, there: bool) {
    let since = Instant::now();
    loop {
        let folders = db.lines(FOLDERS);
        if folders.is_empty() != there {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "{folders:?}");
    }
}

/// A session with a cursor on a copy of `source`; and its backend.
fn reading(db: &Db, source: &Store) -> (Session, i32) {
    let session = db.session();
    let backend = session.one("SELECT pg_backend_pid()");
    session.run(&format!(
        "SET vector_migrate.batch_bytes = '64kB'; BEGIN; DECLARE c CURSOR FOR SELECT chroma_records({}); FETCH 1 FROM c",
        source.sql()
    ));
    assert_eq!(db.lines(FOLDERS).len(), 1);
    (session, backend)
}

fn terminate(db: &Db, backend: i32) {
    db.run(&format!("SELECT pg_terminate_backend({backend})"));
}

#[test]
fn a_terminated_backend_leaves_no_copy() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(1));
    for _ in 0..deaths() {
        let (_session, backend) = reading(&db, &source);
        terminate(&db, backend);
        until(&db, false);
    }
}

#[test]
fn a_client_that_leaves_in_good_order_leaves_no_copy() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(1));
    for _ in 0..deaths() {
        drop(reading(&db, &source));
        until(&db, false);
    }
}

#[test]
fn a_lost_client_leaves_no_copy() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(1));
    for _ in 0..deaths() {
        let mut client = psql(&db, &source);
        until(&db, true);
        client.kill().expect("kills");
        client.wait().expect("ends");
        until(&db, false);
    }
}

/// A client of its own process, with an open cursor.
fn psql(db: &Db, source: &Store) -> std::process::Child {
    let place = |name: &str| std::env::var(name).expect("set by `make test`");
    let mut client = Command::new("psql")
        .args([
            "-qX",
            "-h",
            &place("VECTOR_MIGRATE_HOST"),
            "-p",
            &place("VECTOR_MIGRATE_PORT"),
        ])
        .args(["-U", &place("VECTOR_MIGRATE_USER"), "-d", db.name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("psql");
    let sql = format!(
        "SET vector_migrate.batch_bytes = '64kB'; BEGIN; DECLARE c CURSOR FOR SELECT chroma_records({}); FETCH 1 FROM c;\n",
        source.sql()
    );
    let stdin = client.stdin.as_mut().expect("piped");
    stdin.write_all(sql.as_bytes()).expect("writes");
    client
}

/// Makes the call in a session of its own, and terminates that as soon as there is a copy; whether that ended the call.
fn is_terminated_in(db: &Db, call: &str) -> bool {
    let mut session = db.client();
    let row = session
        .query_one("SELECT pg_backend_pid()", &[])
        .expect("a number");
    let backend: i32 = row.get(0);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| session.simple_query(call).is_err());
        while db.lines(FOLDERS).is_empty() && !run.is_finished() {}
        terminate(db, backend);
        run.join().expect("no panic")
    })
}

#[test]
fn a_backend_that_dies_while_it_copies_leaves_nothing() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(150));
    let call = format!("SELECT * FROM chroma_store({})", source.sql());
    for _ in 0..deaths() {
        // A copy may be over before it is seen, or before the backend hears of its end: then once more.
        let ended = (0..100).any(|_| is_terminated_in(&db, &call));
        assert!(ended, "it was never terminated while it copied");
        until(&db, false);
    }
}

#[test]
fn a_cancel_while_a_copy_is_made_leaves_nothing() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(150));
    let call = format!("SELECT * FROM chroma_store({})", source.sql());
    // As above: a copy may be over too soon.
    let ended = (0..100).find_map(|_| {
        let (session, call) = (db.session(), &call);
        let token = session.cancel_token();
        std::thread::scope(|scope| {
            let run = scope.spawn(move || session.attempt(call).err());
            while db.lines(FOLDERS).is_empty() && !run.is_finished() {}
            token.cancel_query(postgres::NoTls).expect("cancels");
            run.join().expect("no panic")
        })
    });
    ended
        .expect("it was cancelled while it copied")
        .expect("57014");
    until(&db, false);
}

#[test]
fn what_a_dead_process_left_is_removed_with_the_next_copy() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(1));
    let pid: i32 = db.one("SELECT pg_backend_pid()");
    let (name, base) = ("pgsql_tmp_vector_migrate", "base/pgsql_tmp");
    // Of a process that never was, of one whose number a live one has now, and of a live one.
    let left = [
        format!("{base}/{name}.99999999-1.0"),
        format!("{base}/{name}.{pid}-1.0"),
    ];
    let live = format!("{base}/{name}.{pid}.0");
    let shell = |command: &str| {
        db.run(&format!(
            "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; {command}'"
        ))
    };
    for folder in left.iter().chain([&live]) {
        shell(&format!(
            "mkdir -p {folder}/part; echo x > {folder}/part/chroma.sqlite3"
        ));
    }
    shell(&format!("ln -s /etc {base}/{name}.99999998-1.0"));
    db.run(&format!("SELECT * FROM chroma_store({})", source.sql()));
    let kept = db.lines(&format!("{FOLDERS} ORDER BY 1"));
    assert_eq!(
        kept,
        [format!("{name}.{pid}.0"), format!("{name}.99999998-1.0")]
    );
    shell(&format!("rm -r {live} {base}/{name}.99999998-1.0"));
}

#[test]
fn a_copy_beyond_temp_file_limit_is_refused_before_it_is_made() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(3));
    for (limit, refused) in [("1MB", true), ("100MB", false), ("-1", false)] {
        db.run(&format!("SET temp_file_limit = '{limit}'"));
        for function in ["chroma_store", "chroma_records", "migrate_chroma"] {
            let call = format!("SELECT * FROM {function}({})", source.sql());
            match db.attempt(&call) {
                Err(failure) if refused => {
                    let told = "temporary file size exceeds temp_file_limit (1024kB)";
                    failure.expect("53400").names(told);
                }
                // The store's records have no documents, which a migration may refuse.
                other => assert!(!refused && (other.is_ok() || function == "migrate_chroma")),
            }
        }
        assert!(db.lines(FOLDERS).is_empty());
    }
}

#[test]
fn two_copies_of_a_session_count_together() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(3));
    let session = db.session();
    session.run("SET temp_file_limit = '6MB'; SET vector_migrate.batch_bytes = '64kB'; BEGIN");
    let declare = |name: &str| {
        format!(
            "DECLARE {name} CURSOR FOR SELECT chroma_records({}); FETCH 1 FROM {name}",
            source.sql()
        )
    };
    session.run(&declare("one"));
    session.error(&declare("two")).expect("53400");
    session.run("ROLLBACK");
    session.run(&format!("BEGIN; {}; COMMIT", declare("three")));
}

#[test]
fn a_copy_is_counted_in_pg_stat_database() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(3));
    let counted = "SELECT temp_bytes > 3000000 AND temp_files >= 1 FROM pg_stat_database WHERE datname = current_database()";
    assert!(!db.one::<bool>(counted));
    let session = db.session();
    session.run(&format!("SELECT * FROM chroma_store({})", source.sql()));
    drop(session);
    let since = Instant::now();
    while !db.session().one::<bool>(counted) {
        assert!(since.elapsed() < PATIENCE);
    }
}

/// A small file system in the place of the server's temporary files, as the server sees it.
struct Small {
    postmaster: String,
    place: String,
}

impl Small {
    /// `None` where this process may not mount.
    fn mount(db: &Db, megabytes: u32) -> Option<Small> {
        let data = db.line("SHOW data_directory");
        let pid = std::fs::read_to_string(format!("{data}/postmaster.pid")).ok()?;
        let small = Small {
            postmaster: pid.lines().next()?.to_owned(),
            place: format!("{data}/base/pgsql_tmp"),
        };
        let options = format!("size={megabytes}m,mode=777");
        small
            .inside(&[
                "mount",
                "-t",
                "tmpfs",
                "-o",
                &options,
                "small",
                &small.place,
            ])
            .then_some(small)
    }

    fn inside(&self, command: &[&str]) -> bool {
        let mut enter = Command::new("nsenter");
        enter.args(["-m", "-t", &self.postmaster]).args(command);
        enter
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.inside(&["umount", "-l", &self.place]);
    }
}

#[test]
fn too_little_space_is_told_before_a_byte_is_copied() {
    let _alone = alone();
    let (db, source) = (Db::new(), logged(30));
    // The folder is there from the first copy on.
    db.run(&format!("SELECT * FROM chroma_store({})", source.sql()));
    let Some(_small) = Small::mount(&db, 20) else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    assert!(db.lines(FOLDERS).is_empty());
    let failure = db.error(&format!("SELECT * FROM chroma_store({})", source.sql()));
    let failure = failure
        .expect("53100")
        .details("20971520 bytes are free, 1048576 of which");
    let takes: u64 = failure
        .detail
        .split(' ')
        .find_map(|word| word.parse().ok())
        .expect("a figure");
    assert!((30_000_000..60_000_000).contains(&takes), "{takes}");
    assert!(db.lines(FOLDERS).is_empty());
    let fits = logged(5);
    db.run(&format!("SELECT * FROM chroma_store({})", fits.sql()));
}
