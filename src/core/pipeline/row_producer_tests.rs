//! Tests of [`run`] with a source of a few records.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;
use crate::encode::{Column, ColumnType};
use crate::filter::Filter;
use crate::map::CollectionFields;
use crate::mapping::{ItemField, Word};
use crate::nul::NulCharacters;
use crate::pipeline::{EncodedRow, Item, Next, Remark, RemarkKind, Worker};
use crate::reason::{Reason, Rejection};
use crate::record::{Collection, Grade, Inventory, Metadata, Space, Value, Vector};
use crate::seen::KnownKeys;

/// Records by collection; the owners' key that consumers have asked for.
#[derive(Default)]
struct Listed {
    collections: Vec<Collection>,
    records: Vec<Vec<Record>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Before each record it is asked whether its id is known, and the answer kept.
    asks: bool,
    known: Arc<Mutex<Vec<bool>>>,
}

impl Listed {
    fn new<const N: usize>(all: [(&str, Vec<Record>); N]) -> Listed {
        let (names, records): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        Listed {
            collections: names.into_iter().map(collection).collect(),
            records,
            ..Listed::default()
        }
    }
}

impl Source for Listed {
    fn collections(&self) -> &[Collection] {
        &self.collections
    }

    fn feed(&self, of: &Collection, consumer: &mut dyn Consumer) -> Result<(), SourceError> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(consumer.owner_key().to_owned());
        let at = self.collections.iter().position(|it| it == of).unwrap();
        for record in &self.records[at] {
            if self.asks {
                let known = consumer.knows(&record.id);
                self.known.lock().unwrap().push(known);
            }
            if record.damage.is_none() {
                consumer.wants_vector(record);
            }
            let _ = consumer.take(record.clone());
        }
        Ok(())
    }

    fn inventory(&self, _: &Collection) -> Result<Inventory, SourceError> {
        Ok(Inventory::default())
    }
}

fn collection(name: &str) -> Collection {
    Collection {
        tenant: "default_tenant".to_owned(),
        database: "default_database".to_owned(),
        name: name.to_owned(),
        id: name.to_owned(),
        dimension: None,
        space: Space::L2,
        configuration: serde_json::Value::Null,
        metadata: Metadata::default(),
    }
}

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

/// A record with a vector and this metadata.
fn record<const N: usize>(id: &str, metadata: [(&str, Value); N]) -> Record {
    let mut all = Metadata::default();
    for (key, value) in metadata {
        all.set(key, value);
    }
    Record {
        id: id.to_owned(),
        document: None,
        uri: None,
        metadata: all,
        vector: Some(Vector {
            values: vec![1.0],
            grade: Grade::Exact,
        }),
        missing: false,
        created_at: None,
        stale: false,
        sequence: None,
        damage: None,
    }
}

fn owned(id: &str) -> Record {
    record(id, [("user_id", text("7"))])
}

fn orphan(id: &str) -> Record {
    record(id, [])
}

fn column(word: Word, ty: ColumnType) -> Column {
    Column {
        name: "c".to_owned(),
        word,
        ty,
    }
}

/// A column of the content library's text.
fn item_text() -> Column {
    column(Word::Item(ItemField::SearchableText), ColumnType::Text)
}

fn planned(name: &str, keeps_orphans: bool) -> PlannedCollection {
    PlannedCollection::qualified(collection(name), keeps_orphans)
}

/// Takes every record of the source; those without an owner too where `keeps_orphans`.
fn plan(source: &Listed, keeps_orphans: bool) -> Plan {
    let planned = |it| PlannedCollection::qualified(it, keeps_orphans);
    Plan {
        collections: source.collections.iter().cloned().map(planned).collect(),
        ..Plan::stored(Vec::new(), vec![item_text()], 1 << 20)
    }
}

/// The last batch, which is the only one.
fn batch(source: Listed, plan: Plan) -> Batch {
    let stop = Arc::new(AtomicBool::new(false));
    let mut worker = Worker::spawn(stop, move |sender| {
        let last = run(&source, &plan, &sender)?;
        sender.send(last);
        Ok::<(), SourceError>(())
    })
    .unwrap();
    let Next::Batch(batch) = worker.next(Duration::from_secs(60)) else {
        panic!("no batch")
    };
    batch
}

fn row(item: &Item) -> &EncodedRow {
    match item {
        Item::Row(row) => row,
        other => panic!("no row: {other:?}"),
    }
}

fn rejection(item: &Item) -> &Rejection {
    match item {
        Item::Rejected { rejection, .. } => rejection,
        other => panic!("no rejection: {other:?}"),
    }
}

#[test]
fn what_is_known_of_an_id_is_known_of_its_collection_only() {
    /// Two collections with one record each, of the same id; that of the second is in the queue only, so that nobody
    /// asks beforehand whether it is known.
    struct Twins(Listed);

    impl Source for Twins {
        fn collections(&self) -> &[Collection] {
            self.0.collections()
        }

        fn feed(&self, of: &Collection, consumer: &mut dyn Consumer) -> Result<(), SourceError> {
            if of.name == "first" {
                assert!(consumer.knows("x"));
            }
            self.0.feed(of, consumer)
        }

        fn inventory(&self, of: &Collection) -> Result<Inventory, SourceError> {
            self.0.inventory(of)
        }
    }

    let without = Record {
        vector: None,
        ..orphan("x")
    };
    let twins = Listed::new([("first", vec![without.clone()]), ("second", vec![without])]);
    let mut known = KnownKeys::new(true, false);
    known.insert("first", "x", None);
    let plan = Plan {
        known: Some(known),
        ..plan(&twins, true)
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut worker = Worker::spawn(stop, move |sender| {
        let last = run(&Twins(twins), &plan, &sender)?;
        sender.send(last);
        Ok::<(), SourceError>(())
    })
    .unwrap();
    let Next::Batch(batch) = worker.next(Duration::from_secs(60)) else {
        panic!("no batch")
    };
    assert!(matches!(&batch.items[0], Item::Row(row) if row.exists == Some(true)));
    // It is wanted, and has no vector: known to be there, it would have been left out.
    assert!(matches!(
        &batch.items[1],
        Item::Rejected { collection: 1, .. }
    ));
}

#[test]
fn a_later_plan_of_a_run_goes_on_with_its_numbers_and_what_was_read() {
    let source = Listed::new([
        ("a", vec![owned("1"), orphan("2")]),
        ("b", vec![owned("1")]),
    ]);
    let plan = Plan {
        first: 3,
        read: 100,
        ..plan(&source, false)
    };
    let batch = batch(source, plan);
    assert_eq!(batch.read, 103);
    let numbers: Vec<usize> = batch
        .items
        .iter()
        .map(|item| match item {
            Item::Row(row) => row.collection,
            Item::Rejected { collection, .. } => *collection,
            Item::Warning(_) => panic!("a warning"),
        })
        .collect();
    assert_eq!(numbers, [3, 3, 4]);
    assert_ne!(row(&batch.items[0]).place, row(&batch.items[2]).place);
}

#[test]
fn the_planned_name_is_written_and_looked_up() {
    let source = Listed::new([("a", vec![owned("1"), owned("2")])]);
    let mut known = KnownKeys::new(true, false);
    known.insert("a", "1", None);
    known.insert("south:a", "2", None);
    let collections = vec![PlannedCollection {
        key: "south:a".to_owned(),
        fields: CollectionFields {
            qualified: "south:a".to_owned(),
            ..planned("a", false).fields
        },
        ..planned("a", false)
    }];
    let plan = Plan {
        known: Some(known),
        collections,
        content: vec![
            column(Word::Collection { qualified: true }, ColumnType::Text),
            column(Word::Vector { padded: false }, ColumnType::Vector),
        ],
        ..plan(&source, false)
    };
    let batch = batch(source, plan);
    let exist: Vec<_> = batch.items.iter().map(|item| row(item).exists).collect();
    assert_eq!(exist, [Some(false), Some(true)]);
    let tuple = &batch.tuples[row(&batch.items[0]).tuple.clone()];
    assert!(tuple.windows(7).any(|bytes| bytes == b"south:a"));
}

#[test]
fn each_collection_says_whether_its_orphans_are_kept() {
    let source = Listed::new([("a", vec![orphan("1")]), ("b", vec![orphan("1")])]);
    let plan = Plan {
        collections: vec![planned("a", true), planned("b", false)],
        ..plan(&source, false)
    };
    let batch = batch(source, plan);
    assert_eq!(row(&batch.items[0]).user, None);
    assert_eq!(
        *rejection(&batch.items[1]),
        Rejection::new(Reason::NoUserId, "the record's metadata has no user_id")
    );
}

#[test]
fn the_owner_is_under_the_key_that_was_named() {
    let source = Listed::new([(
        "a",
        vec![
            record("1", [("created_by", text("7"))]),
            owned("2"),
            record("3", [("created_by", text("ada"))]),
            Record {
                damage: Some("torn".to_owned()),
                ..record("4", [("created_by", text("7"))])
            },
        ],
    )]);
    let asked = source.asked.clone();
    let plan = Plan {
        owner_key: "created_by".to_owned(),
        content: vec![column(Word::Owner, ColumnType::Int8)],
        ..plan(&source, false)
    };
    let batch = batch(source, plan);
    assert_eq!(*asked.lock().unwrap(), ["created_by"]);
    assert_eq!(row(&batch.items[0]).user.as_deref(), Some("7"));
    assert_eq!(
        rejection(&batch.items[1]).message,
        "the record's metadata has no \"created_by\""
    );
    assert_eq!(
        *rejection(&batch.items[2]),
        Rejection::new(
            Reason::BadUserId,
            "\"created_by\" \"ada\" is not of type bigint"
        )
    );
    assert!(matches!(&batch.items[3], Item::Rejected { user: Some(user), .. } if user == "7"));
}

#[test]
fn the_text_under_the_callers_key_is_embedded() {
    let source = Listed::new([("a", vec![record("1", [("data", text("Likes tea."))])])]);
    let plan = Plan {
        mode: EmbeddingMode::Generate,
        text_key: Some("data".to_owned()),
        ..plan(&source, true)
    };
    assert_eq!(row(&batch(source, plan).items[0]).text, "Likes tea.");
}

/// Two records whose ids become one, and one that is not asked for.
fn with_nul() -> Listed {
    let wanted = |id: &str| record(id, [("k\0", text("v\0")), ("user_id", text("\u{0}7"))]);
    Listed::new([(
        "a",
        vec![wanted("x\0"), wanted("x"), owned("other\0"), {
            Record {
                damage: Some("torn".to_owned()),
                ..wanted("y\0")
            }
        }],
    )])
}

#[test]
fn a_record_is_changed_before_anything_is_decided_about_it() {
    for asks in [false, true] {
        let source = Listed { asks, ..with_nul() };
        let knew = source.known.clone();
        let mut known = KnownKeys::new(true, false);
        known.insert("a", "x", None);
        known.insert("a", "y", None);
        let plan = Plan {
            nul: NulCharacters::Remove,
            known: Some(known),
            // With a filter no id is known beforehand.
            filter: (!asks).then(|| Filter::parse(r#"{"k": "v"}"#).unwrap()),
            user: Some("7".to_owned()),
            ..plan(&source, false)
        };
        let batch = batch(source, plan);
        let first = row(&batch.items[0]);
        assert_eq!((first.exists, first.nul), (Some(true), true));
        assert_eq!((&*first.key, first.user.as_deref()), ("x", Some("7")));
        // What it is in Chroma, as the ledger shows it.
        assert_eq!(first.record_id, "x\u{2400}");
        let second = row(&batch.items[1]);
        assert_eq!((second.place, second.exists), (first.place, Some(true)));
        assert_eq!((&*second.record_id, second.nul), ("x", true));
        let last = batch.items.last().unwrap();
        assert!(
            matches!(last, Item::Rejected { record_id, user: Some(user), .. }
            if record_id == "y\u{2400}" && user == "7")
        );
        assert_eq!(batch.items.len(), if asks { 4 } else { 3 });
        if asks {
            assert_eq!(*knew.lock().unwrap(), [true, true, false, true]);
        }
    }
}

#[test]
fn a_replaced_id_differs_from_one_without() {
    let source = with_nul();
    let plan = Plan {
        nul: NulCharacters::Replace,
        ..plan(&source, false)
    };
    let batch = batch(source, plan);
    let keys: Vec<_> = batch.items[..3].iter().map(|it| &*row(it).key).collect();
    assert_eq!(keys, ["x\u{FFFD}", "x", "other\u{FFFD}"]);
    assert_eq!(row(&batch.items[0]).user.as_deref(), Some("\u{FFFD}7"));
}

#[test]
fn json_that_escapes_it_counts_as_changed_and_a_harmless_record_does_not() {
    let all = |tags| {
        let source = Listed::new([("a", vec![record("1", [("tags", text(tags))])])]);
        let plan = Plan {
            nul: NulCharacters::Replace,
            ..plan(&source, true)
        };
        row(&batch(source, plan).items[0]).nul
    };
    assert!(all("[\"\\u0000\"]"));
    assert!(!all("[\"\\\\u0000\"]"));
}

#[test]
fn without_a_word_about_it_such_a_record_is_refused_with_what_helps() {
    let source = Listed::new([(
        "a",
        vec![orphan("x\0"), {
            Record {
                document: Some("a\0".to_owned()),
                ..orphan("y")
            }
        }],
    )]);
    let plan = plan(&source, true);
    let batch = batch(source, plan);
    let why = "holds U+0000, which PostgreSQL cannot store: nul_characters => 'remove' or 'replace' migrates it";
    assert_eq!(
        *rejection(&batch.items[0]),
        Rejection::new(Reason::BadText, format!("id: it {why}"))
    );
    assert!(matches!(&batch.items[0], Item::Rejected { record_id, .. } if record_id == "x\0"));
    assert_eq!(
        *rejection(&batch.items[1]),
        Rejection::new(Reason::BadText, format!("document {why}"))
    );
}

#[test]
fn each_collection_has_its_remarks_of_the_records_that_were_asked_for() {
    let other = |id: &str| record(id, [("userId", text("7")), ("data", text("Likes tea."))]);
    let wanted = record("3", [("userId", text("8")), ("k", text("v"))]);
    let source = Listed::new([
        ("a", vec![other("1"), other("2")]),
        ("b", vec![owned("1"), other("2")]),
        ("c", vec![other("1"), wanted.clone()]),
        ("d", vec![other("1"), wanted]),
    ]);
    let remark = |collection, kind| Remark { collection, kind };
    let owner = |records| RemarkKind::Owner {
        key: "userId".to_owned(),
        records,
    };
    let data = |records| RemarkKind::Text {
        key: "data".to_owned(),
        records,
    };
    let mut known = KnownKeys::new(true, false);
    known.insert("c", "1", None);
    let all = plan(&source, false);
    let of_all = Plan {
        first: 5,
        known: Some(known),
        ..all
    };
    let found = batch(source, of_all).remarks;
    assert_eq!(
        found,
        [
            remark(5, owner(2)),
            remark(5, data(2)),
            remark(6, data(1)),
            remark(7, owner(1)),
            remark(8, owner(2)),
            remark(8, data(1)),
        ]
    );
    let source = Listed::new([("d", vec![other("1"), orphan("2")])]);
    let filtered = Plan {
        filter: Some(Filter::parse(r#"{"k": "v"}"#).unwrap()),
        ..plan(&source, false)
    };
    assert_eq!(batch(source, filtered).remarks, []);
}

#[test]
fn an_owner_is_seen_behind_characters_that_are_removed() {
    let source = Listed::new([(
        "a",
        vec![record("1", [("uid", text("7")), ("user\0_id", text("7"))])],
    )]);
    let plan = Plan {
        nul: NulCharacters::Remove,
        ..plan(&source, false)
    };
    assert_eq!(batch(source, plan).remarks, []);
}
