//! Pages of `chroma.sqlite3`: found, spoiled, and what is then told.

#![allow(dead_code, reason = "every test program uses a part")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;

use vector_migrate_core::record::Record;
use vector_migrate_core::source::Source;
use vector_migrate_core::source::chroma::ChromaStore;

use super::{Copy, fixtures, named, open, records};

pub const PAGE: usize = 4096;

/// The pages of a table or index: number and kind ("leaf", "internal", "overflow").
pub fn pages(copy: &Copy, name: &str, kind: &str) -> Vec<u64> {
    let conn = copy.sqlite();
    let mut statement = conn
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 ORDER BY path")
        .unwrap();
    let found = statement
        .query_map([name, kind], |row| row.get::<_, i64>(0))
        .unwrap();
    found
        .map(|page| u64::try_from(page.unwrap()).unwrap())
        .collect()
}

/// Overwrites a page.
pub fn spoil(copy: &Copy, page: u64, with: &[u8]) {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(copy.database())
        .unwrap();
    file.write_all_at(with, (page - 1) * PAGE as u64).unwrap();
}

pub fn zeros() -> Vec<u8> {
    vec![0; PAGE]
}

/// What a test can overwrite a page with: what a lost sector leaves, erased flash, and noise.
pub fn fillings() -> [Vec<u8>; 3] {
    let noise = (0..PAGE as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8 | 0x80);
    [zeros(), vec![0xff; PAGE], noise.collect()]
}

/// All there is to hear about a store.
pub fn told(store: &ChromaStore) -> Vec<String> {
    let mut told = store.warnings().to_vec();
    told.extend(store.take_notices());
    told
}

/// What a raw connection cannot read: of the parameters those for which the statement fails.
pub fn unreadable(copy: &Copy, sql: &str, parameters: &[i64]) -> BTreeSet<i64> {
    let conn = copy.sqlite();
    let fails = |number: &i64| {
        let mut statement = conn.prepare(sql).unwrap();
        let mut rows = statement.query([number]).unwrap();
        loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    };
    parameters.iter().copied().filter(fails).collect()
}

/// Numbers and ids of the records of a collection.
pub fn ids(copy: &Copy, collection: &str) -> Vec<(i64, String)> {
    let conn = copy.sqlite();
    let mut statement = conn
        .prepare(
            "SELECT e.id, e.embedding_id FROM embeddings e JOIN segments s ON s.id = e.segment_id \
             JOIN collections c ON c.id = s.collection WHERE c.name = ?1 ORDER BY e.id",
        )
        .unwrap();
    let found = statement
        .query_map([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    found.map(Result::unwrap).collect()
}

/// The collection as it was before the damage.
pub fn before(fixture: &str, collection: &str) -> Vec<Record> {
    let store = open(&fixtures().join(fixture));
    records(&store, named(&store, collection))
}

pub fn find<'a>(records: &'a [Record], id: &str) -> &'a Record {
    records.iter().find(|record| record.id == id).unwrap()
}

/// Reads a collection: the damaged ids; the others must be what they were, in the same order.
pub fn damaged(
    copy: &Copy,
    wanted: &[Record],
    collection: &str,
) -> (BTreeSet<String>, Vec<String>) {
    let store = open(&copy.directory);
    let of = named(&store, collection);
    let found = records(&store, of);
    let told = told(&store);
    let order: Vec<&String> = found.iter().map(|record| &record.id).collect();
    let before: Vec<&String> = wanted.iter().map(|record| &record.id).collect();
    assert_eq!(order, before);
    let mut damaged = BTreeSet::new();
    for record in found {
        if record.damage.is_some() {
            assert_eq!(record.vector, None);
            damaged.insert(record.id);
        } else {
            assert_eq!(record, *find(wanted, &record.id));
        }
    }
    let counted = store.inventory(of).unwrap();
    assert_eq!(counted.records, wanted.len() as u64);
    assert!(store.summary().unwrap().records >= counted.records);
    (damaged, told)
}
