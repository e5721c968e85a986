//! A model that is replaced by renaming, while sessions use it or load it: each keeps the one that it has loaded, and
//! none has a mixture of two.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use vector_migrate_tests::models::{ModelFolder, TINY_DATA, cosine, embed, embed_all};
use vector_migrate_tests::{Db, Session, quote};

const SESSIONS: usize = 10;

/// What everything here has to come to.
const PATIENCE: Duration = Duration::from_secs(120);

/// A session with the model in `path`, which it has not loaded yet.
fn session_with(db: &Db, path: &Path) -> Session {
    let session = db.session();
    let path = quote(path.to_str().expect("UTF-8"));
    session.run(&format!("SET vector_migrate.model_path = {path}"));
    session
}

/// The tiny model with all weights negated: vectors of the other direction.
fn negated(name: &str) -> ModelFolder {
    let folder = ModelFolder::tiny(name);
    folder.write(TINY_DATA, &negated_data());
    folder
}

fn negated_data() -> Vec<u8> {
    let mut bytes = ModelFolder::tiny("shared").bytes(TINY_DATA);
    bytes
        .iter_mut()
        .skip(3)
        .step_by(4)
        .for_each(|byte| *byte ^= 0x80);
    bytes
}

fn is_same(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len() && cosine(found, expected) >= 0.99999
}

/// The `n`th text of the same tokens: no session has a vector of it yet.
fn same_tokens(n: usize) -> String {
    let spaces = |count: usize| " ".repeat(1 + count);
    format!(
        "one{}two{}three{}",
        spaces(n % 32),
        spaces(n / 32 % 32),
        spaces(n / 1024)
    )
}

/// Sessions that embed all the time, each with the vector that it had first.
struct Users {
    rounds: Vec<AtomicUsize>,
    ended: AtomicBool,
}

impl Users {
    fn new() -> Users {
        Users {
            rounds: (0..SESSIONS).map(|_| AtomicUsize::new(0)).collect(),
            ended: AtomicBool::new(false),
        }
    }

    /// A text, and a hundred, until the end.
    fn embed(&self, number: usize, session: &Session) {
        if number.is_multiple_of(2) {
            // The thread of the model is another one in each round.
            session.run("SET vector_migrate.model_idle_timeout = '1ms'");
        }
        let pid = session.line("SELECT pg_backend_pid()");
        let expected = embed(session, &same_tokens(0));
        let mut n = 1;
        while !self.ended.load(SeqCst) {
            let found = embed(session, &same_tokens(n));
            assert!(is_same(&found, &expected), "session {number}, text {n}");
            let texts: Vec<String> = (n + 1..n + 101).map(same_tokens).collect();
            for found in embed_all(session, &texts) {
                assert!(is_same(&found, &expected), "session {number}, a hundred");
            }
            n += 101;
            self.rounds[number].fetch_add(1, SeqCst);
        }
        assert_eq!(session.line("SELECT pg_backend_pid()"), pid);
    }

    /// Waits until each has embedded twice more.
    fn go_on(&self) {
        let rounds = || self.rounds.iter().map(|it| it.load(SeqCst));
        let wanted: Vec<usize> = rounds().map(|round| round + 2).collect();
        let start = Instant::now();
        while rounds().zip(&wanted).any(|(round, wanted)| round < *wanted) {
            assert!(start.elapsed() < PATIENCE, "{wanted:?}");
            assert!(!self.ended.load(SeqCst), "one has failed");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Ends the others when a thread ends, also by a panic.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Sessions use the model in `path` while each of `steps` changes something.
fn used_meanwhile(db: &Db, path: &Path, steps: &[&dyn Fn()]) {
    let users = Users::new();
    thread::scope(|scope| {
        let all: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let (users, session) = (&users, session_with(db, path));
                scope.spawn(move || {
                    let _ends = Ends(&users.ended);
                    users.embed(number, &session);
                })
            })
            .collect();
        let ends = Ends(&users.ended);
        users.go_on();
        for step in steps {
            step();
            users.go_on();
        }
        drop(ends);
        for one in all {
            one.join().expect("no error, and no other vector");
        }
    });
}

/// `old` is renamed away, `new` renamed to its place, and the old files are removed.
fn replaced(old: &ModelFolder, new: &ModelFolder) -> (Vec<f32>, Vec<f32>) {
    let db = Db::new();
    let path = old.path();
    let away = path.with_extension("old");
    let before = embed(&session_with(&db, path), &same_tokens(0));
    used_meanwhile(
        &db,
        path,
        &[
            &|| {
                fs::rename(path, &away).expect("renames");
                fs::rename(new.path(), path).expect("renames");
            },
            &|| fs::remove_dir_all(&away).expect("removes"),
        ],
    );
    let after = embed(&session_with(&db, path), &same_tokens(0));
    (before, after)
}

#[test]
fn a_folder_of_other_weights_takes_the_place_of_one_in_use() {
    let (old, new) = (ModelFolder::tiny("no_checksum"), negated("no_checksum"));
    let (before, after) = replaced(&old, &new);
    assert!(cosine(&before, &after) < -0.9999, "the new one is used");
}

#[test]
fn a_folder_of_another_pooling_takes_the_place_of_one_in_use() {
    let (old, new) = (ModelFolder::tiny("shared"), ModelFolder::tiny("shared"));
    new.write(
        "1_Pooling/config.json",
        br#"{"pooling_mode_cls_token": true}"#,
    );
    let (before, after) = replaced(&old, &new);
    assert!(cosine(&before, &after) < 0.9999, "the new one is used");
}

#[test]
fn another_model_takes_the_place_of_the_real_one_in_use() {
    let (old, new) = (ModelFolder::real(), ModelFolder::tiny("shared"));
    let (before, after) = replaced(&old, &new);
    assert_eq!((before.len(), after.len()), (384, 8));
}

#[test]
fn a_data_file_alone_takes_the_place_of_one_in_use() {
    let (db, folder) = (Db::new(), ModelFolder::tiny("no_checksum"));
    let path = folder.path();
    let before = embed(&session_with(&db, path), &same_tokens(0));
    let renamed = || {
        folder.write("next", &negated_data());
        fs::rename(path.join("next"), path.join(TINY_DATA)).expect("renames");
    };
    used_meanwhile(&db, path, &[&renamed]);
    let after = embed(&session_with(&db, path), &same_tokens(0));
    assert!(cosine(&before, &after) < -0.9999, "the new one is used");
    // Nobody takes one that the model's file does not know.
    let folder = ModelFolder::tiny("shared");
    let path = folder.path();
    let renamed = || {
        folder.write("next", &negated_data());
        fs::rename(path.join("next"), path.join(TINY_DATA)).expect("renames");
    };
    used_meanwhile(&db, path, &[&renamed]);
    session_with(&db, path)
        .error("SELECT embed_text('one')")
        .expect("55000")
        .names(TINY_DATA);
}

/// Two models, and what tells a mixture of them: weights, words and pooling are different.
struct Pair {
    folders: [ModelFolder; 2],
    vectors: [Vec<f32>; 2],
}

impl Pair {
    fn new(db: &Db) -> Pair {
        let (one, other) = (ModelFolder::tiny("no_checksum"), negated("no_checksum"));
        let words = String::from_utf8(other.bytes("tokenizer.json")).expect("UTF-8");
        let words = words.replace("\"one\":4", "\"one\":6");
        other.write("tokenizer.json", words.as_bytes());
        other.write(
            "1_Pooling/config.json",
            br#"{"pooling_mode_mean_tokens": true}"#,
        );
        let folders = [one, other];
        let vectors = [0, 1].map(|n| {
            let path: &ModelFolder = &folders[n];
            embed(&session_with(db, path.path()), &same_tokens(0))
        });
        assert!(!is_same(&vectors[0], &vectors[1]));
        Pair { folders, vectors }
    }

    #[track_caller]
    fn which(&self, found: &[f32]) -> usize {
        let which = self.vectors.iter().position(|it| is_same(found, it));
        which.unwrap_or_else(|| panic!("of none of the two models: {found:?}"))
    }
}

/// Sessions come and load the model in `path` while `swap` replaces it again and again; how often each model was met.
fn loaded_meanwhile(pair: &Pair, path: &Path, swap: &(dyn Fn(usize) + Sync)) -> [usize; 2] {
    let met = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Ends(&ended);
        scope.spawn(|| {
            let mut n = 0;
            while !ended.load(SeqCst) {
                swap(n);
                n += 1;
            }
        });
        let (met, ended) = (&met, &ended);
        let visitors: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(move || {
                    let db = Db::new();
                    for _ in 0..40 {
                        let session = session_with(&db, path);
                        let which = pair.which(&embed(&session, &same_tokens(0)));
                        met[which].fetch_add(1, SeqCst);
                        // With a session for many texts, or without.
                        let texts: Vec<String> = (1..61).map(same_tokens).collect();
                        for found in embed_all(&session, &texts) {
                            assert_eq!(pair.which(&found), which);
                        }
                        if ended.load(SeqCst) {
                            return;
                        }
                    }
                })
            })
            .collect();
        let results: Vec<_> = visitors.into_iter().map(|one| one.join()).collect();
        drop(ends);
        for result in results {
            result.expect("no error, and no mixture");
        }
    });
    met.map(AtomicUsize::into_inner)
}

/// Makes `link` lead to `to`, at once.
fn relink(link: &Path, to: &Path) {
    let draft = link.with_extension("draft");
    symlink(to, &draft).expect("links");
    fs::rename(&draft, link).expect("renames");
}

#[test]
fn a_link_that_is_changed_all_the_time_gives_one_model_or_the_other() {
    let db = Db::new();
    let pair = Pair::new(&db);
    let link: PathBuf = pair.folders[0].path().with_extension("link");
    relink(&link, pair.folders[0].path());
    let swap = |n: usize| relink(&link, pair.folders[n % 2].path());
    let met = loaded_meanwhile(&pair, &link, &swap);
    assert!(met.iter().all(|times| *times > 0), "{met:?}");
}
