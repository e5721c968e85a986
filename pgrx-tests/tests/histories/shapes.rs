//! The tables of a history: made by the extension, or by an application in shapes whose keys differ.

/// A table's shape.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    /// The content row's key has the collection, the user.
    pub by_collection: bool,
    pub by_user: bool,
    /// The content table has the column chroma_collection.
    pub collection_column: bool,
    /// The application makes the tables; else the first run does.
    pub own: bool,
    /// `id` is preceded by these in the primary key; `None`: there is no unique key at all.
    key: Option<&'static str>,
    /// Entity rows go with their content row by a foreign key.
    pub entities_refer: bool,
    /// The columns of the entity table that its rows share with the content row's key, besides content_id.
    entity_columns: &'static str,
}

pub const SHAPES: &[Shape] = &[
    Shape {
        name: "made",
        by_collection: true,
        by_user: false,
        collection_column: true,
        own: false,
        key: Some("chroma_collection, "),
        entities_refer: true,
        entity_columns: "chroma_collection",
    },
    Shape {
        name: "id",
        by_collection: false,
        by_user: false,
        collection_column: false,
        own: true,
        key: Some(""),
        entities_refer: true,
        entity_columns: "",
    },
    Shape {
        name: "user and id",
        by_collection: false,
        by_user: true,
        collection_column: false,
        own: true,
        key: Some("user_id, "),
        entities_refer: false,
        entity_columns: "user_id",
    },
    Shape {
        name: "id beside a collection",
        by_collection: false,
        by_user: false,
        collection_column: true,
        own: true,
        key: Some(""),
        entities_refer: true,
        entity_columns: "",
    },
    Shape {
        name: "collection, user and id",
        by_collection: true,
        by_user: true,
        collection_column: true,
        own: true,
        key: Some("chroma_collection, user_id, "),
        entities_refer: true,
        entity_columns: "chroma_collection, user_id",
    },
    Shape {
        name: "no unique key",
        by_collection: true,
        by_user: false,
        collection_column: true,
        own: true,
        key: None,
        entities_refer: false,
        entity_columns: "chroma_collection",
    },
];

impl Shape {
    /// The columns of the content row's key.
    pub fn key_columns(&self) -> Vec<&'static str> {
        let mut columns = Vec::new();
        if self.by_collection {
            columns.push("chroma_collection");
        }
        if self.by_user {
            columns.push("user_id");
        }
        columns.push("id");
        columns
    }

    /// Other tables can refer to it.
    pub fn can_be_referred_to(&self) -> bool {
        self.key.is_some()
    }

    /// Makes the tables of an application.
    pub fn create(&self, content: &str, entity: &str) -> String {
        let collection = if self.collection_column {
            "chroma_collection text NOT NULL DEFAULT 'own',"
        } else {
            ""
        };
        let key = match self.key {
            Some(columns) => format!(", PRIMARY KEY ({columns}id)"),
            None => String::new(),
        };
        let user = if self.by_user { "NOT NULL" } else { "" };
        let reference = match self.entities_refer {
            true if self.entity_columns.is_empty() => {
                format!(", FOREIGN KEY (content_id) REFERENCES {content} (id) ON DELETE CASCADE")
            }
            true => format!(
                ", FOREIGN KEY ({columns}, content_id) REFERENCES {content} ({columns}, id) ON DELETE CASCADE",
                columns = self.entity_columns
            ),
            false => String::new(),
        };
        format!(
            "CREATE TABLE {content} (id text, user_id bigint {user}, {collection} title text NOT NULL,
                 full_content jsonb NOT NULL, searchable_text text NOT NULL, embedding vector(8), summary text,
                 metadata jsonb, odd numeric DEFAULT 1.10{key});
             CREATE TABLE {entity} (id serial PRIMARY KEY, content_id text NOT NULL, chroma_collection text,
                 user_id bigint, entity_name text NOT NULL, entity_type text, embedding vector(8){reference});"
        )
    }
}
