//! The words for a whole metadata object: with keys less, more, or in other places.

use std::fmt;

use super::word::WITHOUT_NUL;

/// What a key that is added has for its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The record's id.
    Id,
    /// The record's document.
    Document,
    /// The record's URI.
    Uri,
    /// The collection's name.
    Collection,
}

impl Added {
    const ALL: [(&'static str, Added); 4] = [
        ("id", Added::Id),
        ("document", Added::Document),
        ("uri", Added::Uri),
        ("collection", Added::Collection),
    ];

    fn word(self) -> &'static str {
        let found = Added::ALL.iter().find(|(_, it)| *it == self);
        found.map_or("", |(word, _)| word)
    }
}

/// A key that is moved into objects within the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nest {
    /// The objects' keys, and the one that the value gets: two at least.
    pub path: Vec<String>,
    /// The key that it has in Chroma.
    pub key: String,
}

/// The metadata as one JSON object; `{}` where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataWord {
    /// Without the keys that have columns of their own.
    pub rest: bool,
    /// Keys that are added, or overwritten.
    pub added: Vec<(String, Added)>,
    /// Keys that are moved, where a record has them.
    pub nested: Vec<Nest>,
    /// U+0000 is taken out.
    pub without_nul: bool,
    /// The keys that have columns of their own, once the table's columns are known.
    pub own: Vec<String>,
}

impl MetadataWord {
    /// Reads what begins with `metadata`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str, without_nul: bool) -> Result<MetadataWord, String> {
        let mut word = MetadataWord {
            without_nul,
            ..MetadataWord::default()
        };
        let mut rest = text.strip_prefix("metadata").unwrap_or_default().trim();
        while !rest.is_empty() {
            let adds = rest.starts_with('+');
            let after = rest.get(1..).unwrap_or_default();
            let end = after.find([',', '+']).unwrap_or(after.len());
            let (part, next) = after.split_at(end);
            let part = part.trim();
            let (what, key) = part
                .split_once(':')
                .map_or((part, ""), |(what, key)| (what.trim(), key.trim()));
            match (adds, what.strip_prefix("nest ")) {
                (true, _) => {
                    let known = Added::ALL.iter().find(|(word, _)| *word == key);
                    let (_, added) = known.ok_or_else(|| {
                        format!("{part:?} in {text:?} has to be a key and one of id, document, uri, collection: \"key: id\"")
                    })?;
                    word.added.push((what.to_owned(), *added));
                }
                (false, Some(path)) => word.nested.push(nest(path, key).ok_or_else(|| {
                    format!("{part:?} in {text:?} has to be a path and a key: \"nest a.b: key\"")
                })?),
                (false, None) if part == "rest" => word.rest = true,
                (false, None) => {
                    return Err(format!(
                        "{part:?} in {text:?} is none of rest, nest a.b: key, without U+0000"
                    ));
                }
            }
            rest = next.trim();
        }
        Ok(word)
    }

    /// The same, where these keys have columns of their own.
    pub fn beside(self, own: &[String]) -> MetadataWord {
        let own = match self.rest {
            true => own.to_vec(),
            false => Vec::new(),
        };
        MetadataWord { own, ..self }
    }

    /// Whether the object has the metadata's keys as they are.
    pub fn is_plain(&self) -> bool {
        self.own.is_empty() && self.added.is_empty() && self.nested.is_empty()
    }
}

fn nest(path: &str, key: &str) -> Option<Nest> {
    let path: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
    let whole = path.len() > 1 && path.iter().all(|step| !step.is_empty()) && !key.is_empty();
    whole.then(|| Nest {
        path,
        key: key.to_owned(),
    })
}

impl fmt::Display for MetadataWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")?;
        if self.rest {
            f.write_str(", rest")?;
        }
        for nest in &self.nested {
            write!(f, ", nest {}: {}", nest.path.join("."), nest.key)?;
        }
        for (key, added) in &self.added {
            write!(f, " + {key}: {}", added.word())?;
        }
        match self.without_nul {
            true => f.write_str(WITHOUT_NUL),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_any_number() {
        let word =
            MetadataWord::parse("metadata, rest + text: document + from: uri", true).unwrap();
        assert!(word.rest && word.without_nul);
        let added = [
            ("text".to_owned(), Added::Document),
            ("from".to_owned(), Added::Uri),
        ];
        assert_eq!(word.added, added);
        let word = word.beside(&["a".to_owned()]);
        assert_eq!(word.own, ["a"]);
        let whole = MetadataWord::parse("metadata", false).unwrap();
        assert!(whole.beside(&["a".to_owned()]).is_plain());
    }

    #[test]
    fn a_part_that_says_nothing_is_refused() {
        for text in [
            "metadata, rests",
            "metadata, nest a: b",
            "metadata, nest a.b",
            "metadata, nest a..b: c",
            "metadata + x",
            "metadata + x: y",
            "metadata +",
            "metadata,",
        ] {
            assert!(MetadataWord::parse(text, false).is_err(), "{text}");
        }
    }
}
