//! What a row of a table is in Chroma, as SQL over the row `t`.

use pgrx::pg_sys;
use vector_migrate_core::mapping::metadata::Added;
use vector_migrate_core::mapping::{MetadataWord, Word};
use vector_migrate_core::record::Space;

use super::words::{Words, is_document, metadata_of};
use crate::error::Error;
use crate::spi;
use crate::tables::{self, Attribute, Nearest, Pgvector, Reference, shown};

/// A table, and what its rows are in Chroma.
#[derive(Debug)]
pub struct Shape {
    /// The table.
    pub oid: pg_sys::Oid,
    /// Its name, qualified and quoted.
    pub table: String,
    /// Where pgvector is.
    pub pgvector: Pgvector,
    /// The column with the vectors.
    pub vectors: Attribute,
    /// Vectors have zeros behind them.
    pub padded: bool,
    /// The column with the record's id.
    pub id_column: Option<(String, pg_sys::Oid)>,
    /// The record's id, of type text.
    pub id: String,
    /// Its document; `None`: the table has none.
    pub document: Option<String>,
    /// Its metadata.
    pub metadata: Metadata,
    /// Its URI.
    pub uri: String,
    /// The column that tells which collection a row is of.
    pub collection: Option<Membership>,
    /// The columns that all of these need.
    pub needed: Vec<String>,
    /// The distance that a run wrote down.
    pub recorded: Option<Space>,
}

/// The metadata of a row.
#[derive(Debug)]
pub struct Metadata {
    /// The whole object, of type jsonb; NULL or an empty object where there is none.
    pub whole: String,
    /// The column that has it, as jsonb, perhaps with keys more, which are in `added`.
    pub column: Option<String>,
    /// Keys of the column that are not of the metadata.
    pub added: Vec<String>,
}

/// How a row tells its collection.
#[derive(Debug)]
pub enum Membership {
    /// The column has its name.
    Name(String),
    /// The column refers to the row of its name in another table.
    Parent {
        /// The column.
        column: String,
        /// The column's type.
        ty: String,
        /// The other table.
        table: String,
        /// Its column that is referred to.
        key: String,
    },
}

impl Shape {
    /// Looks at the table that `target` names.
    ///
    /// # Errors
    /// [`Error::NoTable`], and as [`tables::vector_column`]; the server's own.
    pub fn of(target: Option<&str>) -> Result<Shape, Error> {
        let (oid, table) = super::table(target)?;
        let pgvector = Pgvector::find()?;
        let columns = tables::attributes(oid)?;
        let words = Words::of(oid, &columns, &pgvector)?;
        let with = |wanted: &dyn Fn(&Word) -> bool| {
            let named = words.columns.iter().find(|(_, word)| wanted(word));
            named.and_then(|(name, word)| {
                let column = columns.iter().find(|it| it.name == *name)?;
                Some((column, word))
            })
        };
        let vector = with(&|word| matches!(word, Word::Vector { .. }));
        let vector = vector.filter(|(column, _)| column.vector_type(&pgvector).is_some());
        let padded = matches!(vector, Some((_, Word::Vector { padded: true })));
        let vector_name = match vector {
            Some((column, _)) => column.name.clone(),
            None => tables::vector_column(&columns, &table, &pgvector)?
                .0
                .name
                .clone(),
        };
        let id_column = match with(&|word| *word == Word::Id) {
            Some((column, _)) => Some(column),
            None => shown::id_column(oid, &columns)?,
        };
        let document = with(&is_document);
        let uri = with(&|word| *word == Word::Uri);
        let membership = membership(oid, &columns, &words)?;
        let metadata = with(&|word| metadata_of(word).is_some());
        let object = metadata.and_then(|(column, word)| Some((column, metadata_of(word)?)));
        let added = |what: Added| {
            object
                .as_ref()
                .and_then(|(column, word)| added(column, word, what))
        };
        let mut needed: Vec<String> = [id_column, document.map(|it| it.0), uri.map(|it| it.0)]
            .into_iter()
            .flatten()
            .map(|column| column.name.clone())
            .collect();
        let special = [
            Some(&vector_name),
            id_column.map(|it| &it.name),
            document.map(|it| &it.0.name),
            uri.map(|it| &it.0.name),
            membership.as_ref().map(|it| it.column()),
        ];
        let whole = match (&object, keys(&words, object.as_ref())) {
            (Some((column, word)), keys) => {
                needed.push(column.name.clone());
                needed.extend(keys.iter().map(|(name, _)| name.clone()));
                of_column(column, word, &keys)
            }
            (None, keys) if !keys.is_empty() => {
                needed.extend(keys.iter().map(|(name, _)| name.clone()));
                of_keys(&keys)
            }
            (None, _) => {
                let mut names = shown::of_row(oid, &columns, &vector_name)?;
                names.retain(|name| !special.contains(&Some(name)));
                needed.extend(names.iter().cloned());
                of_row(&names)
            }
        };
        needed.sort_unstable();
        needed.dedup();
        let text = |column: &Attribute| format!("t.{}::pg_catalog.text", spi::ident(&column.name));
        Ok(Shape {
            id: id_column
                .map(text)
                .or_else(|| added(Added::Id))
                .unwrap_or_else(null),
            document: match document {
                Some((column, Word::Document { or_empty: true, .. })) => {
                    let text = text(column);
                    Some(format!(
                        "CASE WHEN {text} OPERATOR(pg_catalog.<>) '' THEN {text} END"
                    ))
                }
                Some((column, _)) => Some(text(column)),
                None => added(Added::Document),
            },
            uri: uri
                .map(|(column, _)| text(column))
                .or_else(|| added(Added::Uri))
                .unwrap_or_else(null),
            metadata: Metadata {
                whole,
                column: object
                    .as_ref()
                    .filter(|(_, word)| word.own.is_empty())
                    .map(|(column, _)| json(column)),
                added: object.map_or_else(Vec::new, |(_, word)| {
                    word.added.into_iter().map(|(key, _)| key).collect()
                }),
            },
            id_column: id_column.map(|it| (it.name.clone(), it.base)),
            collection: membership,
            needed,
            padded,
            recorded: words.space,
            vectors: columns
                .into_iter()
                .find(|column| column.name == vector_name)
                .ok_or_else(|| Error::Bug(format!("{table} has no column of vectors")))?,
            oid,
            table,
            pgvector,
        })
    }

    /// How the table's vectors are compared.
    ///
    /// # Errors
    /// The server's own.
    pub fn nearest(&self) -> Result<Nearest, Error> {
        Nearest::find(
            self.oid,
            std::slice::from_ref(&self.vectors),
            &self.table,
            &self.pgvector,
        )
    }

    /// The same through an index for this distance; `None` if the table has no such index.
    ///
    /// # Errors
    /// The server's own.
    pub fn nearest_of(&self, space: Space) -> Result<Option<Nearest>, Error> {
        Nearest::of_space(
            self.oid,
            std::slice::from_ref(&self.vectors),
            &self.table,
            &self.pgvector,
            space,
        )
    }

    /// The metadata as Chroma shows it, which has no empty object.
    pub fn shown_metadata(&self) -> String {
        let whole = &self.metadata.whole;
        format!(
            "CASE WHEN {whole} OPERATOR(pg_catalog.<>) '{{}}'::pg_catalog.jsonb THEN {whole} END"
        )
    }

    /// The document, NULL if the table has none.
    pub fn shown_document(&self) -> String {
        self.document.clone().unwrap_or_else(null)
    }
}

impl Membership {
    /// The column.
    pub fn column(&self) -> &String {
        match self {
            Membership::Name(column) | Membership::Parent { column, .. } => column,
        }
    }
}

fn null() -> String {
    "NULL::pg_catalog.text".to_owned()
}

fn membership(
    oid: pg_sys::Oid,
    columns: &[Attribute],
    words: &Words,
) -> Result<Option<Membership>, Error> {
    let of = |wanted: &dyn Fn(&Word) -> bool| {
        let (name, _) = words.columns.iter().find(|(_, word)| wanted(word))?;
        columns.iter().find(|column| column.name == *name)
    };
    if let Some(column) = of(&|word| matches!(word, Word::Collection { .. })) {
        return Ok(Some(Membership::Name(column.name.clone())));
    }
    let Some(column) = of(&|word| *word == Word::Parent(None)) else {
        return Ok(None);
    };
    let Some(Reference {
        table,
        name,
        column: key,
        ..
    }) = Reference::of(oid, column.number)?
    else {
        return Ok(None);
    };
    let named = tables::attributes(table)?
        .iter()
        .any(|it| it.name == "name");
    Ok(named.then(|| Membership::Parent {
        column: column.name.clone(),
        ty: column.qualified.clone(),
        table: name,
        key,
    }))
}

/// What the word adds to the object in the column, of type text.
fn added(column: &Attribute, word: &MetadataWord, what: Added) -> Option<String> {
    let (key, _) = word.added.iter().find(|(_, it)| *it == what)?;
    Some(format!(
        "({} OPERATOR(pg_catalog.->>) {})",
        json(column),
        literal(key)
    ))
}

/// Columns with one metadata key each, and the key: those that the column of the whole metadata does not have.
fn keys(words: &Words, object: Option<&(&Attribute, MetadataWord)>) -> Vec<(String, String)> {
    let keys = words.columns.iter().filter_map(|(name, word)| {
        let key = word.metadata_key(name)?;
        let missing = object.is_none_or(|(_, it)| it.own.iter().any(|own| own == key));
        missing.then(|| (name.clone(), key.to_owned()))
    });
    keys.collect()
}

/// The column as jsonb.
fn json(column: &Attribute) -> String {
    let name = spi::ident(&column.name);
    match column.base {
        pg_sys::JSONBOID => format!("t.{name}"),
        _ => format!("t.{name}::pg_catalog.jsonb"),
    }
}

fn of_column(column: &Attribute, word: &MetadataWord, keys: &[(String, String)]) -> String {
    let mut object = json(column);
    for (key, _) in &word.added {
        object = format!("({object} OPERATOR(pg_catalog.-) {})", literal(key));
    }
    match keys.is_empty() {
        true => object,
        false => format!(
            "({} OPERATOR(pg_catalog.||) coalesce({object}, '{{}}'::pg_catalog.jsonb))",
            of_keys(keys)
        ),
    }
}

fn of_keys(keys: &[(String, String)]) -> String {
    let values = keys.iter().map(|(column, key)| {
        let column = spi::ident(column);
        format!("({}, pg_catalog.to_jsonb(t.{column}))", literal(key))
    });
    format!(
        "(SELECT coalesce(pg_catalog.jsonb_object_agg(o.k, o.v), '{{}}'::pg_catalog.jsonb) \
            FROM (VALUES {}) AS o(k, v) WHERE o.v IS NOT NULL)",
        values.collect::<Vec<_>>().join(", ")
    )
}

fn of_row(columns: &[String]) -> String {
    let names = columns.iter().map(|name| format!("t.{}", spi::ident(name)));
    format!(
        "(SELECT pg_catalog.to_jsonb(r) FROM (SELECT {}) AS r)",
        names.collect::<Vec<_>>().join(", ")
    )
}

/// A key as SQL.
fn literal(key: &str) -> String {
    format!("{}::pg_catalog.text", pgrx::spi::quote_literal(key))
}
