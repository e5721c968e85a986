//! The columns that rows fill, and the column types that values can be written to.

use crate::mapping::Word;

/// A type that a target's column may have, as far as its values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `text`, `varchar`, `char`, `citext`, an enum: written as text.
    Text,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `real`.
    Float4,
    /// `double precision`.
    Float8,
    /// `numeric`.
    Numeric,
    /// `boolean`.
    Bool,
    /// `uuid`.
    Uuid,
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `timestamp without time zone`, filled with UTC.
    Timestamp,
    /// `timestamp with time zone`.
    TimestampTz,
    /// `date`, filled with the UTC day.
    Date,
    /// An array, as `text[]`, `varchar[]` or, in the ledger, `integer[]`; the element type's OID goes into the value.
    Array {
        /// OID of the element type.
        element: u32,
    },
    /// `oid` or `regclass`: in the ledger.
    Oid,
    /// pgvector's `vector`.
    Vector,
    /// pgvector's `halfvec`.
    HalfVec,
}

/// What sort of value a column takes; decides which [`ColumnType`]s fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An id: text, an integer or a uuid.
    Key,
    /// Plain text.
    Text,
    /// A JSON array: JSON, its text, or an array of text.
    List,
    /// A JSON object: JSON or its text.
    Object,
    /// A yes or no.
    Bool,
    /// A number of bytes.
    Count,
    /// A moment.
    Time,
    /// A uuid.
    Uuid,
    /// A metadata value: whatever type it is of.
    Value,
    /// An embedding.
    Embedding,
}

impl Kind {
    /// Whether a column of type `column` can take values of this kind.
    pub fn fits(self, column: ColumnType) -> bool {
        use ColumnType as C;
        match self {
            Kind::Key => matches!(column, C::Text | C::Int2 | C::Int4 | C::Int8 | C::Uuid),
            Kind::Text => column == C::Text,
            Kind::List => matches!(column, C::Json | C::Jsonb | C::Text | C::Array { .. }),
            Kind::Object => matches!(column, C::Json | C::Jsonb | C::Text),
            Kind::Bool => column == C::Bool,
            Kind::Count => matches!(column, C::Int2 | C::Int4 | C::Int8 | C::Float8),
            Kind::Time => matches!(column, C::Timestamp | C::TimestampTz | C::Date),
            Kind::Uuid => matches!(column, C::Uuid | C::Text),
            Kind::Value => !matches!(column, C::Oid | C::Vector | C::HalfVec),
            Kind::Embedding => matches!(column, C::Vector | C::HalfVec),
        }
    }

    /// The type that a table of our own has for values of this kind.
    pub fn usual(self) -> ColumnType {
        match self {
            Kind::Key | Kind::Text | Kind::Value => ColumnType::Text,
            Kind::List | Kind::Object => ColumnType::Jsonb,
            Kind::Bool => ColumnType::Bool,
            Kind::Count => ColumnType::Int8,
            Kind::Time => ColumnType::TimestampTz,
            Kind::Uuid => ColumnType::Uuid,
            Kind::Embedding => ColumnType::Vector,
        }
    }

    /// The types that fit, for an error message.
    pub fn wanted(self) -> &'static str {
        match self {
            Kind::Key => "text, an integer type or uuid",
            Kind::Text => "text or varchar",
            Kind::List => "jsonb, json, text[] or text",
            Kind::Object => "jsonb, json or text",
            Kind::Bool => "boolean",
            Kind::Count => "bigint, integer or double precision",
            Kind::Time => "timestamptz, timestamp or date",
            Kind::Uuid => "uuid or text",
            Kind::Value => {
                "text, an integer type, numeric, double precision, boolean, uuid, jsonb, timestamptz, date or text[]"
            }
            Kind::Embedding => "vector or halfvec",
        }
    }
}

/// A column of a target that rows fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the catalog has it.
    pub name: String,
    /// What goes into it.
    pub word: Word,
    /// Its type.
    pub ty: ColumnType,
}

impl Column {
    /// Whether it takes the vector, which comes last in a tuple.
    pub fn is_vector(&self) -> bool {
        matches!(self.word, Word::Vector { .. })
    }
}
