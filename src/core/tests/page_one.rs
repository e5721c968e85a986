//! Every byte of the first page of `chroma.sqlite3`, damaged one at a time: no panic, bounded time and memory.
//!
//! `PAGE_ONE`: how many values are tried for each byte, up to four. Without it: one value for each byte of the header and
//! for one of sixteen behind it.

mod common;

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use common::{copy, read_all, try_open};
use vector_migrate_core::source::SourceError;

/// One damaged store may take this long; intact ones take milliseconds.
const LONG: Duration = Duration::from_secs(10);

#[test]
fn any_byte_of_page_one_may_be_wrong() {
    let told = std::env::var("PAGE_ONE").ok();
    let values = told
        .as_ref()
        .map_or(1, |told| told.parse().expect("a number"));
    let copy = copy("chroma-0.5.23");
    let intact = read_all(&try_open(&copy.directory).unwrap()).unwrap();
    let path = copy.database();
    let before = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let (mut whole, mut refused, mut less, mut longest) = (0, 0, 0, Duration::ZERO);
    let short = |at: &usize| told.is_some() || *at < 112 || at.is_multiple_of(16);
    for at in (0..4096_usize).filter(short) {
        let was = before[at];
        let tried = [!was, 0, 255, was ^ 128];
        for value in tried.into_iter().take(values).filter(|value| *value != was) {
            file.write_all_at(&[value], at as u64).unwrap();
            common::age(&path);
            let since = Instant::now();
            match try_open(&copy.directory).and_then(|store| read_all(&store)) {
                Ok(records) if records == intact => whole += 1,
                Ok(_) => less += 1,
                Err(
                    SourceError::Damaged { .. }
                    | SourceError::NotSqlite { .. }
                    | SourceError::UnknownLayout { .. }
                    | SourceError::TooLarge { .. }
                    | SourceError::Io { .. }
                    | SourceError::Busy { .. },
                ) => refused += 1,
                Err(other) => panic!("byte {at} as {value}: {other:?}"),
            }
            let took = since.elapsed();
            assert!(took < LONG, "byte {at} as {value} took {took:?}");
            longest = longest.max(took);
        }
        file.write_all_at(&[was], at as u64).unwrap();
    }
    println!(
        "{whole} read whole, {less} with other records, {refused} refused, longest {longest:?}"
    );
    assert!(whole > 0 && refused > 0);
    let peak = common::peak_memory();
    assert!(peak < 300 << 20, "{peak} bytes");
    assert_eq!(fs::read(&path).unwrap(), before);
}
