//! What the arguments demand of the run's tables, before a record is read.

use std::borrow::Cow;

use vector_migrate_core::encode::{ColumnType, canonical_key};
use vector_migrate_core::mapping::Word;
use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::record::Collection;

use super::decisions::Decisions;
use super::options::Options;
use super::parts::Part;
use crate::error::Error;
use crate::tables::{Target, check_update_privilege};

/// Checks what can be checked of one table; gives the user whose records are wanted, as the table's column spells it.
///
/// # Errors
/// [`Error::BadArgument`], [`Error::NotOverwritable`], [`Error::NoPrivilege`].
pub fn check_table(options: &Options, tables: &Decisions) -> Result<Option<String>, Error> {
    let content = &tables.described.content;
    let user = match &options.user_id {
        Some(user) => Some(held(content, "user_id", user)?),
        None => None,
    };
    if let Some(user) = &options.default_user_id {
        held(content, "default_user_id", user)?;
    }
    if let Some(source) = &options.source_name
        && content.key.collection.is_none()
    {
        return Err(Error::BadArgument {
            argument: "source_name",
            value: source.clone(),
            hint: format!(
                "The key of {} has no chroma_collection, before which it would stand: give the store a target of its own.",
                content.name
            ),
        });
    }
    if options.on_conflict.overwrites() {
        check_overwritable(tables)?;
    }
    Ok(user)
}

/// The tables that are there have to take overwritten rows.
fn check_overwritable(tables: &Decisions) -> Result<(), Error> {
    let (content, entity) = (&tables.described.content, tables.described.entity.as_ref());
    if content.created {
        return Ok(());
    }
    let all = [Some((&content.name, content.overwritable))]
        .into_iter()
        .chain([entity.map(|it| (&it.name, it.overwritable))]);
    if let Some((name, _)) = all.flatten().find(|(_, overwritable)| !overwritable) {
        return Err(Error::NotOverwritable(name.clone()));
    }
    check_update_privilege(content, "UPDATE")?;
    match entity.filter(|entity| !entity.created) {
        Some(entity) => check_update_privilege(entity, "DELETE"),
        None => Ok(()),
    }
}

/// Made vectors have to have the columns' dimensions, and of the collections with vectors one at least: the records of others
/// are failures, each told.
///
/// # Errors
/// [`Error::WrongDimension`].
pub fn check_dimensions(options: &Options, parts: &[Part]) -> Result<(), Error> {
    let mut misfit = None;
    for part in parts {
        let content = &part.tables.described.content;
        let generated = options.mode == EmbeddingMode::Generate;
        let has = match generated {
            true => vec![("the embedding model".to_owned(), part.dimension)],
            false => part
                .members
                .iter()
                .map(|it| &it.collection)
                .map(of_collection)
                .collect(),
        };
        for (what, has) in has {
            match (has, content.vector.dimension) {
                (Some(has), Some(wants))
                    if has != wants && !(content.vector.padded && has < wants) =>
                {
                    misfit.get_or_insert((what, has, wants, content));
                }
                (Some(_), _) if !generated => return Ok(()),
                _ => {}
            }
        }
    }
    let Some((what, has, wants, content)) = misfit else {
        return Ok(());
    };
    Err(Error::WrongDimension {
        what,
        has,
        target: content.name.clone(),
        column: content.vector_column.clone(),
        wants,
        hint: "Name another table with target (\"{dimension}\" in its name stands for each collection's), or embed the texts anew \
               with embeddings => 'generate' and a model of the column's dimensions."
            .into(),
    })
}

/// A collection and its dimensions, in words.
fn of_collection(collection: &Collection) -> (String, Option<u32>) {
    let name = format!("collection \"{}\"", collection.qualified_name());
    (name, collection.dimension)
}

/// An argument's user as the target's column spells it.
fn held(content: &Target, argument: &'static str, user: &str) -> Result<String, Error> {
    let at = content.columns.iter().position(|it| it.word == Word::Owner);
    let ty = at
        .and_then(|at| content.columns.get(at))
        .map_or(ColumnType::Text, |it| it.ty);
    let limit = at.and_then(|at| content.lengths.get(at).copied().flatten());
    let fits = match canonical_key(ty, user) {
        Ok(key) if limit.is_some_and(|limit| key.chars().count() > limit) => {
            Err("it is too long".to_owned())
        }
        other => other.map(Cow::into_owned),
    };
    fits.map_err(|why| Error::BadArgument {
        argument,
        value: user.to_owned(),
        hint: format!(
            "Column \"user_id\" of {} is of type {}: {why}.",
            content.name,
            content.sql_type(&Word::Owner).unwrap_or_default()
        ),
    })
}
