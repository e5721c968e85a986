//! What goes into one column, as one word.

use std::fmt;

use super::metadata::MetadataWord;
use crate::encode::Kind;

/// What goes into a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The record's id.
    Id,
    /// The owner that the record's metadata names.
    Owner,
    /// The record's document; without one NULL, or an empty text.
    Document {
        /// An empty text stands for no document.
        or_empty: bool,
        /// U+0000 is taken out.
        without_nul: bool,
    },
    /// The vector.
    Vector {
        /// Zeros are appended up to the column's dimensions.
        padded: bool,
    },
    /// The metadata as one JSON object.
    Metadata(MetadataWord),
    /// The value of one metadata key in the column's type; `None`: the key of the column's name.
    Key(Option<String>),
    /// The same value in every row.
    Const(String),
    /// The collection's name.
    Collection {
        /// As results show it: with tenant and database where they are not Chroma's defaults, and the store's `source_name`.
        qualified: bool,
    },
    /// The uuid that Chroma gave the collection.
    CollectionUuid,
    /// The collection's tenant.
    Tenant,
    /// The collection's database.
    Database,
    /// The collection's distance: `l2`, `cosine` or `ip`.
    Space,
    /// The record's URI.
    Uri,
    /// When Chroma got the record.
    CreatedAt,
    /// A random uuid.
    NewUuid,
    /// The key of a row in the table that the column refers to: the row of this name, or of the collection's (`None`).
    Parent(Option<String>),
    /// A number of the column's own sequence, which the run draws.
    Number,
    /// What the column's own default says.
    Default,
    /// A field of the content library's item.
    Item(ItemField),
    /// A field of an item's entity.
    Entity(EntityField),
}

macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal $kind:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // each variant is the field that it names
        pub enum $name { $($variant,)* }

        impl $name {
            const ALL: &'static [$name] = &[$($name::$variant,)*];

            fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            fn kind(self) -> Kind {
                match self { $($name::$variant => Kind::$kind,)* }
            }
        }
    };
}

fields! {
    /// The fields of an item of the content library.
    ItemField {
        Title "title" Text,
        ContentType "content_type" Text,
        Mode "mode" Text,
        Summary "summary" Text,
        Topics "topics" List,
        Tags "tags" List,
        Collections "collections" List,
        SourceUrl "source_url" Text,
        HasTranscript "has_transcript" Bool,
        FullContent "full_content" Object,
        FileSizeBytes "file_size_bytes" Count,
        SearchableText "searchable_text" Text,
        Metadata "metadata" Object,
        CreatedAt "created_at" Time,
        UpdatedAt "updated_at" Time,
    }
}

fields! {
    /// The fields of an entity of such an item.
    EntityField {
        Name "name" Text,
        Type "type" Text,
    }
}

/// What may stand in `columns`, for an error message.
pub const WORDS: &str = "id, document, document or empty, vector, vector padded, metadata, \"metadata, rest\", \
     \"metadata + key: word\", \"metadata, nest a.b: key\", key k, const x, collection, collection_uuid, tenant, database, space, uri, \
     created_at, new uuid, parent, owner, default; \", without U+0000\" may follow document and metadata";

/// The end of a word that takes U+0000 out.
pub(super) const WITHOUT_NUL: &str = ", without U+0000";

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Word, String> {
        let text = text.trim();
        // Names and values may have anything in them.
        if let Some(key) = text.strip_prefix("key ") {
            return Ok(Word::Key(Some(key.trim().to_owned())));
        }
        if let Some(value) = text.strip_prefix("const ") {
            return Ok(Word::Const(value.to_owned()));
        }
        if let Some(name) = text.strip_prefix("parent ") {
            return Ok(Word::Parent(Some(name.trim().to_owned())));
        }
        let (word, without_nul) = match text.strip_suffix(WITHOUT_NUL) {
            Some(word) => (word.trim(), true),
            None => (text, false),
        };
        if word == "metadata" || word.starts_with("metadata,") || word.starts_with("metadata +") {
            return MetadataWord::parse(word, without_nul).map(Word::Metadata);
        }
        let document = |or_empty| Word::Document {
            or_empty,
            without_nul,
        };
        let known = match word {
            "document" => return Ok(document(false)),
            "document or empty" => return Ok(document(true)),
            "id" => Word::Id,
            "owner" => Word::Owner,
            "vector" => Word::Vector { padded: false },
            "vector padded" => Word::Vector { padded: true },
            "key" => Word::Key(None),
            "collection" => Word::Collection { qualified: false },
            "collection, qualified" => Word::Collection { qualified: true },
            "collection_uuid" => Word::CollectionUuid,
            "tenant" => Word::Tenant,
            "database" => Word::Database,
            "space" => Word::Space,
            "uri" => Word::Uri,
            "created_at" => Word::CreatedAt,
            "new uuid" => Word::NewUuid,
            "parent" => Word::Parent(None),
            "default" => Word::Default,
            other => Word::field(other).ok_or_else(|| format!("{text:?} is no word"))?,
        };
        match without_nul {
            false => Ok(known),
            true => Err(format!(
                "\"{}\" can follow document and metadata only",
                WITHOUT_NUL.trim_start_matches(", ")
            )),
        }
    }

    fn field(word: &str) -> Option<Word> {
        if let Some(name) = word.strip_prefix("item ") {
            let field = ItemField::ALL.iter().find(|field| field.word() == name);
            return field.map(|field| Word::Item(*field));
        }
        let name = word.strip_prefix("entity ")?;
        let field = EntityField::ALL.iter().find(|field| field.word() == name);
        field.map(|field| Word::Entity(*field))
    }

    /// What sort of value it is, which decides the types that a column for it can have; `None`: the column's own default.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Word::Id | Word::Owner | Word::Parent(_) => Kind::Key,
            Word::Document { .. }
            | Word::Collection { .. }
            | Word::Tenant
            | Word::Database
            | Word::Space
            | Word::Uri => Kind::Text,
            Word::Vector { .. } => Kind::Embedding,
            Word::Metadata(_) => Kind::Object,
            Word::Key(_) | Word::Const(_) => Kind::Value,
            Word::CollectionUuid | Word::NewUuid => Kind::Uuid,
            Word::CreatedAt => Kind::Time,
            Word::Number => Kind::Count,
            Word::Default => return None,
            Word::Item(field) => field.kind(),
            Word::Entity(field) => field.kind(),
        })
    }

    /// Whether all rows of a collection have the same, and those of different collections may not.
    pub fn is_of_collection(&self) -> bool {
        matches!(
            self,
            Word::Collection { .. } | Word::CollectionUuid | Word::Parent(None)
        )
    }

    /// Whether both stand for the same part of a record, in one form or another.
    pub fn is_like(&self, other: &Word) -> bool {
        match (self, other) {
            (Word::Key(one), Word::Key(other)) => one == other,
            (Word::Item(one), Word::Item(other)) => one == other,
            (Word::Entity(one), Word::Entity(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The column's key, of a word for one metadata key.
    pub fn metadata_key<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        match self {
            Word::Key(key) => Some(key.as_deref().unwrap_or(column)),
            _ => None,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self {
            Word::Id => "id",
            Word::Owner => "owner",
            Word::Document {
                or_empty,
                without_nul,
            } => {
                f.write_str(if *or_empty {
                    "document or empty"
                } else {
                    "document"
                })?;
                if *without_nul { WITHOUT_NUL } else { "" }
            }
            Word::Vector { padded: false } => "vector",
            Word::Vector { padded: true } => "vector padded",
            Word::Metadata(metadata) => return metadata.fmt(f),
            Word::Key(None) => "key",
            Word::Key(Some(key)) => return write!(f, "key {key}"),
            Word::Const(value) => return write!(f, "const {value}"),
            Word::Collection { qualified: false } => "collection",
            Word::Collection { qualified: true } => "collection, qualified",
            Word::CollectionUuid => "collection_uuid",
            Word::Tenant => "tenant",
            Word::Database => "database",
            Word::Space => "space",
            Word::Uri => "uri",
            Word::CreatedAt => "created_at",
            Word::NewUuid => "new uuid",
            Word::Parent(None) => "parent",
            Word::Parent(Some(name)) => return write!(f, "parent {name}"),
            Word::Number | Word::Default => "default",
            Word::Item(field) => return write!(f, "item {}", field.word()),
            Word::Entity(field) => return write!(f, "entity {}", field.word()),
        };
        f.write_str(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_as_it_is_written() {
        for text in [
            "id",
            "owner",
            "document",
            "document or empty",
            "document, without U+0000",
            "document or empty, without U+0000",
            "vector",
            "vector padded",
            "metadata",
            "metadata, rest",
            "metadata, without U+0000",
            "metadata + id: id",
            "metadata, nest loc.lines.from: locFrom, nest loc.lines.to: locTo",
            "key",
            "key user id, or: so",
            "const  two spaces",
            "collection",
            "collection, qualified",
            "collection_uuid",
            "tenant",
            "database",
            "space",
            "uri",
            "created_at",
            "new uuid",
            "parent",
            "parent manuals",
            "default",
            "item full_content",
            "entity name",
        ] {
            assert_eq!(Word::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_word_is_told() {
        for text in [
            "",
            "ids",
            "item",
            "item x",
            "entity id",
            "metadatas",
            "vector  padded",
        ] {
            let message = Word::parse(text).unwrap_err();
            assert_eq!(message, format!("{text:?} is no word"));
        }
        assert!(Word::parse("uri, without U+0000").is_err());
    }
}
