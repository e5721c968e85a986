//! The words for one table: a preset's, a caller's, or a preset's with some of the caller's.

use super::detect::Sight;
use super::preset::{Entities, Preset};
use super::word::{WORDS, Word};
use crate::encode::{Column, ColumnType, Kind};

/// The words for a table, before its columns are known.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The preset; `None`: the caller describes the table.
    pub preset: Option<&'static Preset>,
    words: Vec<(String, Word)>,
    /// The word of columns without one.
    others: Option<Word>,
    /// Columns that a table must have.
    required: Vec<String>,
}

/// The columns of a table that rows fill, with their words, in the table's order.
pub type Table = Vec<(String, Word)>;

/// Why a layout does not fit a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The table has no such column.
    Missing(String),
    /// No column takes the vector.
    NoVector,
    /// More than one column would.
    Vectors(String, String),
}

/// The name that stands for all columns without a word.
const OTHERS: &str = "*";

/// Reads the argument `columns`: a JSON object of words, or of null for the column's default.
///
/// # Errors
/// A sentence that says what is wrong, and what words there are.
pub fn parse(json: &str) -> Result<Vec<(String, Word)>, String> {
    let wrong = |why: String| format!("{why}. Words: {WORDS}");
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)
        .map_err(|_| wrong("it has to be an object of columns and their words".to_owned()))?;
    let mut words = Vec::with_capacity(object.len());
    for (column, value) in object {
        let word = match &value {
            serde_json::Value::Null => Word::Default,
            serde_json::Value::String(text) => Word::parse(text).map_err(wrong)?,
            other => return Err(wrong(format!("{other}, for column {column:?}, is no word"))),
        };
        if column == OTHERS && !matches!(word, Word::Key(None) | Word::Default) {
            return Err(wrong(format!(
                "{OTHERS:?} stands for the columns that are not named, and takes \"key\" only"
            )));
        }
        words.push((column, word));
    }
    Ok(words)
}

impl Layout {
    /// A preset's.
    pub fn of_preset(preset: &'static Preset) -> Layout {
        let required = preset.required().0.iter();
        Layout {
            preset: Some(preset),
            required: required
                .filter(|(name, _)| preset.columns.0.iter().any(|(it, _)| it == name))
                .map(|(name, _)| name.clone())
                .collect(),
            ..Layout::of_words(&preset.columns.0)
        }
    }

    /// That of an entity table.
    pub fn of_entities(entities: &Entities) -> Layout {
        let required = entities.signature.0.iter();
        Layout {
            required: required.map(|(name, _)| name.clone()).collect(),
            ..Layout::of_words(&entities.columns.0)
        }
    }

    fn of_words(words: &[(String, Word)]) -> Layout {
        let (others, words): (Vec<_>, Vec<_>) =
            words.iter().cloned().partition(|(name, _)| name == OTHERS);
        Layout {
            preset: None,
            words,
            others: others.into_iter().next().map(|(_, word)| word),
            required: Vec::new(),
        }
    }

    /// A table that the caller describes alone.
    pub fn of_caller(words: &[(String, Word)]) -> Layout {
        let required = words.iter().filter(|(name, _)| name != OTHERS);
        Layout {
            required: required.map(|(name, _)| name.clone()).collect(),
            ..Layout::of_words(words)
        }
    }

    /// The same with the caller's words for some columns. What another column takes by the caller's word, the preset's
    /// column for it need not be there for.
    pub fn with(self, callers: &[(String, Word)]) -> Layout {
        let Layout {
            preset,
            words,
            others,
            required,
        } = self;
        let named = |name: &String| callers.iter().any(|(it, _)| it == name);
        let taken = |name: &String| {
            let word = words
                .iter()
                .find(|(it, _)| it == name)
                .map(|(_, word)| word);
            callers
                .iter()
                .any(|(_, it)| word.is_some_and(|word| word.is_like(it)))
        };
        let kept = required.into_iter().filter(|it| !named(it) && !taken(it));
        let theirs = Layout::of_caller(callers);
        let required = kept.chain(theirs.required).collect();
        let words = words.into_iter().filter(|(name, _)| !named(name));
        Layout {
            preset,
            words: words.chain(theirs.words).collect(),
            others: theirs.others.or(others),
            required,
        }
    }

    /// The same with the collection's uuid where a row of another table would be referred to.
    pub fn without_parents(self) -> Layout {
        let plain = |(name, word): (String, Word)| match word {
            Word::Parent(_) => (name, Word::CollectionUuid),
            word => (name, word),
        };
        Layout {
            words: self.words.into_iter().map(plain).collect(),
            ..self
        }
    }

    /// The columns of a table of our own that has all of them, the vector's last; owners are of type `owner`.
    pub fn made(&self, owner: ColumnType) -> Vec<Column> {
        let column = |(name, word): &(String, Word)| {
            let ty = match word {
                Word::Owner => owner,
                word => word.kind().map_or(ColumnType::Text, Kind::usual),
            };
            Column {
                name: name.clone(),
                word: word.clone(),
                ty,
            }
        };
        let mut columns: Vec<Column> = self.words.iter().map(column).collect();
        columns.sort_by_key(Column::is_vector);
        columns
    }

    /// Whether a column of this name has a word.
    pub fn has_column(&self, name: &str) -> bool {
        self.words.iter().any(|(it, _)| it == name)
    }

    /// Whether records have owners in it.
    pub fn has_owner(&self) -> bool {
        self.words.iter().any(|(_, word)| *word == Word::Owner)
    }

    /// Whether a word of these is in it.
    pub fn has(&self, which: impl Fn(&Word) -> bool) -> bool {
        self.words.iter().any(|(_, word)| which(word))
    }

    /// The words of a table with these columns.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn resolve(&self, columns: &[Sight]) -> Result<Table, Misfit> {
        let there = |name: &str| columns.iter().any(|column| column.name == name);
        if let Some(missing) = self.required.iter().find(|name| !there(name)) {
            return Err(Misfit::Missing(missing.clone()));
        }
        let word = |column: &Sight| {
            let named = self.words.iter().find(|(name, _)| *name == column.name);
            let others = self.others.as_ref().filter(|_| column.takes_values);
            let word = named.map(|(_, word)| word).or(others)?;
            (*word != Word::Default).then(|| (column.name.clone(), word.clone()))
        };
        let table: Table = columns.iter().filter_map(word).collect();
        let mut vectors = table
            .iter()
            .filter(|(_, word)| matches!(word, Word::Vector { .. }));
        match (vectors.next(), vectors.next()) {
            (None, _) => return Err(Misfit::NoVector),
            (Some((one, _)), Some((other, _))) => {
                return Err(Misfit::Vectors(one.clone(), other.clone()));
            }
            (Some(_), None) => {}
        }
        let own: Vec<String> = table
            .iter()
            .filter_map(|(name, word)| word.metadata_key(name).map(str::to_owned))
            .collect();
        let beside = |(name, word): (String, Word)| match word {
            Word::Metadata(metadata) => (name, Word::Metadata(metadata.beside(&own))),
            word => (name, word),
        };
        Ok(table.into_iter().map(beside).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::preset::preset;
    use super::*;

    fn columns(names: &[&str]) -> Vec<Sight> {
        let sight = |name: &&str| Sight {
            name: (*name).to_owned(),
            ty: "text".to_owned(),
            takes_values: *name != "content_tsv",
        };
        names.iter().map(sight).collect()
    }

    fn words(table: &Table) -> Vec<String> {
        let shown = table.iter().map(|(name, word)| format!("{name}: {word}"));
        shown.collect()
    }

    fn layout(name: &str) -> Layout {
        Layout::of_preset(preset(name).unwrap())
    }

    #[test]
    fn columns_without_a_word_take_the_key_of_their_name_where_the_preset_says_so() {
        let v2 = layout("langchain_v2");
        let table = columns(&[
            "langchain_id",
            "content",
            "embedding",
            "user_id",
            "content_tsv",
            "langchain_metadata",
        ]);
        let table = v2.resolve(&table).unwrap();
        assert_eq!(
            words(&table),
            [
                "langchain_id: id",
                "content: document",
                "embedding: vector",
                "user_id: key",
                "langchain_metadata: metadata, rest"
            ]
        );
        let Word::Metadata(rest) = &table[4].1 else {
            panic!()
        };
        assert_eq!(rest.own, ["user_id"]);
    }

    #[test]
    fn a_callers_word_stands_for_the_presets_column() {
        let theirs = parse(r#"{"doc_id": "id", "langchain_metadata": null}"#).unwrap();
        let v2 = layout("langchain_v2").with(&theirs);
        let table = columns(&["doc_id", "content", "embedding", "langchain_metadata"]);
        assert_eq!(
            words(&v2.resolve(&table).unwrap()),
            ["doc_id: id", "content: document", "embedding: vector"]
        );
        let table = columns(&["content", "embedding"]);
        assert_eq!(v2.resolve(&table), Err(Misfit::Missing("doc_id".into())));
        let table = columns(&["content", "embedding", "doc_id"]);
        assert_eq!(
            layout("langchain_v2").resolve(&table),
            Err(Misfit::Missing("langchain_id".into()))
        );
    }

    #[test]
    fn a_table_that_the_caller_describes_has_one_column_for_the_vector() {
        let alone = |json| Layout::of_caller(&parse(json).unwrap());
        let table = columns(&["a", "b"]);
        assert_eq!(
            alone(r#"{"a": "id"}"#).resolve(&table),
            Err(Misfit::NoVector)
        );
        assert_eq!(
            alone(r#"{"a": "vector", "b": "vector padded"}"#).resolve(&table),
            Err(Misfit::Vectors("a".into(), "b".into()))
        );
        let one = alone(r#"{"b": "vector"}"#).resolve(&table).unwrap();
        assert_eq!(words(&one), ["b: vector"]);
    }

    #[test]
    fn what_is_no_object_of_words_is_told_with_the_words() {
        for json in [
            "[]",
            "1",
            r#"{"a": 1}"#,
            r#"{"a": "ids"}"#,
            r#"{"*": "id"}"#,
        ] {
            let message = parse(json).unwrap_err();
            assert!(message.contains("Words: id, document"), "{message}");
        }
    }

    #[test]
    fn the_content_librarys_optional_columns_may_be_missing() {
        let content = layout("content_library");
        let least = [
            "id",
            "user_id",
            "title",
            "full_content",
            "searchable_text",
            "embedding",
        ];
        assert_eq!(content.resolve(&columns(&least)).unwrap().len(), 6);
        for missing in 0..least.len() {
            let mut some = least.to_vec();
            let name = some.remove(missing).to_owned();
            assert_eq!(content.resolve(&columns(&some)), Err(Misfit::Missing(name)));
        }
    }
}
