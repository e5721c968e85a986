//! Tests of what a collection's records lead to.

use super::*;
use crate::encode::{Column, ColumnType};
use crate::mapping::{ItemField, Word};
use crate::record::{Collection, Grade, Metadata, Space, Vector};

fn text(text: &str) -> Value {
    Value::Str(text.to_owned())
}

/// A record without a document.
fn record(metadata: &[(&str, Value)]) -> Record {
    let mut all = Metadata::default();
    for (key, value) in metadata {
        all.set(*key, value.clone());
    }
    Record {
        id: "x".to_owned(),
        document: None,
        uri: None,
        metadata: all,
        vector: None,
        missing: false,
        created_at: None,
        stale: false,
        sequence: None,
        damage: None,
    }
}

fn with_document(document: &str, metadata: &[(&str, Value)]) -> Record {
    Record {
        document: Some(document.to_owned()),
        ..record(metadata)
    }
}

fn item_text() -> Column {
    Column {
        name: "searchable_text".to_owned(),
        word: Word::Item(ItemField::SearchableText),
        ty: ColumnType::Text,
    }
}

/// A collection of this distance.
fn planned(space: Space) -> PlannedCollection {
    let collection = Collection {
        tenant: "default_tenant".to_owned(),
        database: "default_database".to_owned(),
        name: "a".to_owned(),
        id: "a".to_owned(),
        dimension: None,
        space,
        configuration: serde_json::Value::Null,
        metadata: Metadata::default(),
    };
    PlannedCollection::qualified(collection, false)
}

fn plan() -> Plan {
    Plan::stored(Vec::new(), vec![item_text()], 1)
}

fn remarks(plan: &Plan, records: &[Record]) -> Vec<RemarkKind> {
    let mut watch = Watch::new(plan, &planned(Space::L2));
    for record in records {
        watch.look(plan, record);
    }
    watch.remarks(0).map(|it| it.kind).collect()
}

fn owner(key: &str, records: u64) -> RemarkKind {
    let key = key.to_owned();
    RemarkKind::Owner { key, records }
}

fn texts(key: &str, records: u64) -> RemarkKind {
    let key = key.to_owned();
    RemarkKind::Text { key, records }
}

#[test]
fn every_usual_spelling_of_an_owner_is_known_and_nothing_else() {
    for key in [
        "user",
        "userId",
        "user_ID",
        "userid",
        "USER-ID",
        "uid",
        "owner",
        "owner_id",
        "ownerId",
        "created_by",
        "createdBy",
        "creator",
        "author_id",
        "account",
        "account_id",
        "accountId",
        "customer_id",
        "tenant_id",
        "member_id",
        "username",
        "user_name",
    ] {
        let found = remarks(&plan(), &[record(&[(key, text("ada"))])]);
        assert_eq!(found, [owner(key, 1)], "{key}");
    }
    for key in [
        "",
        "_",
        "users",
        "author",
        "user.id",
        "üser",
        "user_identification",
        "source",
        "user______________________________id",
    ] {
        assert_eq!(
            remarks(&plan(), &[record(&[(key, text("ada"))])]),
            [],
            "{key}"
        );
    }
}

#[test]
fn every_usual_spelling_of_a_text_is_known_and_nothing_else() {
    for key in [
        "data",
        "text",
        "content",
        "page_content",
        "pageContent",
        "body",
        "document",
        "memory",
        "chunk",
        "chunk_text",
        "passage",
        "message",
    ] {
        let found = remarks(&plan(), &[record(&[(key, text("Likes tea."))])]);
        assert_eq!(found, [texts(key, 1)], "{key}");
    }
    for key in ["title", "contents", "content_type", "summary"] {
        assert_eq!(
            remarks(&plan(), &[record(&[(key, text("x"))])]),
            [],
            "{key}"
        );
    }
}

#[test]
fn the_key_that_most_records_have_is_told() {
    let records = [
        record(&[("owner", text("ada")), ("text", text("a"))]),
        record(&[("userId", Value::Int(7)), ("body", text("b"))]),
        record(&[("owner", text("bob")), ("body", text("c"))]),
    ];
    assert_eq!(
        remarks(&plan(), &records),
        [owner("owner", 2), texts("body", 2)]
    );
    // As many: the likelier one.
    assert_eq!(
        remarks(&plan(), &records[..2]),
        [owner("userId", 1), texts("text", 1)]
    );
}

#[test]
fn one_owner_or_one_document_is_enough_for_silence() {
    let other = [("userId", text("ada")), ("data", text("a"))];
    let mut records = vec![record(&other), record(&other)];
    assert_eq!(
        remarks(&plan(), &records),
        [owner("userId", 2), texts("data", 2)]
    );
    records.push(record(&[("user_id", Value::Int(7))]));
    assert_eq!(remarks(&plan(), &records), [texts("data", 2)]);
    // An empty document is none.
    records.push(with_document("", &[]));
    assert_eq!(remarks(&plan(), &records), [texts("data", 2)]);
    records.push(with_document("Text.", &[]));
    records.push(record(&other));
    assert_eq!(remarks(&plan(), &records), []);
    // One that cannot be read as an owner is there, too.
    let list = record(&[("user_id", Value::Bool(true))]);
    assert_eq!(
        remarks(&plan(), &[list, records.swap_remove(0)]),
        [texts("data", 1)]
    );
}

#[test]
fn values_that_name_nobody_or_say_nothing_do_not_count() {
    let records = [
        record(&[("user_id", text(" ")), ("owner", text(""))]),
        record(&[("owner", Value::Bool(true)), ("text", text(" \n"))]),
        with_document("", &[("text", Value::Int(7))]),
    ];
    assert_eq!(remarks(&plan(), &records), []);
}

#[test]
fn what_was_named_is_not_looked_for() {
    let records = [record(&[
        ("created_by", text("ada")),
        ("user_id", text("7")),
        ("memory", text("a")),
    ])];
    let named = Plan {
        owner_key: "created_by".to_owned(),
        text_key: Some("data".to_owned()),
        ..plan()
    };
    assert_eq!(remarks(&named, &records), []);
    let wrong = Plan {
        owner_key: "creator".to_owned(),
        ..plan()
    };
    assert_eq!(
        remarks(&wrong, &records),
        [owner("user_id", 1), texts("memory", 1)]
    );
}

#[test]
fn a_hostile_store_has_no_more_spellings_than_are_kept() {
    let keys: Vec<String> = (0..300_u32)
        .map(|n| {
            (0..10)
                .map(|bit| if n >> bit & 1 == 1 { '_' } else { '-' })
                .collect()
        })
        .map(|sign: String| format!("uid{sign}"))
        .collect();
    let all: Vec<_> = keys.iter().map(|key| (&**key, Value::Int(1))).collect();
    let mut watch = Watch::new(&plan(), &planned(Space::L2));
    watch.look(&plan(), &record(&all));
    assert_eq!(
        watch.owners.as_ref().map(|it| it.0.len()),
        Some(MOST_SPELLINGS)
    );
    assert_eq!(watch.remarks(3).next().map(|it| it.collection), Some(3));
}

#[test]
fn vectors_of_other_lengths_are_told_where_another_distance_is_asked_with() {
    let with = |values: &[f32]| Record {
        vector: Some(Vector {
            values: values.to_vec(),
            grade: Grade::Exact,
        }),
        ..record(&[])
    };
    let records = [with(&[0.6, 0.8]), with(&[1.0, 1.0]), with(&[0.0, 1.0005])];
    let asked = |asks, space| {
        let plan = Plan { asks, ..plan() };
        let mut watch = Watch::new(&plan, &planned(space));
        records.iter().for_each(|it| watch.look(&plan, it));
        watch.remarks(0).map(|it| it.kind).collect::<Vec<_>>()
    };
    let told = [RemarkKind::Lengths { records: 1 }];
    assert_eq!(asked(Some(Space::Cosine), Space::L2), told);
    assert_eq!(asked(Some(Space::Cosine), Space::Ip), told);
    assert_eq!(asked(Some(Space::Cosine), Space::Cosine), []);
    assert_eq!(asked(None, Space::L2), []);
}

#[test]
fn nothing_is_looked_for_that_no_column_takes() {
    let records = [record(&[
        ("data", text("Likes tea.")),
        ("owner", text("ada")),
    ])];
    let plan = Plan {
        content: Vec::new(),
        has_owner: false,
        ..plan()
    };
    assert_eq!(remarks(&plan, &records), []);
}
