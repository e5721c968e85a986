//! Weights in a file beside the model: shared by all sessions, checked before they are used, nothing else is, and what
//! is wrong with them is named. The replacement of a model is in `model_replaced.rs`.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use vector_migrate_tests::models::{ModelFolder, TINY_DATA, cosine, embed, embed_all, reference};
use vector_migrate_tests::{Db, Failure, Session, quote};

/// The data file of the real model.
const DATA: &str = "model.onnx.data";

/// What is left of a cosine where only the order of additions may differ.
const SAME: f64 = 0.99999;

/// The error of embedding with `folder`, in a session that lives on. A file that nobody writes to would be waited for.
#[track_caller]
fn refused(session: &Session, folder: &ModelFolder) -> Failure {
    let pid = session.line("SELECT pg_backend_pid()");
    folder.set(session);
    session.run("SET statement_timeout = '20s'");
    let failure = session
        .error("SELECT embed_text('one two')")
        .expect("55000");
    session.run("RESET statement_timeout");
    assert_eq!(session.line("SELECT pg_backend_pid()"), pid);
    failure
}

fn pipe(path: &Path) {
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, path, FileType::Fifo, mode, 0).expect("a pipe");
}

/// SHA-256 of files one after the other, as PostgreSQL computes it.
fn sha256(session: &Session, files: &[&Path]) -> String {
    let read = |file: &&Path| {
        let file = quote(file.to_str().expect("UTF-8"));
        format!("pg_read_binary_file({file})")
    };
    let bytes: Vec<String> = files.iter().map(read).collect();
    session.line(&format!(
        "SELECT encode(sha256({}), 'hex')",
        bytes.join(" || ")
    ))
}

fn digest(session: &Session) -> String {
    session.line("SELECT digest FROM model_info()")
}

#[test]
fn the_installed_models_weights_belong_to_all_sessions() {
    let db = Db::new();
    assert_eq!(
        db.line(
            "SELECT shared, shared_bytes > 80 << 20, private_bytes < 40 << 20 FROM model_info()"
        ),
        "t|t|t"
    );
    // Nothing that belongs to the session holds them, also after they were used.
    for one in reference() {
        embed(&db, &one.text);
    }
    let pid = db.line("SELECT pg_backend_pid()");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let own: u64 = number.expect("the line").parse().expect("a number");
    assert!(own < 60 << 10, "{own} kB of its own");
}

#[test]
fn the_vectors_are_those_of_the_weights_in_one_file() {
    // ONNX Runtime itself has made these, of a model that has its weights inside.
    let (db, all) = (Db::new(), reference());
    for one in &all {
        let same = cosine(&embed(&db, &one.text), &one.mean);
        assert!(same >= SAME, "{:.40}: {same}", one.text);
    }
    // Another session, which has none of them yet; more than once, so that they get a session for many texts.
    let texts: Vec<String> = all.iter().map(|one| one.text.clone()).collect();
    let session = db.session();
    for (one, found) in all.iter().zip(embed_all(&session, &texts)) {
        let same = cosine(&found, &one.mean);
        assert!(same >= SAME, "{:.40}: {same}", one.text);
    }
}

#[test]
fn a_folder_with_a_single_file_gives_the_same_and_shares_nothing() {
    let db = Db::new();
    let (inside, beside) = (ModelFolder::tiny("good"), ModelFolder::tiny("shared"));
    let (one, other) = (db.session(), db.session());
    inside.set(&one);
    beside.set(&other);
    let shown = "SELECT shared, shared_bytes, dimension FROM model_info()";
    assert_eq!(one.line(shown), "f|0|8");
    let bytes = beside.bytes(TINY_DATA).len();
    assert_eq!(other.line(shown), format!("t|{bytes}|8"));
    for text in ["", "one", "one two three", "passage of unknown words"] {
        assert_eq!(embed(&one, text), embed(&other, text), "{text:?}");
    }
    let texts: Vec<String> = (0..60)
        .map(|n| format!("one {}", "two ".repeat(n % 7)))
        .collect();
    assert_eq!(embed_all(&one, &texts), embed_all(&other, &texts));
}

#[test]
fn the_digest_stands_for_the_weights() {
    let db = Db::new();
    let path = db.line("SELECT path FROM model_info()");
    let onnx = Path::new(&path).join("model.onnx");
    assert_eq!(digest(&db), sha256(&db, &[&onnx]));
    // The checksum of the data file is in it.
    let file = |folder: &ModelFolder, name: &str| folder.path().join(name);
    let shared = ModelFolder::tiny("shared");
    let session = db.session();
    shared.set(&session);
    assert_eq!(
        digest(&session),
        sha256(&db, &[&file(&shared, "model.onnx")])
    );
    // Without one, the file itself counts.
    let bare = ModelFolder::tiny("no_checksum");
    let both = || sha256(&db, &[&file(&bare, "model.onnx"), &file(&bare, TINY_DATA)]);
    let session = db.session();
    bare.set(&session);
    let before = digest(&session);
    assert_eq!(before, both());
    let mut bytes = bare.bytes(TINY_DATA);
    bytes[500] ^= 1;
    bare.remove(TINY_DATA);
    bare.write(TINY_DATA, &bytes);
    let later = db.session();
    bare.set(&later);
    assert_eq!(digest(&later), both());
    assert_ne!(digest(&later), before);
}

/// What can become of a data file.
const FATES: [&str; 6] = [
    "missing",
    "cut by a byte",
    "empty",
    "a directory",
    "another file of the same length",
    "a pipe",
];

/// Puts something else in the place of the file `data`; the file itself is kept beside.
fn befall(data: &Path, fate: &str) {
    let kept = data.with_extension("kept");
    if !kept.exists() {
        fs::rename(data, &kept).expect("renames");
    } else if data.is_dir() {
        fs::remove_dir(data).expect("removes");
    } else if data.exists() {
        fs::remove_file(data).expect("removes");
    }
    let size = fs::metadata(&kept).expect("is there").len();
    match fate {
        "missing" => {}
        "cut by a byte" => {
            fs::copy(&kept, data).expect("copies");
            let file = File::options().write(true).open(data).expect("opens");
            file.set_len(size - 1).expect("cuts");
        }
        "empty" => fs::write(data, b"").expect("writes"),
        "a directory" => fs::create_dir(data).expect("creates"),
        "another file of the same length" => {
            let mut bytes = fs::read(&kept).expect("reads");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(data, bytes).expect("writes");
        }
        _ => pipe(data),
    }
}

/// The same session meets each fate, and works with `good` after it.
fn every_fate(folder: &ModelFolder, file: &str, good: &ModelFolder) {
    let db = Db::new();
    good.set(&db);
    let expected = embed(&db, "one two");
    for fate in FATES {
        befall(&folder.path().join(file), fate);
        refused(&db, folder).names(file);
        good.set(&db);
        assert_eq!(embed(&db, "one two"), expected, "after {fate}");
    }
}

#[test]
fn a_data_file_that_is_not_the_models_is_named() {
    let (folder, good) = (ModelFolder::tiny("shared"), ModelFolder::tiny("shared"));
    every_fate(&folder, TINY_DATA, &good);
}

#[test]
fn a_data_file_that_is_not_the_real_models_is_named() {
    let (folder, good) = (ModelFolder::real(), ModelFolder::tiny("shared"));
    every_fate(&folder, DATA, &good);
}

#[test]
fn without_a_checksum_the_length_is_what_tells() {
    let (folder, good) = (ModelFolder::tiny("no_checksum"), ModelFolder::tiny("good"));
    let (db, data) = (Db::new(), folder.path().join(TINY_DATA));
    for fate in FATES {
        befall(&data, fate);
        if fate == "another file of the same length" {
            folder.set(&db);
            assert_eq!(embed(&db, "one two").len(), 8);
        } else {
            refused(&db, &folder).names(TINY_DATA);
        }
        good.set(&db);
        embed(&db, "one two");
    }
}

#[test]
fn nothing_outside_of_the_folder_is_taken_for_weights() {
    let db = Db::new();
    let shared = ModelFolder::tiny("shared").bytes(TINY_DATA);
    for (name, told) in [
        ("outside_parent", "\"../outside.data\""),
        ("outside_absolute", "\"/etc/hostname\""),
        ("in_memory", "\"*/_ORT_MEM_ADDR_/*\""),
        ("deep", "\"../outside.data\""),
    ] {
        let folder = ModelFolder::tiny(name);
        let outside = folder.path().join("../outside.data");
        let told = |failure: Failure| failure.names("model.onnx").names(told).names("outside");
        told(refused(&db, &folder));
        // What it names is there, and would do.
        fs::write(&outside, &shared).expect("writes");
        folder.write("*/_ORT_MEM_ADDR_/*", &[0; 8192]);
        told(refused(&db, &folder));
        // Who opened it would wait.
        fs::remove_file(&outside).expect("removes");
        pipe(&outside);
        told(refused(&db, &folder));
    }
    let good = ModelFolder::tiny("shared");
    good.set(&db);
    assert_eq!(embed(&db, "one two").len(), 8);
}

#[test]
fn a_place_that_the_file_does_not_have_is_named() {
    let db = Db::new();
    refused(&db, &ModelFolder::tiny("beyond_end")).names(TINY_DATA);
    refused(&db, &ModelFolder::tiny("bad_offset"))
        .names("model.onnx")
        .names("offset is \"-1\"");
}

/// The tiny model with its weights in a folder of the model's, of a name of the same length.
fn weights_below() -> ModelFolder {
    const BELOW: &[u8; TINY_DATA.len()] = b"below/model.data";
    let folder = ModelFolder::tiny("shared");
    let mut onnx = folder.bytes("model.onnx");
    let mut found = 0;
    for at in 0..onnx.len() - BELOW.len() {
        if onnx[at..].starts_with(TINY_DATA.as_bytes()) {
            onnx[at..at + BELOW.len()].copy_from_slice(BELOW);
            found += 1;
        }
    }
    assert_eq!(found, 2, "it has two tensors");
    folder.write("model.onnx", &onnx);
    folder
}

#[test]
fn links_that_stay_in_the_folder_are_followed() {
    let (db, shared) = (Db::new(), ModelFolder::tiny("shared"));
    shared.set(&db);
    let expected = embed(&db, "one two");
    let works = |folder: &ModelFolder| {
        folder.set(&db);
        assert_eq!(embed(&db, "one two"), expected);
        assert_eq!(db.line("SELECT shared FROM model_info()"), "t");
    };
    let folder = weights_below();
    folder.write("below/model.data", &shared.bytes(TINY_DATA));
    works(&folder);
    let folder = weights_below();
    folder.write("elsewhere/model.data", &shared.bytes(TINY_DATA));
    symlink("elsewhere", folder.path().join("below")).expect("links");
    works(&folder);
    let folder = ModelFolder::tiny("shared");
    let data = folder.path().join(TINY_DATA);
    fs::rename(&data, folder.path().join("other")).expect("renames");
    symlink("other", &data).expect("links");
    works(&folder);
}

#[test]
fn links_that_lead_out_of_the_folder_are_not_followed() {
    let (db, outside) = (Db::new(), ModelFolder::tiny("shared"));
    let pipes = ModelFolder::tiny("shared");
    pipes.remove(TINY_DATA);
    pipe(&pipes.path().join(TINY_DATA));
    for elsewhere in [&outside, &pipes] {
        // The file, by an absolute link, a relative one, and one over another link inside.
        let target = elsewhere.path().join(TINY_DATA);
        let folder = ModelFolder::tiny("shared");
        let data = folder.path().join(TINY_DATA);
        folder.remove(TINY_DATA);
        symlink(&target, &data).expect("links");
        refused(&db, &folder).names(TINY_DATA).names("outside");
        folder.remove(TINY_DATA);
        symlink("inside", &data).expect("links");
        symlink(&target, folder.path().join("inside")).expect("links");
        refused(&db, &folder).names(TINY_DATA).names("outside");
        let relative = target.strip_prefix(
            folder
                .path()
                .parent()
                .and_then(Path::parent)
                .expect("is in the scratch folder"),
        );
        folder.remove(TINY_DATA);
        let relative = Path::new("../..").join(relative.expect("is in the scratch folder"));
        symlink(relative, &data).expect("links");
        refused(&db, &folder).names(TINY_DATA).names("outside");
        // A folder on the way.
        let folder = weights_below();
        let name = elsewhere.path().join("model.data");
        fs::rename(&target, &name).expect("renames");
        symlink(elsewhere.path(), folder.path().join("below")).expect("links");
        refused(&db, &folder)
            .names("below/model.data")
            .names("outside");
    }
    // A link to itself leads nowhere.
    let folder = ModelFolder::tiny("shared");
    folder.remove(TINY_DATA);
    symlink(TINY_DATA, folder.path().join(TINY_DATA)).expect("links");
    refused(&db, &folder).names(TINY_DATA);
}
