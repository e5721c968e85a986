//! Tests of [`super::map_record`], rule by rule.

use super::super::testing::{record_with, string};
use super::*;

pub(super) const OURS: Shape<'_> = Shape {
    has_metadata: true,
    wants_entities: true,
    text_key: None,
    nul: NulCharacters::Error,
};
pub(super) const THEIRS: Shape<'_> = Shape {
    has_metadata: false,
    ..OURS
};

pub(super) const NUL: &str = " holds U+0000, which PostgreSQL cannot store: nul_characters => 'remove' or 'replace' migrates it";

fn map(record: &Record) -> ContentRow<'_> {
    map_record("library", record, OURS).unwrap()
}

pub(super) fn rejected(record: &Record, shape: Shape<'_>) -> (Reason, String) {
    let rejection = map_record("library", record, shape).unwrap_err();
    (rejection.reason, rejection.message)
}

pub(super) fn with_content(content: &str) -> Record {
    record_with([("full_content", string(content))])
}

pub(super) fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

#[test]
fn full_content_goes_through_in_the_applications_own_text() {
    let text = "  {\"z\" : 1.50, \"a\":\"\\u00e9\", \"a\":2e400 }\n";
    let record = with_content(text);
    let row = map(&record);
    assert!(matches!(row.full_content, Cow::Borrowed(same) if same == text));
    assert_eq!(row.metadata, "{}");
}

#[test]
fn a_full_content_that_does_not_parse_is_a_fallback_and_stays_in_the_metadata() {
    for text in [
        "{\"title\":",
        "",
        "not json",
        "[{\"title\":\"x\"}]",
        "null",
        "\"{}\"",
        "{\"title\":\"\\ud800\"}",
        "{\"a\":\"\n\"}",
    ] {
        let record = record_with([("full_content", string(text)), ("title", string("Name"))]);
        let row = map(&record);
        assert_eq!(row.title, "Name");
        assert_eq!(row.full_content, r#"{"id":"r1","title":"Name"}"#);
        let metadata = parse(&row.metadata);
        assert_eq!(
            metadata.get("full_content").unwrap(),
            &Json::String(text.into()),
            "{text}"
        );
    }
}

#[test]
fn a_full_content_that_is_no_string_is_a_metadata_value_like_any_other() {
    let record = record_with([("full_content", Value::Int(1))]);
    let row = map(&record);
    assert_eq!(row.full_content, r#"{"id":"r1","title":"Untitled"}"#);
    assert_eq!(row.metadata, r#"{"full_content":1}"#);
}

#[test]
fn in_a_table_without_a_metadata_column_nothing_is_lost() {
    let mut record = record_with([("n", Value::Float(3.0)), ("title", string("Na\"me"))]);
    record.document = Some("Text.".into());
    let row = map_record("library", &record, THEIRS).unwrap();
    assert_eq!(
        row.full_content,
        r#"{"id":"r1","title":"Na\"me","document":"Text.","uri":null,"metadata":{"n":3.0,"title":"Na\"me"}}"#
    );
    record.document = Some(String::new());
    record.uri = Some("u".into());
    let row = map_record("library", &record, THEIRS).unwrap();
    let object = parse(&row.full_content);
    assert_eq!(object.get("document").unwrap(), "");
    assert_eq!(object.get("uri").unwrap(), "u");
}

#[test]
fn fields_come_from_the_content_before_the_metadata() {
    let record = record_with([
        (
            "full_content",
            string(
                r#"{"title":"C","content_type":"video","mode":"deep","summary":"cs","source_url":"cu",
                    "topics":["ct"],"tags":["cg"],"collections":["cc"],"file_size_bytes":5}"#,
            ),
        ),
        ("title", string("M")),
        ("content_type", string("m")),
        ("mode", string("m")),
        ("summary", string("ms")),
        ("source_url", string("mu")),
        ("topics", string("[\"mt\"]")),
        ("tags", string("[\"mg\"]")),
        ("collections", string("[\"mc\"]")),
        ("file_size_bytes", Value::Int(6)),
    ]);
    let row = map(&record);
    assert_eq!(
        (&*row.title, &*row.content_type, &*row.mode),
        ("C", "video", "deep")
    );
    assert_eq!(
        (row.summary.as_deref(), row.source_url.as_deref()),
        (Some("cs"), Some("cu"))
    );
    assert_eq!(row.topics.as_deref(), Some(r#"["ct"]"#));
    assert_eq!(row.tags.as_deref(), Some(r#"["cg"]"#));
    assert_eq!(row.collections.as_deref(), Some(r#"["cc"]"#));
    assert_eq!(row.file_size_bytes, Some(5));
}

#[test]
fn fields_that_the_content_lacks_come_from_the_metadata() {
    let record = record_with([
        (
            "full_content",
            string(r#"{"title":"","summary":null,"topics":[],"tags":null,"file_size_bytes":"?"}"#),
        ),
        ("title", string("M")),
        ("content_type", string("m")),
        ("mode", string("m")),
        ("summary", string("ms")),
        ("topics", string("[\"mt\"]")),
        ("tags", Value::List(vec![string("mg")])),
        ("file_size_bytes", string(" 6 ")),
    ]);
    let row = map(&record);
    assert_eq!(
        (&*row.title, &*row.content_type, &*row.mode),
        ("M", "m", "m")
    );
    assert_eq!(row.summary.as_deref(), Some("ms"));
    assert_eq!(row.topics.as_deref(), Some(r#"["mt"]"#));
    assert_eq!(row.tags.as_deref(), Some(r#"["mg"]"#));
    assert_eq!(row.file_size_bytes, Some(6));
}

#[test]
fn fields_that_nobody_has_are_their_defaults_or_null() {
    let record = record_with([]);
    let row = map(&record);
    assert_eq!(
        (&*row.title, &*row.content_type, &*row.mode),
        ("Untitled", "other", "general")
    );
    assert_eq!((row.summary, row.source_url), (None, None));
    assert_eq!((row.topics, row.tags, row.collections), (None, None, None));
    assert_eq!(
        (row.file_size_bytes, row.has_transcript, row.uri),
        (None, false, None)
    );
    assert_eq!(
        (&*row.searchable_text, row.metadata),
        ("", "{}".to_string())
    );
    assert_eq!((row.id, row.chroma_collection), ("r1", "library"));
    assert!(row.entities.is_empty());
}

#[test]
fn numbers_and_other_types_become_the_text_that_they_are_in_json() {
    let record =
        with_content(r#"{"title":12345678901234567890.10,"summary":true,"source_url":{"a":[1]}}"#);
    let row = map(&record);
    assert_eq!(row.title, "12345678901234567890.10");
    assert_eq!(row.summary.as_deref(), Some("true"));
    assert_eq!(row.source_url.as_deref(), Some(r#"{"a":[1]}"#));
    let record = record_with([("title", Value::Float(3.0)), ("summary", Value::Int(-1))]);
    let row = map(&record);
    assert_eq!((&*row.title, row.summary.as_deref()), ("3.0", Some("-1")));
}

#[test]
fn an_empty_summary_is_not_null() {
    assert_eq!(
        map(&with_content(r#"{"summary":""}"#)).summary.as_deref(),
        Some("")
    );
    assert_eq!(
        map(&record_with([("summary", string(""))]))
            .summary
            .as_deref(),
        Some("")
    );
}

#[test]
fn lists_are_json_arrays_whatever_they_were() {
    let list = |value| map(&record_with([("tags", value)])).tags;
    let is = |text: &str| Some(text.to_string());
    assert_eq!(list(string("[\"a\", 1]")), is("[\"a\", 1]"));
    assert_eq!(list(string("[broken")), is("[\"[broken\"]"));
    assert_eq!(list(string("\"a\"")), is("[\"a\"]"));
    assert_eq!(list(string("7")), is("[7]"));
    assert_eq!(list(string("{\"a\":1}")), is("[{\"a\":1}]"));
    assert_eq!(list(Value::Int(7)), is("[7]"));
    assert_eq!(
        list(Value::List(vec![Value::Float(1.0), Value::Float(2.5)])),
        is("[1.0,2.5]")
    );
    assert_eq!(list(string("")), None);
    assert_eq!(list(string(" ")), None);
    assert_eq!(list(string("null")), None);
    let content = |text: &str| map(&with_content(text)).topics;
    assert_eq!(
        content(r#"{"topics":["é",1.50,null]}"#),
        is(r#"["é",1.50,null]"#)
    );
    assert_eq!(content(r#"{"topics":"[\"a\"]"}"#), is(r#"["a"]"#));
    assert_eq!(content(r#"{"topics":"a"}"#), is(r#"["a"]"#));
    assert_eq!(content(r#"{"topics":null}"#), None);
}

#[test]
fn a_list_that_is_no_json_has_its_elements_between_commas() {
    let list = |value: &str| map(&record_with([("tags", string(value))])).tags;
    let is = |text: &str| Some(text.to_string());
    assert_eq!(list("work,urgent"), is(r#"["work","urgent"]"#));
    assert_eq!(list(" a b , \"c\",, d "), is(r#"["a b","\"c\"","d"]"#));
    assert_eq!(list("work"), is(r#"["work"]"#));
    assert_eq!(list(" , "), None);
    let content = with_content(r#"{"topics":"sun, light"}"#);
    assert_eq!(map(&content).topics, is(r#"["sun","light"]"#));
    // Sentences are none.
    let points = with_content(r#"{"key_points":"First, then second."}"#);
    assert!(map(&points).searchable_text.contains("First, then second."));
    // The metadata keep the text as it was.
    let record = record_with([("tags", string("work,urgent"))]);
    assert!(map(&record).metadata.contains("\"work,urgent\""));
}

#[test]
fn a_list_that_is_there_and_empty_stays_empty() {
    assert_eq!(
        map(&with_content(r#"{"topics":[]}"#)).topics.as_deref(),
        Some("[]")
    );
    assert_eq!(
        map(&record_with([("topics", string("[ ]"))]))
            .topics
            .as_deref(),
        Some("[ ]")
    );
}

#[test]
fn a_file_size_is_a_whole_number_in_any_spelling_or_nothing() {
    let size = |value: &str| {
        map(&with_content(&format!("{{\"file_size_bytes\":{value}}}"))).file_size_bytes
    };
    assert_eq!(size("9223372036854775807"), Some(i64::MAX));
    assert_eq!(size("2048.0"), Some(2048));
    assert_eq!(size("\"2048\""), Some(2048));
    assert_eq!(size("1e3"), Some(1000));
    for other in [
        "10.5",
        "\"2 kB\"",
        "\"\"",
        "true",
        "null",
        "9223372036854775808",
        "[1]",
    ] {
        assert_eq!(size(other), None, "{other}");
    }
    assert_eq!(
        map(&record_with([("file_size_bytes", Value::Float(7.0))])).file_size_bytes,
        Some(7)
    );
}

#[test]
fn only_a_transcript_that_is_not_empty_counts() {
    let has =
        |value: &str| map(&with_content(&format!("{{\"transcript\":{value}}}"))).has_transcript;
    for yes in ["\"spoken\"", "[{\"text\":\"a\"}]", "{\"text\":\"a\"}"] {
        assert!(has(yes), "{yes}");
    }
    for no in ["\"\"", "\" \\n\"", "[]", "{}", "null", "false", "0"] {
        assert!(!has(no), "{no}");
    }
    assert!(map(&record_with([("transcript", string("spoken"))])).has_transcript);
    assert!(map(&record_with([("has_transcript", Value::Bool(true))])).has_transcript);
}

#[test]
fn the_document_is_the_searchable_text_and_an_empty_one_is_none() {
    let mut record = record_with([("title", string("Name"))]);
    record.document = Some("Text.".into());
    assert_eq!(map(&record).searchable_text, "Text.");
    for document in [Some(String::new()), None] {
        record.document = document;
        assert_eq!(map(&record).searchable_text, "Title: Name");
    }
}

#[test]
fn times_come_from_the_metadata_then_the_content_then_chroma() {
    let content = (
        "full_content",
        string(r#"{"created_at":"1970-01-01T00:00:02Z","updated_at":5}"#),
    );
    let row = |record: Record| {
        let row = map(&record);
        (row.created_at, row.updated_at)
    };
    let both = record_with([
        content.clone(),
        ("created_at", string("1970-01-01T00:00:03")),
    ]);
    assert_eq!(row(both), (Some(3_000_000), Some(5_000_000)));
    assert_eq!(
        row(record_with([content])),
        (Some(2_000_000), Some(5_000_000))
    );
    assert_eq!(row(record_with([])), (Some(1_000_000), Some(1_000_000)));
    let damaged = record_with([
        ("created_at", string("yesterday")),
        ("updated_at", Value::Float(2.5)),
    ]);
    assert_eq!(row(damaged), (Some(1_000_000), Some(2_500_000)));
    let mut never = record_with([]);
    never.created_at = None;
    assert_eq!(row(never), (None, None));
}

#[test]
fn the_metadata_column_has_every_key_with_its_type_but_a_parsed_full_content() {
    let record = record_with([
        ("full_content", string("{}")),
        ("b", Value::Bool(false)),
        ("f", Value::Float(2.0)),
        ("i", Value::Int(i64::MIN)),
        ("inf", Value::Float(f64::INFINITY)),
        ("s", string("7")),
        ("topics", string("[\"x\"]")),
        ("user_id", string("7")),
    ]);
    assert_eq!(
        map(&record).metadata,
        r#"{"b":false,"f":2.0,"i":-9223372036854775808,"s":"7","inf":"Infinity","topics":"[\"x\"]","user_id":"7"}"#
    );
}

#[test]
fn entities_come_only_from_the_content_and_only_when_wanted() {
    let record = with_content(r#"{"entities":["Ada"]}"#);
    assert_eq!(map(&record).entities.len(), 1);
    let unwanted = Shape {
        wants_entities: false,
        ..OURS
    };
    assert!(
        map_record("library", &record, unwanted)
            .unwrap()
            .entities
            .is_empty()
    );
    assert!(
        map(&record_with([("entities", string("[\"Ada\"]"))]))
            .entities
            .is_empty()
    );
}

#[test]
fn the_collection_has_the_name_that_the_run_gives_it() {
    let record = record_with([]);
    let row = map_record("south:library", &record, OURS).unwrap();
    assert_eq!(row.chroma_collection, "south:library");
    let rejection = map_record("a\0", &record, OURS).unwrap_err();
    assert_eq!(rejection.reason, Reason::BadText);
    assert!(!rejection.message.contains("nul_characters"));
}

#[test]
fn a_nul_is_rejected_with_the_name_of_the_field() {
    let nul = |record: &Record| {
        let (reason, message) = rejected(record, OURS);
        assert_eq!(reason, Reason::BadText);
        assert!(!message.contains('\0'));
        message.replace(NUL, "")
    };
    let mut record = record_with([]);
    record.id = "a\0".into();
    assert_eq!(nul(&record), "id");
    let mut record = record_with([]);
    record.document = Some("a\0".into());
    assert_eq!(nul(&record), "document");
    let mut record = record_with([]);
    record.uri = Some("a\0".into());
    assert_eq!(nul(&record), "uri");
    assert_eq!(
        nul(&record_with([("k\0", Value::Int(1))])),
        "metadata key \"k\\0\""
    );
    assert_eq!(
        nul(&record_with([("k", string("\0"))])),
        "metadata value of \"k\""
    );
    assert_eq!(
        nul(&record_with([("k", Value::List(vec![string("\0")]))])),
        "metadata value of \"k\""
    );
    assert_eq!(
        nul(&with_content("{\"a\":\"\0\"}")),
        "metadata value of \"full_content\""
    );
    assert_eq!(
        nul(&record_with([("tags", string("[\"\\u0000\"]"))])),
        "tags"
    );
    assert_eq!(
        nul(&with_content(r#"{"topics":"[\"\\u0000\"]"}"#)),
        "topics"
    );
    assert_eq!(
        nul(&with_content(r#"{"entities":"[\"a\\u0000\"]"}"#)),
        "entities"
    );
}

#[test]
fn a_nul_in_metadata_that_goes_to_no_column_does_no_harm() {
    let record = record_with([("full_content", string("{}")), ("k", string("\0"))]);
    assert!(map_record("library", &record, THEIRS).is_ok());
    assert_eq!(rejected(&record, OURS).0, Reason::BadText);
    let record = record_with([("full_content", string("{}")), ("summary", string("\0"))]);
    assert_eq!(
        rejected(&record, THEIRS),
        (Reason::BadText, format!("summary{NUL}"))
    );
}

#[test]
fn a_full_content_that_jsonb_cannot_hold_is_bad_content() {
    let bad = |text: &str| rejected(&with_content(text), OURS);
    assert_eq!(
        bad(r#"{"a":["\u0000"]}"#),
        (Reason::BadContent, format!("full_content{NUL}"))
    );
    assert_eq!(bad(r#"{"\u0000":1}"#).0, Reason::BadContent);
    let (reason, message) = bad(r#"{"a":1e200000}"#);
    assert_eq!(reason, Reason::BadContent);
    assert_eq!(
        message,
        "full_content holds a number outside the range of PostgreSQL's numeric"
    );
    assert_eq!(bad(r#"{"a":1e-20000}"#).0, Reason::BadContent);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(
        bad(&deep).1,
        "full_content is nested too deeply: more than 127 levels"
    );
}

#[test]
fn numbers_at_the_edge_of_numeric_are_kept() {
    for text in [
        r#"{"a":1e131071}"#,
        r#"{"a":1e-16383}"#,
        r#"{"a":123456789012345678901234567890.5}"#,
    ] {
        assert_eq!(map(&with_content(text)).full_content, text);
    }
}

#[test]
fn a_deep_array_is_no_object_and_so_a_fallback() {
    let deep = "[".repeat(200);
    assert_eq!(
        map(&with_content(&deep)).full_content,
        r#"{"id":"r1","title":"Untitled"}"#
    );
}

#[test]
fn a_list_with_a_number_beyond_numeric_is_rejected_by_name() {
    let (reason, message) = rejected(&record_with([("tags", string("[1e200000]"))]), OURS);
    assert_eq!(reason, Reason::BadContent);
    assert!(message.starts_with("tags holds a number"));
}
