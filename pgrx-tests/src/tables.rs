//! Tables that an application might have made before it meets the extension.

/// What SQLAlchemy makes for a content library: users 1 to 3, `user_id integer` with a foreign key, `topics json`,
/// `created_at timestamp`, `title varchar(255)`, no metadata column; content vectors of `dimensions`, entity vectors of 384.
pub fn sqlalchemy(dimensions: u32) -> String {
    format!(
        "CREATE TABLE users (id serial PRIMARY KEY, email varchar(255) NOT NULL UNIQUE);
         INSERT INTO users (email) VALUES ('ada@example.org'), ('ben@example.org'), ('cem@example.org');
         CREATE TABLE content_vectors (
             id varchar NOT NULL,
             user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
             title varchar(255) NOT NULL,
             content_type varchar(50) DEFAULT 'other',
             mode varchar(50) DEFAULT 'general',
             summary text,
             topics json,
             tags json,
             collections json,
             source_url varchar(2048),
             has_transcript boolean DEFAULT false,
             full_content json NOT NULL,
             file_size_bytes integer,
             searchable_text text NOT NULL,
             embedding vector({dimensions}) NOT NULL,
             created_at timestamp without time zone DEFAULT now(),
             updated_at timestamp without time zone DEFAULT now(),
             PRIMARY KEY (id)
         );
         CREATE TABLE entity_vectors (
             id serial PRIMARY KEY,
             user_id integer REFERENCES users (id) ON DELETE CASCADE,
             content_id varchar NOT NULL REFERENCES content_vectors (id) ON DELETE CASCADE,
             entity_name varchar(255) NOT NULL,
             entity_type varchar(50),
             embedding vector(384),
             created_at timestamp without time zone DEFAULT now()
         );"
    )
}

/// The least that a content table needs; `columns` are more column definitions, each with a comma before it.
pub fn minimal(dimensions: u32, columns: &str) -> String {
    minimal_of(
        "text PRIMARY KEY",
        "bigint",
        &format!("vector({dimensions})"),
        columns,
    )
}

/// As [`minimal`], with the types of `id`, `user_id` and `embedding`.
pub fn minimal_of(id: &str, user_id: &str, embedding: &str, columns: &str) -> String {
    format!(
        "CREATE TABLE content_vectors (
             id {id}, user_id {user_id}, title text NOT NULL, full_content jsonb NOT NULL,
             searchable_text text NOT NULL, embedding {embedding}{columns}
         );"
    )
}
