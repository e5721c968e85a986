//! Tests of [`super::map_record`]: what [`Shape::text_key`] and [`Shape::nul`] change.

use super::super::testing::{record_with, string};
use super::tests::{NUL, OURS, THEIRS, parse, rejected, with_content};
use super::*;

#[test]
fn without_a_document_the_text_is_the_value_of_the_callers_key() {
    let shape = Shape {
        text_key: Some("data"),
        ..OURS
    };
    let text = |record: &Record| {
        let row = map_record("library", record, shape).unwrap();
        row.searchable_text.into_owned()
    };
    let mut record = record_with([("data", string("Likes tea.")), ("title", string("Name"))]);
    assert_eq!(text(&record), "Likes tea.");
    record.document = Some(String::new());
    assert_eq!(text(&record), "Likes tea.");
    record.document = Some("Text.".into());
    assert_eq!(text(&record), "Text.");
    let other = |value| text(&record_with([("data", value), ("title", string("Name"))]));
    assert_eq!(other(Value::Int(7)), "7");
    assert_eq!(
        other(Value::List(vec![string("a"), string("b")])),
        r#"["a","b"]"#
    );
    assert_eq!(other(string(" \n")), "Title: Name");
    assert_eq!(
        text(&record_with([("title", string("Name"))])),
        "Title: Name"
    );
    // What full_content says under the same name does not count.
    let content = record_with([
        ("data", string("Likes tea.")),
        ("full_content", string(r#"{"data":"no"}"#)),
    ]);
    assert_eq!(text(&content), "Likes tea.");
    // The text is in the metadata, so the stand-in object need not have it again.
    let theirs = Shape {
        has_metadata: false,
        ..shape
    };
    record.document = None;
    let row = map_record("library", &record, theirs).unwrap();
    assert_eq!(
        row.full_content,
        r#"{"id":"r1","title":"Name","document":null,"uri":null,"metadata":{"data":"Likes tea.","title":"Name"}}"#
    );
}

#[test]
fn a_nul_in_the_callers_text_is_told_by_its_key() {
    let shape = Shape {
        text_key: Some("data"),
        ..THEIRS
    };
    let record = record_with([("full_content", string("{}")), ("data", string("\0"))]);
    assert_eq!(rejected(&record, shape).1, format!("searchable_text{NUL}"));
}

#[test]
fn an_escaped_nul_is_changed_where_the_text_is_read_as_json_and_nowhere_else() {
    let shape = |nul| Shape { nul, ..OURS };
    let record = record_with([
        (
            "full_content",
            string(
                r#"{"title":"a\u0000b","x":"\\u0000","topics":"[\"t\\u0000\"]","entities":"[{\"name\":\"n\\u0000\",\"type\":\"\\u0000k\"}]",
                    "key_points":"[\"p\\u0000\"]"}"#,
            ),
        ),
        ("collections", string("a\\u0000b, c")),
        ("k", string(r#"["\u0000"]"#)),
        ("tags", string(r#"["g\u0000", "\\u0000"]"#)),
    ]);
    let row = map_record("library", &record, shape(NulCharacters::Remove)).unwrap();
    assert!(row.nul);
    assert_eq!(row.title, "ab");
    assert!(
        row.full_content
            .starts_with(r#"{"title":"ab","x":"\\u0000","topics":"[\"t\\u0000\"]""#)
    );
    assert_eq!(row.topics.as_deref(), Some(r#"["t"]"#));
    assert_eq!(row.tags.as_deref(), Some(r#"["g", "\\u0000"]"#));
    // No JSON: the characters of the escape are characters.
    assert_eq!(row.collections.as_deref(), Some(r#"["a\\u0000b","c"]"#));
    assert_eq!(
        (
            &*row.entities[0].name,
            row.entities[0].kind.as_deref(),
            &*row.entities[0].text
        ),
        ("n", Some("k"), "n k")
    );
    assert!(
        row.searchable_text.contains("Topics: t\nKey Points: p\n"),
        "{}",
        row.searchable_text
    );
    // There it is a text like any other, which jsonb takes.
    let metadata = parse(&row.metadata);
    assert_eq!(metadata.get("k").unwrap(), r#"["\u0000"]"#);
    assert_eq!(metadata.get("tags").unwrap(), r#"["g\u0000", "\\u0000"]"#);
    assert!(metadata.get("full_content").is_none());

    let row = map_record("library", &record, shape(NulCharacters::Replace)).unwrap();
    assert_eq!(row.title, "a\u{FFFD}b");
    assert_eq!(row.topics.as_deref(), Some(r#"["t\ufffd"]"#));
    assert_eq!(row.entities[0].text, "n\u{FFFD} \u{FFFD}k");
    assert_eq!(rejected(&record, OURS).0, Reason::BadContent);
}

#[test]
fn only_a_row_that_was_changed_says_so() {
    let shape = Shape {
        nul: NulCharacters::Replace,
        ..OURS
    };
    let nul = |record: &Record| map_record("library", record, shape).unwrap().nul;
    for harmless in ["{}", r#"{"a":"\\u0000"}"#, r#"["\u0000"]"#, "no"] {
        assert!(!nul(&with_content(harmless)), "{harmless}");
    }
    assert!(!nul(&record_with([("k", string(r#"["\u0000"]"#))])));
    assert!(nul(&with_content(r#"{"\u0000":1}"#)));
    assert!(nul(&record_with([("tags", string(r#"["\u0000"]"#))])));
    // What is no object stays in the metadata as it is; damaged numbers are still refused.
    let (reason, _) = rejected(&with_content(r#"{"a":"\u0000","b":1e200000}"#), shape);
    assert_eq!(reason, Reason::BadContent);
}
