//! The entities that a content names.
//!
//! Promise: one row for each item of `full_content.entities` that has a name, in order. May import nothing
//! outside this stage.

use serde_json::Value as Json;

use super::EntityRow;
use super::fields::{Object, is_blank, json_text};

/// The entity rows of a content. `entities` is an array, or a string that holds one as JSON; anything else,
/// and an item without a name, gives no row.
pub(super) fn entities(content: &Object) -> Vec<EntityRow> {
    match content.get("entities") {
        Some(Json::Array(items)) => items.iter().filter_map(entity).collect(),
        Some(Json::String(text)) => {
            let items: Vec<Json> = serde_json::from_str(text).unwrap_or_default();
            items.iter().filter_map(entity).collect()
        }
        _ => Vec::new(),
    }
}

fn entity(item: &Json) -> Option<EntityRow> {
    let (name, kind, description) = match item {
        Json::Object(object) => (
            said(object, &["name", "entity_name"])?,
            said(object, &["type", "entity_type"]),
            said(object, &["description"]),
        ),
        Json::Null | Json::Array(_) => return None,
        scalar => (scalar_name(scalar)?, None, None),
    };
    let mut text = name.clone();
    for part in [&kind, &description].into_iter().flatten() {
        text.push(' ');
        text.push_str(part);
    }
    Some(EntityRow { name, kind, text })
}

fn scalar_name(scalar: &Json) -> Option<String> {
    json_text(scalar)
        .filter(|text| !is_blank(text))
        .map(|text| text.into_owned())
}

/// The first of `keys` with a text that is not blank.
fn said(object: &Object, keys: &[&str]) -> Option<String> {
    keys.iter()
        .find_map(|key| object.get(*key).and_then(scalar_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(entities_json: &str) -> Vec<(String, Option<String>, String)> {
        let content = format!("{{\"entities\":{entities_json}}}");
        let content: Object = serde_json::from_str(&content).unwrap();
        entities(&content)
            .into_iter()
            .map(|row| (row.name, row.kind, row.text))
            .collect()
    }

    fn row(name: &str, kind: Option<&str>, text: &str) -> (String, Option<String>, String) {
        (name.to_string(), kind.map(str::to_string), text.to_string())
    }

    #[test]
    fn an_entity_is_its_name_type_and_description_in_the_order_given() {
        let json =
            r#"[{"name":"Ada","type":"person","description":"wrote programs"},{"name":"Bob"}]"#;
        let expected = [
            row("Ada", Some("person"), "Ada person wrote programs"),
            row("Bob", None, "Bob"),
        ];
        assert_eq!(rows(json), expected);
    }

    #[test]
    fn the_tables_own_column_names_are_read_too() {
        let json = r#"[{"entity_name":"Ada","entity_type":"person"}]"#;
        assert_eq!(rows(json), [row("Ada", Some("person"), "Ada person")]);
    }

    #[test]
    fn a_bare_string_or_number_is_the_name() {
        assert_eq!(
            rows(r#"["Ada",42]"#),
            [row("Ada", None, "Ada"), row("42", None, "42")]
        );
    }

    #[test]
    fn items_without_a_usable_name_are_skipped() {
        assert_eq!(
            rows(r#"[{"name":" "},{"type":"x"},{"name":null},null,"",[],{},["a"]]"#),
            []
        );
    }

    #[test]
    fn a_missing_part_leaves_no_gap_in_the_text() {
        let json = r#"[{"name":"Ada","type":null,"description":"pioneer"}]"#;
        assert_eq!(rows(json), [row("Ada", None, "Ada pioneer")]);
    }

    #[test]
    fn the_same_entity_twice_is_two_rows() {
        assert_eq!(rows(r#"["Ada","Ada"]"#).len(), 2);
    }

    #[test]
    fn an_array_inside_a_json_string_is_taken() {
        assert_eq!(rows(r#""[{\"name\":\"Ada\"}]""#), [row("Ada", None, "Ada")]);
    }

    #[test]
    fn anything_else_under_entities_gives_no_row() {
        for json in [
            "null",
            "1",
            "\"Ada\"",
            "{\"name\":\"Ada\"}",
            "[]",
            "\"\"",
            "\"{}\"",
        ] {
            assert_eq!(rows(json), [], "{json}");
        }
        assert_eq!(entities(&Object::new()), []);
    }
}
