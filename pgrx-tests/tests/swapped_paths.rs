//! Paths that change while they are used: what was checked against `allowed_roots` is what is read, and nothing that
//! takes the place of a file makes a call wait.
//!
//! `SWAPS`: calls in each loop, while another thread swaps, thousands of times a second.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use vector_migrate_tests::{Db, Failure, Session, Store, store};

/// What every call has to end in, by itself or by the cancel of its timeout.
const LATE: Duration = Duration::from_secs(2);
const TIMEOUT: &str = "SET statement_timeout = '700ms'";
/// Whose every record of a store outside is.
const OUTSIDE: &str = "from outside";
/// Every component of its vectors, but for the length that a cosine space keeps beside them.
const VALUE: f32 = 777.0;

fn calls() -> u64 {
    let told = std::env::var("SWAPS").ok();
    told.map_or(40, |told| told.parse().expect("SWAPS is a number"))
}

/// Exchanges two names at once.
fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).expect("exchanges");
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a pipe");
    // Not what the umask has made of it.
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("a mode");
}

/// Lets go on whoever waits for a writer of the pipe, so that a test that fails leaves no backend behind.
struct Release(PathBuf);

impl Drop for Release {
    fn drop(&mut self) {
        let mut options = fs::OpenOptions::new();
        let _ = options.write(true).custom_flags(0o4000).open(&self.0);
    }
}

/// The segment folders of a store.
fn segments(source: &Store) -> Vec<PathBuf> {
    let entries = fs::read_dir(source.path()).expect("lists");
    let paths = entries.map(|entry| entry.expect("reads").path());
    paths.filter(|path| path.is_dir()).collect()
}

/// Gives every element of an index the vector (777, 777, ...).
fn mark(segment: &Path) {
    let header = fs::read(segment.join("header.bin")).expect("a header");
    let field = |at: usize| {
        let word = header[at..at + 8].try_into().expect("eight bytes");
        usize::try_from(u64::from_le_bytes(word)).expect("a size")
    };
    let (stride, label, vector) = (field(28), field(36), field(44));
    let path = segment.join("data_level0.bin");
    let mut bytes = fs::read(&path).expect("elements");
    for element in bytes.chunks_exact_mut(stride) {
        for word in element[vector..label].chunks_exact_mut(4) {
            word.copy_from_slice(&VALUE.to_le_bytes());
        }
    }
    fs::write(&path, bytes).expect("writes");
}

/// A store whose every owner and vector shows that it was read.
fn outside(db: &Db) -> Store {
    let outside = store("special/many");
    outside.damage(&format!(
        "UPDATE embedding_metadata SET string_value = '{OUTSIDE}' WHERE key = 'user_id'"
    ));
    segments(&outside).iter().for_each(|segment| mark(segment));
    assert_eq!(from_outside(db, outside.path()).expect("reads"), 2500);
    outside
}

/// A superuser's session that may read below `root` only.
fn confined(db: &Db, root: &Path) -> Session {
    let session = db.session();
    session.run(&format!(
        "SET vector_migrate.allowed_roots = '{}'; {TIMEOUT}",
        root.display()
    ));
    session
}

/// How often a look at the store's records showed something from outside.
fn from_outside(session: &Session, path: &Path) -> Result<u64, Failure> {
    let rows = session.attempt(&format!(
        "SELECT count(*) FROM chroma_records('{}') WHERE metadata->>'user_id' = '{OUTSIDE}' \
         OR embedding[1] = embedding[2] AND embedding[2] = embedding[3]",
        path.display()
    ))?;
    let count = rows[0][0].as_deref().expect("a count");
    Ok(count.parse().expect("a number"))
}

/// Waits for up to a third of a millisecond, each time for another while, without giving the processor away.
fn pause(turn: u64) {
    let while_ = Duration::from_nanos(turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 46);
    let since = Instant::now();
    while since.elapsed() < while_ {
        std::hint::spin_loop();
    }
}

/// Looks at the store at `path` again and again, while `swap` puts something else in the place of a part of it for a
/// moment and puts that part back: most looks find everything in its place, so that a call goes far.
#[track_caller]
fn swapping(session: &Session, path: &Path, codes: &[&str], swap: impl Fn() + Sync) {
    let (over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut read, mut refused, mut outside, mut longest) = (0, 0, 0, Duration::ZERO);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                swap();
                swap();
                pause(swaps.fetch_add(2, Ordering::Relaxed));
            }
        });
        for _ in 0..calls() {
            let since = Instant::now();
            match from_outside(session, path) {
                Ok(0) => read += 1,
                Ok(_) => outside += 1,
                Err(failure) if codes.contains(&&*failure.code) => refused += 1,
                Err(failure) => {
                    over.store(true, Ordering::Relaxed);
                    panic!("{failure:#?}");
                }
            }
            longest = longest.max(since.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    let swaps = swaps.into_inner();
    println!(
        "{read} read, {refused} refused, {outside} outside, {swaps} swaps, longest {longest:?}"
    );
    assert_eq!(outside, 0, "of {} calls", calls());
    assert!(longest < LATE, "{longest:?}");
    assert!(read + refused > 0 && swaps > 0);
}

#[test]
fn a_directory_on_the_way_that_is_swapped_for_a_link_leads_nowhere() {
    let (db, inside) = (Db::new(), store("special/many"));
    let outside = outside(&db);
    // <root>/way/chroma, and <root>/link -> the folder of the store outside.
    let root = inside.parent();
    let (way, link) = (root.join("way"), root.join("link"));
    fs::create_dir(&way).expect("creates");
    fs::rename(inside.path(), way.join("chroma")).expect("moves");
    symlink(outside.parent(), &link).expect("a link");
    let session = confined(&db, root);
    let path = way.join("chroma");
    assert_eq!(from_outside(&session, &path).expect("reads"), 0);
    from_outside(&session, &link.join("chroma"))
        .unwrap_err()
        .expect("42501");
    swapping(&session, &path, &["42501", "55006", "57014"], || {
        exchange(&way, &link)
    });
}

#[test]
fn a_segment_folder_that_is_swapped_for_a_link_is_never_followed() {
    let (db, inside) = (Db::new(), store("special/many"));
    let outside = outside(&db);
    let session = confined(&db, inside.parent());
    let folder = segments(&inside).remove(0);
    let link = inside.path().join("link");
    symlink(segments(&outside).remove(0), &link).expect("a link");
    swapping(
        &session,
        inside.path(),
        &["42809", "55006", "57014"],
        || {
            exchange(&folder, &link);
        },
    );
}

#[test]
fn a_database_that_is_swapped_for_a_link_is_never_followed() {
    let (db, inside) = (Db::new(), store("special/many"));
    let outside = outside(&db);
    let session = confined(&db, inside.parent());
    let link = inside.path().join("link");
    symlink(outside.path().join("chroma.sqlite3"), &link).expect("a link");
    let database = inside.path().join("chroma.sqlite3");
    swapping(
        &session,
        inside.path(),
        &["42809", "55006", "57014"],
        || {
            exchange(&database, &link);
        },
    );
}

#[test]
fn a_database_that_is_swapped_for_a_pipe_lets_no_call_wait() {
    let (db, inside) = (Db::new(), store("special/many"));
    let session = confined(&db, inside.parent());
    let (database, pipe) = (
        inside.path().join("chroma.sqlite3"),
        inside.path().join("pipe"),
    );
    fifo(&pipe);
    let _release = (Release(database.clone()), Release(pipe.clone()));
    swapping(
        &session,
        inside.path(),
        &["42809", "55006", "57014"],
        || {
            exchange(&database, &pipe);
        },
    );
}

#[test]
fn a_pipe_beside_the_database_is_refused_by_name() {
    for name in ["chroma.sqlite3-journal", "chroma.sqlite3-wal"] {
        let (db, source) = (Db::new(), store("special/many"));
        let session = confined(&db, source.parent());
        let pipe = source.path().join(name);
        fifo(&pipe);
        let _release = Release(pipe);
        for function in ["chroma_store", "chroma_records", "migrate_chroma"] {
            let since = Instant::now();
            let call = format!("SELECT * FROM {function}({})", source.sql());
            session
                .error(&call)
                .expect("42809")
                .names(name)
                .names("a pipe");
            assert!(since.elapsed() < LATE, "{function} beside {name}");
        }
    }
}

#[test]
fn an_index_file_that_is_a_pipe_is_refused_by_name() {
    let (db, source) = (Db::new(), store("special/many"));
    let session = confined(&db, source.parent());
    let path = segments(&source).remove(0).join("index_metadata.pickle");
    fs::remove_file(&path).expect("removes");
    fifo(&path);
    let _release = Release(path);
    let call = format!("SELECT * FROM chroma_records({})", source.sql());
    session
        .error(&call)
        .expect("42809")
        .names("index_metadata.pickle");
}

#[test]
fn what_cannot_be_opened_outside_is_refused_like_what_can() {
    let (db, inside) = (Db::new(), Store::empty());
    let session = confined(&db, inside.path());
    symlink("/no/such/place", inside.path().join("dangling")).expect("a link");
    symlink("/", inside.path().join("root")).expect("a link");
    for outside in ["/no/such/place", "/etc", "/etc/passwd/x"] {
        session
            .error(&format!("SELECT * FROM chroma_store('{outside}')"))
            .expect("42501");
    }
    for below in [
        "dangling",
        "dangling/x",
        "root/etc",
        "root/etc/none",
        "../x",
        "root/etc/passwd/x",
    ] {
        session
            .error(&format!(
                "SELECT * FROM chroma_store({})",
                inside.sql_of(below)
            ))
            .expect("42501")
            .names(below);
    }
    session
        .error(&format!(
            "SELECT * FROM chroma_store({})",
            inside.sql_of("none")
        ))
        .expect("58P01");
}
