//! Whether `verify_migration` finds a run as the store has it.

use crate::Session;

/// Panics unless every check of the run passes, of a share of the rows and of all.
#[track_caller]
pub fn assert_verified(db: &Session, run: i64) {
    for full in [false, true] {
        let failed = db.lines(&format!(
            "SELECT v FROM verify_migration({run}, full => {full}) v WHERE NOT passed"
        ));
        assert_eq!(failed, Vec::<String>::new(), "run {run}, full => {full}");
    }
}
