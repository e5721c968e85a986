//! U+0000 in records: Chroma keeps it, PostgreSQL's texts have no place for it.
//!
//! Promise: a record without one is looked at once and not copied; of a record with some nothing but these characters is
//! changed, and no metadata key is lost. May import `record` only.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::record::{Metadata, Record, Value};

/// U+0000 as JSON escapes it.
const ESCAPE: &str = "\\u0000";

/// What is done about U+0000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NulCharacters {
    /// Nothing: a record that has one where PostgreSQL has no place for it is not migrated.
    #[default]
    Error,
    /// It is taken out.
    Remove,
    /// U+FFFD, the replacement character, takes its place.
    Replace,
}

impl NulCharacters {
    /// Whether texts are changed.
    pub fn changes(self) -> bool {
        self != NulCharacters::Error
    }

    /// The text as it is to be.
    pub fn text(self, text: &str) -> Cow<'_, str> {
        let instead = match self {
            NulCharacters::Error => return Cow::Borrowed(text),
            NulCharacters::Remove => "",
            NulCharacters::Replace => "\u{FFFD}",
        };
        match text.contains('\0') {
            true => Cow::Owned(text.replace('\0', instead)),
            false => Cow::Borrowed(text),
        }
    }

    /// JSON whose strings and keys are as they are to be; of two keys of an object that become one `jsonb` keeps the
    /// later, as of all that are there twice. For valid JSON, where a backslash begins an escape or follows one.
    pub fn json(self, json: &str) -> Cow<'_, str> {
        let instead = match self {
            NulCharacters::Error => return Cow::Borrowed(json),
            NulCharacters::Remove => "",
            NulCharacters::Replace => "\\ufffd",
        };
        if !json.contains(ESCAPE) {
            return Cow::Borrowed(json);
        }
        let mut out = String::with_capacity(json.len());
        let mut rest = json;
        let mut changed = false;
        while let Some((before, escape)) = rest.find('\\').map(|at| rest.split_at(at)) {
            out.push_str(before);
            if let Some(behind) = escape.strip_prefix(ESCAPE) {
                out.push_str(instead);
                (rest, changed) = (behind, true);
            } else {
                // The backslash and what it escapes, which may be another one.
                let mut after = escape.chars();
                out.extend(after.by_ref().take(2));
                rest = after.as_str();
            }
        }
        if !changed {
            return Cow::Borrowed(json);
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Changes every text of the record: id, document, uri, metadata keys and values. Whether there was one to change.
    pub fn clean(self, record: &mut Record) -> bool {
        if !self.changes() || !holds_nul(record) {
            return false;
        }
        let texts = [
            Some(&mut record.id),
            record.document.as_mut(),
            record.uri.as_mut(),
        ];
        for text in texts.into_iter().flatten() {
            if let Cow::Owned(changed) = self.text(text) {
                *text = changed;
            }
        }
        record.metadata = self.metadata(&record.metadata);
        true
    }

    /// The metadata with changed keys and values. A key without U+0000 keeps its name; a changed one that takes a name
    /// which is there already gets a number, in the order of the keys: `key (2)`, `key (3)`.
    fn metadata(self, metadata: &Metadata) -> Metadata {
        let whole = metadata.iter().filter(|(key, _)| !key.contains('\0'));
        let mut taken: HashSet<Arc<str>> = whole.map(|(key, _)| key.into()).collect();
        // For each name the number that was given last: a hostile record has many keys that become one.
        let mut numbers: HashMap<String, u64> = HashMap::new();
        let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(metadata.len());
        for (key, value) in metadata.iter() {
            let name: Arc<str> = match key.contains('\0') {
                false => key.into(),
                true => {
                    let wanted = self.text(key);
                    let number = numbers.entry(wanted.to_string()).or_default();
                    loop {
                        *number += 1;
                        let name: Arc<str> = match *number {
                            1 => (*wanted).into(),
                            number => format!("{wanted} ({number})").into(),
                        };
                        if taken.insert(name.clone()) {
                            break name;
                        }
                    }
                }
            };
            entries.push((name, self.value(value)));
        }
        // So that each is added at the end.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut changed = Metadata::default();
        changed.reserve(entries.len());
        for (key, value) in entries {
            changed.set(key, value);
        }
        changed
    }

    fn value(self, value: &Value) -> Value {
        match value {
            Value::Str(text) => Value::Str(self.text(text).into_owned()),
            Value::List(items) => Value::List(items.iter().map(|it| self.value(it)).collect()),
            other => other.clone(),
        }
    }
}

/// Whether a text of the record has U+0000.
pub fn holds_nul(record: &Record) -> bool {
    let texts = [
        Some(&record.id),
        record.document.as_ref(),
        record.uri.as_ref(),
    ];
    let mut metadata = record.metadata.iter();
    texts.into_iter().flatten().any(|text| text.contains('\0'))
        || metadata.any(|(key, value)| key.contains('\0') || value.holds_nul())
}

#[cfg(test)]
mod tests {
    use super::NulCharacters::{Error, Remove, Replace};
    use super::*;

    fn text(text: &str) -> Value {
        Value::Str(text.to_owned())
    }

    fn record(metadata: &[(&str, Value)]) -> Record {
        let mut all = Metadata::default();
        for (key, value) in metadata {
            all.set(*key, value.clone());
        }
        Record {
            id: "a\0b".to_owned(),
            document: Some("\0text".to_owned()),
            uri: Some("u\0\0".to_owned()),
            metadata: all,
            vector: None,
            missing: false,
            created_at: None,
            stale: false,
            sequence: None,
            damage: None,
        }
    }

    fn keys(how: NulCharacters, keys: &[&str]) -> Vec<(String, i64)> {
        let numbered: Vec<_> = (0..)
            .zip(keys)
            .map(|(n, key)| (*key, Value::Int(n)))
            .collect();
        let mut record = record(&numbered);
        how.clean(&mut record);
        let found = record.metadata.iter();
        found
            .map(|(key, value)| match value {
                Value::Int(n) => (key.to_owned(), *n),
                _ => panic!("not a number"),
            })
            .collect()
    }

    #[test]
    fn every_text_of_a_record_is_changed() {
        let metadata = [
            ("k\0", text("v\0")),
            ("list", Value::List(vec![text("\0"), text("x")])),
            ("n", Value::Int(7)),
        ];
        let mut removed = record(&metadata);
        assert!(Remove.clean(&mut removed));
        assert_eq!(removed.id, "ab");
        assert_eq!(removed.document.as_deref(), Some("text"));
        assert_eq!(removed.uri.as_deref(), Some("u"));
        let found: Vec<_> = removed.metadata.iter().collect();
        let list = Value::List(vec![text(""), text("x")]);
        assert_eq!(
            found,
            [("k", &text("v")), ("list", &list), ("n", &Value::Int(7))]
        );
        let mut replaced = record(&metadata);
        assert!(Replace.clean(&mut replaced));
        assert_eq!(replaced.id, "a\u{FFFD}b");
        assert_eq!(replaced.uri.as_deref(), Some("u\u{FFFD}\u{FFFD}"));
        assert_eq!(replaced.metadata.get("k\u{FFFD}"), Some(&text("v\u{FFFD}")));
        assert!(!holds_nul(&removed) && !holds_nul(&replaced));
    }

    #[test]
    fn a_record_without_any_and_one_that_is_to_be_refused_stay_as_they_are() {
        let whole = record(&[("k\0", text("v"))]);
        let mut same = whole.clone();
        assert!(!Error.clean(&mut same));
        assert_eq!(same, whole);
        Remove.clean(&mut same);
        let clean = same.clone();
        assert!(!Replace.clean(&mut same));
        assert_eq!(same, clean);
        assert!(matches!(Remove.text("abc"), Cow::Borrowed("abc")));
        assert!(matches!(Error.text("a\0"), Cow::Borrowed("a\0")));
    }

    #[test]
    fn keys_that_become_one_get_a_number_and_a_whole_one_keeps_its_name() {
        let is = |all: &[(&str, i64)]| -> Vec<(String, i64)> {
            all.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect()
        };
        assert_eq!(
            keys(Remove, &["\0a", "a", "a\0", "a (3)"]),
            is(&[("a", 1), ("a (2)", 0), ("a (3)", 3), ("a (4)", 2)])
        );
        assert_eq!(keys(Remove, &["\0a", "a\0"]), is(&[("a", 0), ("a (2)", 1)]));
        assert_eq!(keys(Remove, &["\0", "\0\0"]), is(&[("", 0), (" (2)", 1)]));
        assert_eq!(
            keys(Replace, &["a\0", "a\u{FFFD}", "z"]),
            is(&[("a\u{FFFD}", 1), ("a\u{FFFD} (2)", 0), ("z", 2)])
        );
        assert_eq!(keys(Error, &["a\0", "a"]), is(&[("a", 1), ("a\0", 0)]));
    }

    #[test]
    fn an_escape_in_json_is_one_behind_an_even_number_of_backslashes() {
        let json = r#"{"a\u0000":["\u0000","\\u0000","\\\u0000é","\"\u0000\u0001"]}"#;
        assert_eq!(
            Remove.json(json),
            r#"{"a":["","\\u0000","\\é","\"\u0001"]}"#
        );
        assert_eq!(
            Replace.json(json),
            r#"{"a\ufffd":["\ufffd","\\u0000","\\\ufffdé","\"\ufffd\u0001"]}"#
        );
        assert!(matches!(Error.json(json), Cow::Borrowed(same) if same == json));
        assert!(matches!(Remove.json("[\"\\n\"]"), Cow::Borrowed(_)));
        assert!(matches!(Remove.json(r#"["\\u0000"]"#), Cow::Borrowed(_)));
        // Not JSON, and yet no reason to fail.
        assert_eq!(Remove.json("\\"), "\\");
        assert_eq!(Remove.json("\\u0000\\é\\"), "\\é\\");
    }
}
