//! What all rows of a collection have in common, with the row of the table that the target refers to: found, or made.

use vector_migrate_core::map::CollectionFields;
use vector_migrate_core::mapping::Word;
use vector_migrate_core::record::Collection;

use super::decisions::Decisions;
use super::members;
use super::options::Options;
use super::parts::{Call, Member};
use crate::error::Error;
use crate::ledger::MadeParent;
use crate::message::notice;
use crate::pg;
use crate::tables::{ParentRow, Target};

/// The fields of each of `members`, and the rows that were made for them. A dry run whose rows go into no table that refers to
/// them makes none.
///
/// # Errors
/// The server's own.
pub fn fields(
    call: &Call<'_>,
    tables: &Decisions,
    members: &[Member],
) -> Result<(Vec<CollectionFields>, Vec<MadeParent>), Error> {
    let content = &tables.described.content;
    let word = content.columns.iter().find_map(|it| match &it.word {
        Word::Parent(name) => Some(name),
        _ => None,
    });
    let (mut all, mut made) = (Vec::with_capacity(members.len()), Vec::new());
    for Member { collection, .. } in members {
        let name = || members::name(call.options, collection);
        let parent = match (word, &content.parent) {
            (Some(word), Some(parent)) => {
                let wanted = word.as_ref().unwrap_or(&collection.name);
                let row = match tables.rows_go_into_tables() {
                    true => parent.row(wanted, collection)?,
                    false => ParentRow {
                        key: (parent.key_of(wanted)?).unwrap_or_else(|| collection.id.clone()),
                        made: false,
                    },
                };
                if row.made {
                    made.push(MadeParent {
                        table: parent.oid,
                        column: parent.column.clone(),
                        key: row.key.clone(),
                        xid: pg::current_xid(),
                    });
                }
                Some(row.key)
            }
            // A table that a dry run would create refers to nothing.
            (Some(_), None) => Some(collection.id.clone()),
            (None, _) => None,
        };
        all.push(CollectionFields::new(collection, name(), parent));
    }
    if let (Some(parent), false) = (&content.parent, made.is_empty()) {
        let plural = if made.len() == 1 { "" } else { "s" };
        notice!("{} row{plural} made in {}", made.len(), parent.name);
    }
    Ok((all, made))
}

/// The fields of a collection whose rows `content` has, to compare them with what is there: of a row of the table that it refers
/// to, the key that is there now.
///
/// # Errors
/// The server's own.
pub fn fields_to_compare(
    options: &Options,
    content: &Target,
    collection: &Collection,
) -> Result<CollectionFields, Error> {
    let word = content.columns.iter().find_map(|it| match &it.word {
        Word::Parent(name) => Some(name),
        _ => None,
    });
    let parent = match (word, &content.parent) {
        (Some(word), Some(parent)) => parent.key_of(word.as_ref().unwrap_or(&collection.name))?,
        _ => None,
    };
    let name = members::name(options, collection);
    Ok(CollectionFields::new(collection, name, parent))
}
