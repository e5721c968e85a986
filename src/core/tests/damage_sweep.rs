//! Every page of `chroma.sqlite3` damaged in turn, and the file cut at each: what is lost is told.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;

use common::pages::*;
use common::{copy, fixtures, named, open, records, try_open};
use vector_migrate_core::record::{Collection, Record};
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};

const NEW: &str = "chroma-1.5.9";
const OLD: &str = "chroma-0.5.23";
const OLDER: &str = "chroma-0.4.24";
const MANY: &str = "special/many";

/// Whether what was read of a damaged collection is honest.
fn honest(store: &ChromaStore, collection: &Collection, wanted: &[Record], place: &str) -> bool {
    let found = records(store, collection);
    let told = told(store);
    let queue = told
        .iter()
        .any(|told| told.contains("table embeddings_queue cannot be read"));
    for record in found.iter().filter(|record| record.damage.is_none()) {
        let Some(before) = wanted.iter().find(|before| before.id == record.id) else {
            assert!(queue, "{place}: new record {:?}", record.id);
            continue;
        };
        let vector_lost = Record {
            vector: before.vector.clone(),
            missing: before.missing,
            stale: before.stale,
            ..record.clone()
        };
        let as_known = record.vector.is_none()
            || record.stale
            || record
                .vector
                .as_ref()
                .is_some_and(|vector| vector.grade != before.vector.as_ref().unwrap().grade);
        assert!(
            record == before || queue && as_known && vector_lost == *before,
            "{place}: {record:?} was {before:?}; {told:?}"
        );
    }
    for before in wanted {
        let there = found.iter().any(|record| record.id == before.id);
        assert!(
            there || !told.is_empty(),
            "{place}: {:?} vanished",
            before.id
        );
    }
    let damaged = found.iter().filter(|record| record.damage.is_some());
    assert!(damaged.count() == 0 || !told.is_empty(), "{place}");
    let counted = store.inventory(collection).unwrap();
    assert_eq!(counted.records, found.len() as u64, "{place}");
    found == wanted
}

/// Damages every page in turn: no panic, and nothing is lost without a word.
fn sweep(fixture: &str, filling: &[u8]) -> (u32, u32, u32) {
    let intact = open(&fixtures().join(fixture));
    let wanted: Vec<Vec<Record>> = intact
        .collections()
        .iter()
        .map(|collection| records(&intact, collection))
        .collect();
    let original = fs::read(fixtures().join(fixture).join("chroma.sqlite3")).unwrap();
    let copy = copy(fixture);
    let (mut refused, mut partly, mut whole) = (0, 0, 0);
    for page in 1..=(original.len() / PAGE) as u64 {
        spoil(&copy, page, filling);
        match try_open(&copy.directory) {
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        SourceError::Damaged { .. }
                            | SourceError::NotSqlite { .. }
                            | SourceError::UnknownLayout { .. }
                    ),
                    "page {page}: {error}"
                );
                refused += 1;
            }
            Ok(store) => {
                assert_eq!(store.collections().len(), wanted.len());
                let mut same = true;
                for (collection, wanted) in store.collections().iter().zip(&wanted) {
                    let place = format!("{fixture} page {page} {}", collection.name);
                    same &= honest(&store, collection, wanted, &place);
                }
                store.summary().unwrap();
                if same {
                    whole += 1;
                } else {
                    partly += 1;
                }
            }
        }
        let start = (page as usize - 1) * PAGE;
        spoil(&copy, page, &original[start..start + PAGE]);
    }
    (refused, partly, whole)
}

#[test]
fn nothing_is_lost_without_a_word() {
    let [zeros, erased, noise] = fillings();
    for (fixture, filling) in [
        (NEW, &zeros),
        (OLD, &zeros),
        (OLDER, &zeros),
        (OLDER, &erased),
        (OLDER, &noise),
    ] {
        let (refused, partly, whole) = sweep(fixture, filling);
        eprintln!("{fixture}: {refused} refused, {partly} in part, {whole} whole");
        assert!(refused < 20 && partly > 15 && whole > 15);
    }
}

/// One sector of a page: searches in it miss rows without an error.
#[test]
fn a_lost_sector_of_the_values_index_loses_nothing() {
    let wanted = before(MANY, "many");
    let copy = copy(MANY);
    let leaves = pages(&copy, "sqlite_autoindex_embedding_metadata_1", "leaf");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(copy.database())
        .unwrap();
    for sector in [2, 5] {
        let at = (leaves[leaves.len() / 2] - 1) * PAGE as u64 + sector * 512;
        file.write_all_at(&[0; 512], at).unwrap();
        let (damaged, _) = damaged(&copy, &wanted, "many");
        assert_eq!(damaged, BTreeSet::new());
    }
}

#[test]
fn a_file_that_is_cut_short_is_read_as_far_as_it_goes() {
    let wanted = before(MANY, "many");
    let original = fs::read(fixtures().join(MANY).join("chroma.sqlite3")).unwrap();
    let (mut partly, mut refused) = (0, 0);
    for length in [
        original.len() - 1,
        original.len() - 3000,
        original.len() - 10 * PAGE,
        original.len() - 60 * PAGE - 700,
        original.len() / 2,
        40 * PAGE,
        PAGE,
        700,
    ] {
        let copy = copy(MANY);
        fs::write(copy.database(), &original[..length]).unwrap();
        let Ok(store) = try_open(&copy.directory) else {
            refused += 1;
            continue;
        };
        let warning = format!(
            "{:?} is cut short: {} of its 188 pages are there",
            copy.database(),
            length / PAGE
        );
        assert!(store.warnings().contains(&warning), "{length}");
        honest(&store, named(&store, "many"), &wanted, &length.to_string());
        assert_eq!(fs::read(copy.database()).unwrap().len(), length);
        partly += 1;
    }
    eprintln!("{partly} in part, {refused} refused");
    assert!(partly >= 4 && refused >= 2, "{partly} {refused}");
}

#[test]
fn a_cut_at_any_page_is_honest() {
    let intact = open(&fixtures().join(OLD));
    let original = fs::read(fixtures().join(OLD).join("chroma.sqlite3")).unwrap();
    let copy = copy(OLD);
    let mut partly = 0;
    for pages in 1..original.len() / PAGE {
        fs::write(copy.database(), &original[..pages * PAGE + 1234]).unwrap();
        let Ok(store) = try_open(&copy.directory) else {
            continue;
        };
        assert_eq!(store.collections().len(), intact.collections().len());
        for (collection, before) in store.collections().iter().zip(intact.collections()) {
            let wanted = records(&intact, before);
            honest(&store, collection, &wanted, &pages.to_string());
        }
        partly += 1;
    }
    eprintln!("{partly} of {}", original.len() / PAGE);
    assert!(partly > 10, "{partly}");
}
