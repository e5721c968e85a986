//! A store on a file system that is mounted read-only is read like any other, also in write-ahead mode.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{copy, named, open, records};

/// A read-only view of a folder.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// `None` where this user may not mount.
    fn new(folder: &Path) -> Option<Mounted> {
        let at = tempfile::tempdir().unwrap();
        let mounted = run("mount", &["--bind".as_ref(), folder, at.path()]);
        let view = mounted.then(|| Mounted(at))?;
        run(
            "mount",
            &["-o".as_ref(), "remount,bind,ro".as_ref(), view.0.path()],
        )
        .then_some(view)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["-l".as_ref(), self.0.path()]);
    }
}

fn run(command: &str, arguments: &[&Path]) -> bool {
    let mut command = Command::new(command);
    command.args(arguments).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_store_that_nobody_can_write_is_read() {
    for mode in ["delete", "wal"] {
        let copy = copy("chroma-1.5.9");
        copy.sql(&format!("PRAGMA journal_mode = {mode}"));
        let Some(view) = Mounted::new(&copy.directory) else {
            println!("skipped: this user may not mount a folder");
            return;
        };
        let probe = view.0.path().join("probe");
        assert!(std::fs::write(probe, b"").is_err(), "it is not read-only");
        let (there, here) = (open(view.0.path()), open(&copy.directory));
        for name in ["l2_history", "cosine_history", "content"] {
            let found = records(&there, named(&there, name));
            assert!(!found.is_empty() || name == "content");
            assert_eq!(found, records(&here, named(&here, name)), "{mode} {name}");
        }
        assert_eq!(there.summary().unwrap(), here.summary().unwrap());
    }
}
