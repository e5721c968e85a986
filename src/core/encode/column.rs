//! The columns that rows have by name, and the column types that they can be written to.

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
    /// `double precision`.
    Float8,
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
            Kind::Embedding => matches!(column, C::Vector | C::HalfVec),
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
            Kind::Embedding => "vector or halfvec",
        }
    }
}

/// The columns that a table of one sort can have.
pub trait TableColumn: Copy + PartialEq + 'static {
    /// Every column, the embedding last.
    const ALL: &'static [Self];
    /// The embedding.
    const EMBEDDING: Self;

    /// The column's name in SQL.
    fn name(self) -> &'static str;

    /// What sort of value it takes.
    fn kind(self) -> Kind;

    /// Whether a target without it is refused.
    fn required(self) -> bool;
}

macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $sql:literal $kind:ident $required:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // each variant is the column that it names
        pub enum $name { $($variant,)* }

        impl TableColumn for $name {
            const ALL: &'static [$name] = &[$($name::$variant,)*];
            const EMBEDDING: $name = $name::Embedding;

            fn name(self) -> &'static str {
                match self { $($name::$variant => $sql,)* }
            }

            fn kind(self) -> Kind {
                match self { $($name::$variant => Kind::$kind,)* }
            }

            fn required(self) -> bool {
                match self { $($name::$variant => $required,)* }
            }
        }
    };
}

columns! {
    /// The columns of a content table.
    ContentColumn {
        ChromaCollection "chroma_collection" Text false,
        Id "id" Key true,
        UserId "user_id" Key true,
        Title "title" Text true,
        ContentType "content_type" Text false,
        Mode "mode" Text false,
        Summary "summary" Text false,
        Topics "topics" List false,
        Tags "tags" List false,
        Collections "collections" List false,
        SourceUrl "source_url" Text false,
        HasTranscript "has_transcript" Bool false,
        FullContent "full_content" Object true,
        FileSizeBytes "file_size_bytes" Count false,
        SearchableText "searchable_text" Text true,
        Metadata "metadata" Object false,
        Uri "uri" Text false,
        CreatedAt "created_at" Time false,
        UpdatedAt "updated_at" Time false,
        Embedding "embedding" Embedding true,
    }
}

columns! {
    /// The columns of an entity table; its `id` is the table's own business.
    EntityColumn {
        ChromaCollection "chroma_collection" Text false,
        UserId "user_id" Key false,
        ContentId "content_id" Key true,
        Name "entity_name" Text true,
        Type "entity_type" Text false,
        CreatedAt "created_at" Time false,
        Embedding "embedding" Embedding true,
    }
}

/// A column of a target that rows fill: which one, and its real type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<C> {
    /// Which column it is.
    pub column: C,
    /// Its type in the target.
    pub ty: ColumnType,
}
