//! Tests of [`RowParts::field`]: the words of a mapping.

use super::super::testing::{record_with, string};
use super::*;
use crate::mapping::Word;

/// The field of `word` in the column `c` of a row of `record`.
fn field(record: &Record, word: &str) -> Result<Field<'static>, String> {
    let collection = CollectionFields {
        name: "docs".into(),
        qualified: "t/d/docs".into(),
        uuid: "u-1".into(),
        tenant: "t".into(),
        database: "d".into(),
        space: "l2",
        parent: Some("p-1".into()),
    };
    let parts = RowParts {
        record,
        collection: &collection,
        key: "k1",
        user: None,
        text_key: Some("data"),
        item: None,
        entity: None,
        uuid: "new",
    };
    let word = Word::parse(word).unwrap();
    let word = match word {
        Word::Metadata(it) => Word::Metadata(it.beside(&["own".to_owned()])),
        other => other,
    };
    let field = parts.field("c", &word).map_err(|it| it.message)?;
    Ok(match field {
        Field::Text(text) => Field::Text(Cow::Owned(text.into_owned())),
        Field::Json(text) => Field::Json(Cow::Owned(text.into_owned())),
        Field::Key(text) => Field::Key(Cow::Owned(text.into_owned())),
        Field::Value(_, value) => Field::Value("", Cow::Owned(value.into_owned())),
        Field::Null => Field::Null,
        Field::Time(micros) => Field::Time(micros),
        other => panic!("{other:?}"),
    })
}

fn text(text: &str) -> Result<Field<'static>, String> {
    Ok(Field::Text(Cow::Owned(text.to_owned())))
}

fn json(text: &str) -> Result<Field<'static>, String> {
    Ok(Field::Json(Cow::Owned(text.to_owned())))
}

fn key(text: &str) -> Result<Field<'static>, String> {
    Ok(Field::Key(Cow::Owned(text.to_owned())))
}

const NUL: &str = "holds U+0000, which PostgreSQL cannot store: nul_characters => 'remove' or 'replace' migrates it";

#[test]
fn what_is_the_same_in_all_rows_of_a_collection() {
    let record = record_with([]);
    assert_eq!(field(&record, "collection"), text("docs"));
    assert_eq!(field(&record, "collection, qualified"), text("t/d/docs"));
    assert_eq!(field(&record, "tenant"), text("t"));
    assert_eq!(field(&record, "database"), text("d"));
    assert_eq!(field(&record, "space"), text("l2"));
    assert_eq!(field(&record, "collection_uuid"), key("u-1"));
    assert_eq!(field(&record, "parent"), key("p-1"));
    let constant = Field::Value("", Cow::Owned(string("a b")));
    assert_eq!(field(&record, "const a b"), Ok(constant));
}

#[test]
fn missing_null_and_empty_documents_are_three_things() {
    let mut record = record_with([]);
    assert_eq!(field(&record, "document"), Ok(Field::Null));
    assert_eq!(field(&record, "document or empty"), text(""));
    record.document = Some(String::new());
    assert_eq!(field(&record, "document"), text(""));
    record.document = Some("a\0b".into());
    assert_eq!(field(&record, "document"), Err(format!("document {NUL}")));
    assert_eq!(field(&record, "document, without U+0000"), text("ab"));
    let other = record_with([("data", string("Likes tea."))]);
    assert_eq!(field(&other, "document"), text("Likes tea."));
}

#[test]
fn keys_and_times_are_the_records_own() {
    let record = record_with([("c", Value::Float(1.0)), ("k", string("\0"))]);
    assert_eq!(field(&record, "id"), key("k1"));
    assert_eq!(field(&record, "new uuid"), key("new"));
    assert_eq!(field(&record, "uri"), Ok(Field::Null));
    assert_eq!(field(&record, "created_at"), Ok(Field::Time(1_000_000)));
    assert_eq!(field(&record, "owner"), Ok(Field::Null));
    let own = Field::Value("", Cow::Owned(Value::Float(1.0)));
    assert_eq!(field(&record, "key"), Ok(own));
    assert_eq!(field(&record, "key none"), Ok(Field::Null));
    assert_eq!(
        field(&record, "key k"),
        Err(format!("metadata value of \"k\" {NUL}"))
    );
}

#[test]
fn metadata_keeps_every_key_and_type_in_the_order_of_jsonb() {
    let record = record_with([
        ("own", Value::Int(1)),
        ("b", Value::Float(1.0)),
        ("a", Value::Int((1 << 53) + 1)),
        ("long", Value::List(vec![Value::Bool(true), string("x")])),
    ]);
    let whole = r#"{"a":9007199254740993,"b":1.0,"own":1,"long":[true,"x"]}"#;
    assert_eq!(field(&record, "metadata"), json(whole));
    let rest = r#"{"a":9007199254740993,"b":1.0,"long":[true,"x"]}"#;
    assert_eq!(field(&record, "metadata, rest"), json(rest));
    assert_eq!(field(&record_with([]), "metadata"), json("{}"));
    assert_eq!(field(&record_with([]), "metadata, rest"), json("{}"));
}

#[test]
fn keys_are_added_and_take_the_place_of_others() {
    let mut record = record_with([("text", Value::Int(1)), ("a", Value::Int(2))]);
    assert_eq!(
        field(&record, "metadata + text: document"),
        json(r#"{"a":2,"text":null}"#)
    );
    record.document = Some("Text.".into());
    assert_eq!(
        field(
            &record,
            "metadata + text: document + id: id + of: collection"
        ),
        json(r#"{"a":2,"id":"r1","of":"docs","text":"Text."}"#)
    );
}

#[test]
fn keys_move_where_nothing_is_in_their_place() {
    let words = "metadata, nest loc.lines.from: locFrom, nest loc.lines.to: locTo";
    let both = [
        ("locFrom", Value::Int(1)),
        ("locTo", Value::Int(9)),
        ("a", Value::Int(2)),
    ];
    assert_eq!(
        field(&record_with(both), words),
        json(r#"{"a":2,"loc":{"lines":{"to":9,"from":1}}}"#)
    );
    let one = [("locFrom", Value::Int(1))];
    assert_eq!(
        field(&record_with(one), words),
        json(r#"{"loc":{"lines":{"from":1}}}"#)
    );
    let taken = [
        ("locFrom", Value::Int(1)),
        ("locTo", Value::Int(9)),
        ("loc", string("x")),
    ];
    assert_eq!(
        field(&record_with(taken), words),
        json(r#"{"loc":"x","locTo":9,"locFrom":1}"#)
    );
}

#[test]
fn a_nul_in_metadata_is_an_error_or_goes() {
    let record = record_with([("k", string("a\0b")), ("l\0", Value::Int(1))]);
    assert_eq!(
        field(&record, "metadata"),
        Err(format!("metadata value of \"k\" {NUL}"))
    );
    let stripped = json(r#"{"k":"ab","l":1}"#);
    assert_eq!(field(&record, "metadata, without U+0000"), stripped);
    let listed = record_with([("k", Value::List(vec![string("\0x")]))]);
    assert_eq!(
        field(&listed, "metadata, without U+0000"),
        json(r#"{"k":["x"]}"#)
    );
}
