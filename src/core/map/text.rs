//! The text that makes a record findable when it has no document of its own.
//!
//! Promise: the lines that the application itself writes, in its order; a line whose part is missing or
//! blank is left out. May import nothing outside this stage.

use std::borrow::Cow;

use super::fields::{Fields, join_list};

/// How much of a transcript goes into the text, in characters.
const TRANSCRIPT_CHARACTERS: usize = 1000;

/// The searchable text of a record without a document; empty if the record says nothing at all.
///
/// Only what the record itself says: no line for the title `Untitled` or the type `other`.
pub(super) fn recipe(fields: &Fields<'_, '_>) -> String {
    let text = |key| fields.said(key).map(Cow::into_owned);
    let list = |key| fields.list(key);
    let part = |key| fields.list_of_content(key);
    let join = |list: Option<String>, keys: &[&str], separator| {
        list.map(|list| join_list(&list, keys, separator))
            .filter(|text| !text.is_empty())
    };
    let lines = [
        ("Title: ", text("title")),
        ("Summary: ", text("summary")),
        ("Type: ", text("content_type")),
        ("Topics: ", join(list("topics"), &[], ", ")),
        ("Key Points: ", join(part("key_points"), &["point"], " ")),
        (
            "Entities: ",
            join(part("entities"), &["name", "entity_name"], ", "),
        ),
        ("Action Items: ", join(part("action_items"), &[], " ")),
        ("Tags: ", join(list("tags"), &[], ", ")),
        (
            "",
            fields.transcript().map(|text| beginning(&text).to_string()),
        ),
    ];
    let lines: Vec<String> = lines
        .into_iter()
        .filter_map(|(label, text)| text.map(|text| format!("{label}{text}")))
        .collect();
    lines.join("\n")
}

/// The first [`TRANSCRIPT_CHARACTERS`] characters.
fn beginning(text: &str) -> &str {
    match text.char_indices().nth(TRANSCRIPT_CHARACTERS) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{record_with, string};
    use super::*;
    use crate::record::Record;

    fn of_content(content: &str) -> String {
        let content: serde_json::Value = serde_json::from_str(content).unwrap();
        let record = record_with([]);
        recipe(&Fields {
            content: content.as_object(),
            metadata: &record.metadata,
        })
    }

    fn of_metadata(record: &Record) -> String {
        recipe(&Fields {
            content: None,
            metadata: &record.metadata,
        })
    }

    #[test]
    fn every_part_has_its_line_in_the_applications_order() {
        let text = of_content(
            r#"{"tags":["t1","t2"],"transcript":"spoken","action_items":["do","act"],
                "entities":[{"name":"Ada","type":"person"},"Bob"],"key_points":[{"point":"One."},"Two."],
                "topics":["x","y"],"content_type":"video","summary":"Short.","title":"Name"}"#,
        );
        assert_eq!(
            text,
            "Title: Name\nSummary: Short.\nType: video\nTopics: x, y\nKey Points: One. Two.\n\
             Entities: Ada, Bob\nAction Items: do act\nTags: t1, t2\nspoken"
        );
    }

    #[test]
    fn parts_that_are_missing_null_or_blank_have_no_line() {
        let text = of_content(
            r#"{"title":"","summary":null,"topics":[],"tags":["",null," "],"key_points":"",
                "entities":[{"name":""}],"transcript":" ","action_items":["go"]}"#,
        );
        assert_eq!(text, "Entities: {\"name\":\"\"}\nAction Items: go");
    }

    #[test]
    fn a_record_that_says_nothing_has_no_text() {
        assert_eq!(of_content("{}"), "");
        assert_eq!(of_metadata(&record_with([])), "");
    }

    #[test]
    fn without_content_the_metadata_is_used() {
        let record = record_with([
            ("title", string("Name")),
            ("topics", string("[\"x\", \"y\"]")),
            ("tags", string("a, b")),
            ("key_points", string("[{\"point\": \"One.\"}]")),
            ("transcript", string("spoken")),
        ]);
        let text = "Title: Name\nTopics: x, y\nKey Points: One.\nTags: a, b\nspoken";
        assert_eq!(of_metadata(&record), text);
    }

    #[test]
    fn the_transcript_is_cut_after_1000_characters_not_bytes() {
        let text = of_content(&format!("{{\"transcript\":\"{}\"}}", "é".repeat(1500)));
        assert_eq!(text, "é".repeat(1000));
        let text = of_content(&format!("{{\"transcript\":\"{}\"}}", "é".repeat(1000)));
        assert_eq!(text, "é".repeat(1000));
    }

    #[test]
    fn a_transcript_in_segments_is_their_texts() {
        let text =
            of_content(r#"{"transcript":[{"text":"Hello","start":0},{"text":"world"},"!"]}"#);
        assert_eq!(text, "Hello world !");
    }

    #[test]
    fn a_point_without_the_key_stands_for_itself() {
        assert_eq!(
            of_content(r#"{"key_points":[{"x":1},2]}"#),
            "Key Points: {\"x\":1} 2"
        );
    }
}
