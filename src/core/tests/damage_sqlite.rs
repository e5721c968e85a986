//! Pages of `chroma.sqlite3` that cannot be read: what is lost is told, and everything else is as it was.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::pages::*;
use common::{Copy, copy, fixtures, named, open, records, refused, try_open};
use vector_migrate_core::pipeline::{Item, Next, Plan, Worker, run};
use vector_migrate_core::reason::Reason;
use vector_migrate_core::record::Record;
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::source::{Source, SourceError};

const NEW: &str = "chroma-1.5.9";
const OLD: &str = "chroma-0.5.23";
const OLDER: &str = "chroma-0.4.24";
const MANY: &str = "special/many";

#[test]
fn records_of_a_lost_page_keep_their_ids_and_fail() {
    let wanted = before(MANY, "many");
    for filling in fillings() {
        let copy = copy(MANY);
        let all = ids(&copy, "many");
        let leaves = pages(&copy, "embeddings", "leaf");
        spoil(&copy, leaves[7], &filling);
        spoil(&copy, leaves[30], &filling);
        spoil(&copy, *leaves.last().unwrap(), &filling);
        let numbers: Vec<i64> = all.iter().map(|(number, _)| *number).collect();
        let lost = unreadable(
            &copy,
            "SELECT created_at FROM embeddings WHERE id = ?1",
            &numbers,
        );
        assert!((60..400).contains(&lost.len()), "{}", lost.len());
        let expected: BTreeSet<String> = all
            .into_iter()
            .filter(|(number, _)| lost.contains(number))
            .map(|(_, id)| id)
            .collect();
        let (damaged, told) = damaged(&copy, &wanted, "many");
        assert_eq!(damaged, expected);
        assert_eq!(
            told,
            [format!(
                "{:?}: parts of table embeddings cannot be read: {} of 2500 records of collection \"many\" are \
                 damaged and cannot be migrated",
                copy.database(),
                expected.len()
            )]
        );
    }
}

#[test]
fn a_lost_record_still_names_its_user() {
    let wanted = before(MANY, "many");
    let copy = copy(MANY);
    spoil(&copy, pages(&copy, "embeddings", "leaf")[3], &zeros());
    let store = open(&copy.directory);
    let found = records(&store, named(&store, "many"));
    let lost: Vec<&Record> = found
        .iter()
        .filter(|record| record.damage.is_some())
        .collect();
    assert!(!lost.is_empty());
    for record in lost {
        let intact = find(&wanted, &record.id);
        assert_eq!(
            record.metadata.get("user_id"),
            intact.metadata.get("user_id")
        );
        let what = record.damage.as_deref().unwrap();
        assert!(what.starts_with("row ") && what.ends_with(" of table embeddings cannot be read"));
    }
}

#[test]
fn records_whose_values_are_lost_fail_and_the_others_are_whole() {
    for fixture in [NEW, OLD, OLDER] {
        for filling in fillings() {
            let copy = copy(fixture);
            let wanted = before(fixture, "types");
            let all = ids(&copy, "types");
            let numbers: Vec<i64> = all.iter().map(|(number, _)| *number).collect();
            let values = "SELECT string_value, int_value FROM embedding_metadata WHERE id = ?1";
            let page = *pages(&copy, "embedding_metadata", "leaf")
                .iter()
                .find(|page| {
                    let copy = common::copy(fixture);
                    spoil(&copy, **page, &filling);
                    (2..20).contains(&unreadable(&copy, values, &numbers).len())
                })
                .unwrap();
            spoil(&copy, page, &filling);
            let lost = unreadable(&copy, values, &numbers);
            let expected: BTreeSet<String> = all
                .into_iter()
                .filter(|(number, _)| lost.contains(number))
                .map(|(_, id)| id)
                .collect();
            let (damaged, told) = damaged(&copy, &wanted, "types");
            assert_eq!(damaged, expected, "{fixture}");
            let sentence = format!(
                "parts of table embedding_metadata cannot be read: {} of {} records of collection \"types\"",
                expected.len(),
                wanted.len()
            );
            assert!(told.iter().any(|told| told.contains(&sentence)), "{told:?}");
        }
    }
}

#[test]
fn a_lost_page_of_an_index_loses_nothing() {
    let wanted = before(MANY, "many");
    for (name, kind) in [
        ("sqlite_autoindex_embeddings_1", "leaf"),
        ("sqlite_autoindex_embeddings_1", "internal"),
        ("sqlite_autoindex_embedding_metadata_1", "leaf"),
        ("sqlite_autoindex_embedding_metadata_1", "internal"),
    ] {
        for filling in fillings() {
            let copy = copy(MANY);
            let all = pages(&copy, name, kind);
            spoil(&copy, all[all.len() / 2], &filling);
            let (damaged, told) = damaged(&copy, &wanted, "many");
            assert_eq!(damaged, BTreeSet::new(), "{name} {kind}");
            assert_eq!(told, Vec::<String>::new(), "{name} {kind}");
        }
    }
}

#[test]
fn what_neither_the_table_nor_its_index_has_is_told_as_a_range() {
    let wanted = before(MANY, "many");
    let copy = copy(MANY);
    spoil(&copy, pages(&copy, "embeddings", "leaf")[20], &zeros());
    for page in pages(&copy, "sqlite_autoindex_embeddings_1", "leaf") {
        spoil(&copy, page, &zeros());
    }
    let store = open(&copy.directory);
    let many = named(&store, "many");
    let found = records(&store, many);
    assert!((2400..2500).contains(&found.len()), "{}", found.len());
    for record in &found {
        assert_eq!(record, find(&wanted, &record.id));
    }
    let told = told(&store).join("\n");
    assert!(
        told.contains("neither table embeddings nor its index can be read in rows ")
            && told.contains("records of collection \"many\" that lie there are missing"),
        "{told}"
    );
    assert_eq!(store.inventory(many).unwrap().records, found.len() as u64);
    assert_eq!(store.summary().unwrap().records, found.len() as u64);
}

#[test]
fn a_document_that_is_cut_is_a_damaged_record() {
    for filling in fillings() {
        for last in [false, true] {
            let copy = copy(NEW);
            let (number, id) = ids(&copy, "content").swap_remove(4);
            copy.sql(&format!(
                "UPDATE embedding_metadata SET string_value = printf('%.*c', 15000, 'x') \
                 WHERE id = {number} AND key = 'chroma:document'; VACUUM"
            ));
            let wanted = {
                let store = open(&copy.directory);
                records(&store, named(&store, "content"))
            };
            assert_eq!(find(&wanted, &id).document.as_ref().unwrap().len(), 15000);
            let overflow = pages(&copy, "embedding_metadata", "overflow");
            assert!(overflow.len() >= 3);
            let page = if last {
                overflow.last()
            } else {
                overflow.first()
            };
            spoil(&copy, *page.unwrap(), &filling);
            let (damaged, told) = damaged(&copy, &wanted, "content");
            assert_eq!(damaged, BTreeSet::from([id]));
            assert!(
                told.iter().any(|told| told.contains("is damaged and")),
                "{told:?}"
            );
        }
    }
}

#[test]
fn lost_arrays_are_damaged_records() {
    let copy = copy(NEW);
    let wanted = before(NEW, "arrays");
    let all = ids(&copy, "arrays");
    let numbers: Vec<i64> = all.iter().map(|(number, _)| *number).collect();
    spoil(
        &copy,
        pages(&copy, "embedding_metadata_array", "leaf")[0],
        &zeros(),
    );
    let sql = "SELECT string_value FROM embedding_metadata_array WHERE id = ?1";
    let lost = unreadable(&copy, sql, &numbers);
    let expected: BTreeSet<String> = all
        .into_iter()
        .filter(|(number, _)| lost.contains(number))
        .map(|(_, id)| id)
        .collect();
    let (found, told) = damaged(&copy, &wanted, "arrays");
    assert!(!found.is_empty());
    assert_eq!(found, expected);
    assert!(
        told.join("\n").contains("embedding_metadata_array"),
        "{told:?}"
    );
    let (found, _) = damaged(&copy, &before(NEW, "types"), "types");
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn tables_for_searching_do_not_matter() {
    let names = {
        let conn = copy(NEW).sqlite();
        let mut statement = conn
            .prepare(
                "SELECT DISTINCT name FROM dbstat WHERE name LIKE 'embedding_fulltext%' OR name LIKE \
                 'embedding_metadata_%_value' OR name LIKE 'embedding_metadata_array_key%' OR name LIKE \
                 'sqlite_autoindex_%' AND name NOT LIKE '%embedding%'",
            )
            .unwrap();
        let found = statement.query_map([], |row| row.get::<_, String>(0));
        found.unwrap().map(Result::unwrap).collect::<Vec<String>>()
    };
    assert!(names.len() > 12, "{names:?}");
    let copy = copy(NEW);
    for name in &names {
        for kind in ["leaf", "internal", "overflow"] {
            for page in pages(&copy, name, kind) {
                spoil(&copy, page, &zeros());
            }
        }
    }
    for collection in ["content", "types", "arrays", "cosine_history", "l2_history"] {
        let (damaged, told) = damaged(&copy, &before(NEW, collection), collection);
        assert_eq!(damaged, BTreeSet::new());
        assert_eq!(told, Vec::<String>::new());
    }
}

#[test]
fn lost_writes_of_the_queue_are_told() {
    let copy = copy(NEW);
    let leaves = pages(&copy, "embeddings_queue", "leaf");
    spoil(&copy, leaves[4], &zeros());
    spoil(&copy, leaves[5], &zeros());
    spoil(&copy, leaves[9], &zeros());
    let store = open(&copy.directory);
    let warning = store.warnings().join("\n");
    let named = "parts of table embeddings_queue cannot be read, rows ";
    assert!(
        warning.contains(named) && warning.matches(" to ").count() == 2,
        "{warning}"
    );
    let intact = open(&fixtures().join(NEW));
    let (mut gone, mut kept) = (0, 0);
    for (left, right) in store.collections().iter().zip(intact.collections()) {
        let (left, right) = (records(&store, left), records(&intact, right));
        assert_eq!(left.len(), right.len());
        for (left, right) in left.iter().zip(&right) {
            let without = |record: &Record| Record {
                vector: None,
                missing: false,
                stale: false,
                ..record.clone()
            };
            assert_eq!(without(left), without(right));
            if left.vector == right.vector {
                kept += 1;
            } else {
                assert!(left.vector.is_none() || left.stale, "{left:?}");
                gone += 1;
            }
        }
    }
    assert!(gone > 10 && kept > 200, "{gone} {kept}");
}

#[test]
fn lost_contents_of_the_queue_are_lost_for_their_record_only() {
    let fixture = copy(NEW);
    // As if a killed writer had not applied the last writes to the tables.
    fixture.sql(
        "UPDATE max_seq_id SET seq_id = 0 WHERE segment_id IN (SELECT s.id FROM segments s JOIN collections c ON \
         c.id = s.collection WHERE c.name = 'cosine_queue'); \
         UPDATE embeddings_queue SET vector = zeroblob(12000), metadata = NULL WHERE seq_id = (SELECT max(seq_id) \
         FROM embeddings_queue q JOIN collections c ON q.topic LIKE '%' || c.id WHERE c.name = 'cosine_queue' AND \
         operation = 2); \
         UPDATE embeddings_queue SET metadata = '{\"k\":\"' || printf('%.*c', 12000, 'x') || '\"}' WHERE seq_id = \
         (SELECT max(seq_id) FROM embeddings_queue q JOIN collections c ON q.topic LIKE '%' || c.id WHERE c.name = \
         'cosine_queue' AND operation = 1); VACUUM",
    );
    let intact = {
        let store = open(&fixture.directory);
        records(&store, named(&store, "cosine_queue"))
    };
    for page in pages(&fixture, "embeddings_queue", "overflow") {
        let copy = common::copy(NEW);
        fs::copy(fixture.database(), copy.database()).unwrap();
        spoil(&copy, page, &[0xff; PAGE]);
        let store = open(&copy.directory);
        let found = records(&store, named(&store, "cosine_queue"));
        let told = told(&store).join("\n");
        assert_eq!(found.len(), intact.len());
        let mut differ = 0;
        for (found, intact) in found.iter().zip(&intact) {
            assert_eq!(found.id, intact.id);
            if found != intact {
                differ += 1;
                assert!(
                    found.damage.is_some()
                        || *found
                            == Record {
                                vector: None,
                                missing: true,
                                ..intact.clone()
                            },
                    "{found:?} {intact:?}"
                );
            }
        }
        assert_eq!(differ, 1, "{told}");
        assert!(told.contains("embeddings_queue"), "{told}");
    }
}

#[test]
fn small_tables_are_done_without_where_that_is_safe() {
    for (fixture, table, expected) in [
        (
            NEW,
            "collection_metadata",
            Ok("collections are shown without their metadata"),
        ),
        (
            NEW,
            "embeddings_queue_config",
            Ok("the queue is taken for one that is cleaned up"),
        ),
        (
            NEW,
            "tenants",
            Ok("tenants without a database are not counted"),
        ),
        (
            OLD,
            "segment_metadata",
            Err("table segment_metadata cannot be read, and nothing else tells the space"),
        ),
        (NEW, "max_seq_id", Err("table max_seq_id cannot be read: ")),
        (NEW, "segments", Err("table segments cannot be read: ")),
        (
            NEW,
            "collections",
            Err("table collections cannot be read: "),
        ),
        (NEW, "databases", Err("table databases cannot be read: ")),
        (NEW, "migrations", Ok("")),
    ] {
        let copy = copy(fixture);
        let leaf = pages(&copy, table, "leaf")[0];
        spoil(&copy, leaf, &zeros());
        match (expected, try_open(&copy.directory)) {
            (Ok(words), Ok(store)) => {
                let warnings = store.warnings();
                let told = warnings.iter().any(|told| told.contains(words));
                assert!(told || words.is_empty() && warnings.is_empty(), "{table}");
                let of = named(&store, "content");
                assert_eq!(records(&store, of), before(fixture, "content"));
            }
            (Err(words), Err(error)) => {
                assert!(matches!(error, SourceError::Damaged { .. }), "{error}");
                let error = error.to_string();
                assert!(
                    error.contains(words) && error.contains("chroma.sqlite3"),
                    "{error}"
                );
            }
            (_, Ok(_)) => panic!("{table}: opened"),
            (_, Err(error)) => panic!("{table}: {error}"),
        }
    }
}

#[test]
fn the_stop_flag_ends_a_search() {
    let copy = copy(MANY);
    for page in pages(&copy, "sqlite_autoindex_embeddings_1", "leaf") {
        spoil(&copy, page, &zeros());
    }
    spoil(&copy, pages(&copy, "embeddings", "leaf")[20], &zeros());
    let stop = Arc::new(AtomicBool::new(false));
    let store = ChromaStore::open(&copy.directory, Arc::clone(&stop)).unwrap();
    let many = named(&store, "many").clone();
    let mut seen = 0;
    let result = store.read(&many, &mut |_| {
        seen += 1;
        stop.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(SourceError::Interrupted)));
    assert_eq!(seen, 1);
}

#[test]
fn the_schema_is_needed() {
    let copy = copy(NEW);
    for page in pages(&copy, "sqlite_schema", "leaf") {
        spoil(&copy, page, &zeros());
    }
    assert!(matches!(
        refused(&copy.directory),
        SourceError::Damaged { .. } | SourceError::NotSqlite { .. }
    ));
}

/// What the pipeline makes of `many`: damaged ids with their user, and how many rows there are.
fn pipeline(copy: &Copy, user: Option<&str>) -> (Vec<(String, Option<String>)>, usize) {
    let store = open(&copy.directory);
    let plan = Plan {
        user: user.map(str::to_owned),
        default_user: Some("somebody".to_owned()),
        ..Plan::stored(vec![named(&store, "many").clone()], Vec::new(), 1 << 20)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut worker = Worker::spawn(stop, move |sender| {
        sender.send(run(&store, &plan, &sender)?);
        Ok::<(), SourceError>(())
    })
    .unwrap();
    let (mut rejected, mut rows) = (Vec::new(), 0);
    loop {
        match worker.next(std::time::Duration::from_secs(60)) {
            Next::Batch(items) => {
                for item in items.items {
                    match item {
                        Item::Rejected {
                            record_id,
                            user,
                            rejection,
                            ..
                        } => {
                            assert_eq!(rejection.reason, Reason::Damaged, "{rejection:?}");
                            rejected.push((record_id, user));
                        }
                        _ => rows += 1,
                    }
                }
            }
            Next::Done(result) => {
                result.unwrap();
                return (rejected, rows);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_damaged_record_is_a_failure_of_its_user() {
    let lost_rows = copy(MANY);
    spoil(
        &lost_rows,
        pages(&lost_rows, "embeddings", "leaf")[3],
        &zeros(),
    );
    let (rejected, rows) = pipeline(&lost_rows, None);
    assert!(rejected.len() > 20 && rows + rejected.len() == 2500);
    let (own, rows) = pipeline(&lost_rows, Some("3"));
    assert!(own.len() < rejected.len() && rows + own.len() == 500);
    assert!(own.iter().all(|(_, user)| user.as_deref() == Some("3")));
    // Whose a record is, is lost with its metadata: everybody is told, and nobody by default.
    let lost_values = copy(MANY);
    let leaves = pages(&lost_values, "embedding_metadata", "leaf");
    spoil(&lost_values, leaves[3], &zeros());
    let (rejected, rows) = pipeline(&lost_values, None);
    assert!(rejected.len() > 20 && rows + rejected.len() == 2500);
    assert!(
        rejected
            .iter()
            .all(|(_, user)| user.as_deref() != Some("somebody"))
    );
    let (own, _) = pipeline(&lost_values, Some("3"));
    let unknown = rejected.iter().filter(|(_, user)| user.is_none()).count();
    assert!(unknown > 0 && own.len() >= unknown);
}
