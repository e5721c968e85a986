//! What a search shows of a table that need not be one of ours: which column is the id, which the query's zeros are for, and
//! the whole row where there is no `full_content`.

use pgrx::pg_sys;

use super::Attribute;
use crate::error::Error;
use crate::spi;

/// The column that a row of the table is known by, as Chroma's id is in it: `id`, unless it only numbers the rows and there is
/// another one that applications keep the id in; the only column of the primary key.
///
/// # Errors
/// The server's own.
pub fn id_column(table: pg_sys::Oid, columns: &[Attribute]) -> Result<Option<&Attribute>, Error> {
    let named = |name: &str| columns.iter().find(|column| column.name == name);
    let id = named("id");
    // LangChain (v2, legacy) and LlamaIndex.
    let others = ["langchain_id", "custom_id", "node_id"];
    let found = match id {
        Some(id) if !id.sequenced => Some(id),
        Some(id) => named("node_id").or(Some(id)),
        None => others.iter().find_map(|name| named(name)),
    };
    if found.is_some() {
        return Ok(found);
    }
    let key = spi::look_up_one(
        "SELECT i.indkey[0] FROM pg_catalog.pg_index i \
          WHERE i.indrelid OPERATOR(pg_catalog.=) $1 AND i.indisprimary \
            AND i.indnkeyatts OPERATOR(pg_catalog.=) 1",
        &[table.into()],
        |row| row.get::<i16>(1),
    )?;
    let key = key.flatten();
    Ok(columns.iter().find(|column| Some(column.number) == key))
}

/// Whether the table is Open WebUI's, which appends zeros to vectors that have fewer dimensions than its column.
pub fn pads(columns: &[Attribute]) -> bool {
    const OPEN_WEBUI: [&str; 5] = ["id", "vector", "collection_name", "text", "vmetadata"];
    let named = |name: &&str| columns.iter().any(|column| column.name == **name);
    columns.len() == OPEN_WEBUI.len() && OPEN_WEBUI.iter().all(named)
}

/// The names of the columns that make up the whole row, as the caller may see it, without the column `vectors`.
///
/// # Errors
/// The server's own.
pub fn of_row(
    table: pg_sys::Oid,
    columns: &[Attribute],
    vectors: &str,
) -> Result<Vec<String>, Error> {
    let readable = spi::look_up(
        "SELECT n FROM pg_catalog.unnest($2) AS n \
          WHERE pg_catalog.has_column_privilege($1, n, 'SELECT')",
        &[
            table.into(),
            columns
                .iter()
                .map(|column| column.number)
                .collect::<Vec<_>>()
                .into(),
        ],
        |row| row.get::<i16>(1),
    )?;
    let shown = columns
        .iter()
        .filter(|column| column.name != vectors && readable.contains(&Some(column.number)));
    Ok(shown.map(|column| column.name.clone()).collect())
}
