//! SQLite files whose pages lie: tables without end, and texts that claim to be larger than the file.

mod common;

use std::fs;

use common::{Copy, copy, read_all, try_open};
use vector_migrate_core::source::SourceError;
use vector_migrate_core::survey::survey;

const PAGE: usize = 4096;

fn asked(copy: &Copy) -> Result<u64, SourceError> {
    let store = try_open(&copy.directory)?;
    let records = read_all(&store)?;
    survey(&store)?;
    Ok(records)
}

fn root(copy: &Copy, table: &str) -> usize {
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = ?1";
    let page: i64 = copy
        .sqlite()
        .query_row(sql, [table], |row| row.get(0))
        .unwrap();
    usize::try_from(page).unwrap()
}

/// An inner page of a table, all of whose children are the page `child`.
fn inner(child: usize) -> Vec<u8> {
    let (cells, size) = (300_usize, 5_usize);
    let child = u32::try_from(child).unwrap().to_be_bytes();
    let start = PAGE - cells * size;
    let mut page = vec![0_u8; PAGE];
    page[0] = 5;
    page[3..5].copy_from_slice(&u16::try_from(cells).unwrap().to_be_bytes());
    page[5..7].copy_from_slice(&u16::try_from(start).unwrap().to_be_bytes());
    page[8..12].copy_from_slice(&child);
    for cell in 0..cells {
        let at = start + cell * size;
        page[12 + 2 * cell..14 + 2 * cell]
            .copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
        page[at..at + 4].copy_from_slice(&child);
        page[at + 4] = 1;
    }
    page
}

/// Makes the table's root the first of `levels` inner pages, each of which leads to the next three hundred times.
fn without_end(copy: &Copy, table: &str, levels: usize) {
    let at = (root(copy, table) - 1) * PAGE;
    let mut bytes = fs::read(copy.database()).unwrap();
    let leaf = bytes[at..at + PAGE].to_vec();
    let mut last = bytes.len() / PAGE + 1;
    bytes.extend(leaf);
    for _ in 1..levels {
        bytes.extend(inner(last));
        last += 1;
    }
    bytes[at..at + PAGE].copy_from_slice(&inner(last));
    let pages = u32::try_from(bytes.len() / PAGE).unwrap().to_be_bytes();
    bytes[28..32].copy_from_slice(&pages);
    fs::write(copy.database(), bytes).unwrap();
}

#[test]
fn a_table_whose_pages_lead_to_each_other_is_damaged() {
    for table in ["collections", "segments", "max_seq_id", "databases"] {
        let copy = copy("chroma-1.5.9");
        without_end(&copy, table, 8);
        let result = asked(&copy);
        assert!(
            matches!(result, Err(SourceError::Damaged { .. })),
            "{table}: {result:?}"
        );
    }
}

/// Of the queue, what comes after the first page that does not go on is lost; the records are there.
#[test]
fn a_queue_whose_pages_lead_to_each_other_is_read_as_far_as_it_goes() {
    let copy = copy("chroma-1.5.9");
    without_end(&copy, "embeddings_queue", 8);
    let store = common::open(&copy.directory);
    let told = store.warnings().join("\n");
    assert!(
        told.contains("parts of table embeddings_queue cannot be read"),
        "{told}"
    );
    assert!(asked(&copy).is_ok_and(|records| records > 0));
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7f) as u8];
    while number > 0x7f {
        number >>= 7;
        bytes.insert(0, (number & 0x7f) as u8 | 0x80);
    }
    bytes
}

#[test]
fn a_text_that_claims_to_be_larger_than_the_file_is_damaged() {
    let length = 3_000_000_u64;
    for claimed in [100_000_000_u64, 134_000_000] {
        let copy = copy("chroma-1.5.9");
        let text = "x".repeat(usize::try_from(length).unwrap());
        let sql = "UPDATE embedding_metadata SET string_value = ?1 WHERE rowid = \
                   (SELECT min(rowid) FROM embedding_metadata WHERE key = 'chroma:document')";
        copy.sqlite().execute(sql, [text]).unwrap();
        let mut bytes = fs::read(copy.database()).unwrap();
        // The type of a text of N bytes is 2 N + 13.
        let (old, new) = (varint(2 * length + 13), varint(2 * claimed + 13));
        assert_eq!(old.len(), new.len());
        let at = bytes
            .windows(old.len())
            .position(|part| part == old)
            .unwrap();
        bytes[at..at + old.len()].copy_from_slice(&new);
        // The size of the whole row stands before it.
        let start = at.saturating_sub(40);
        let row = (start..at)
            .rev()
            .find(|at| (0..200).any(|more| bytes[*at..].starts_with(&varint(length + more))));
        if let Some(row) = row {
            let new = varint(claimed + 100);
            bytes[row..row + new.len()].copy_from_slice(&new);
        }
        fs::write(copy.database(), bytes).unwrap();
        match asked(&copy) {
            Ok(records) => assert_eq!(records, 303),
            Err(error) => assert!(matches!(error, SourceError::Damaged { .. }), "{error}"),
        }
    }
}
