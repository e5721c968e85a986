//! What more there is to say of each error: its detail, and a hint what to do.

use super::Error;

impl Error {
    /// What more there is to know.
    pub(super) fn detail(&self) -> Option<String> {
        match self {
            Error::Source(error) => error.detail(),
            Error::UnknownCollection { known, .. } if known.is_empty() => {
                Some("The store has no collections.".into())
            }
            Error::UnknownCollection { known, .. } => {
                Some(format!("The store has: {}.", quoted(known)))
            }
            Error::AmbiguousCollection { known, .. } => Some(format!(
                "Several databases of the store have it: {}.",
                quoted(known)
            )),
            Error::NotATable { detail, .. } | Error::NoParent { detail, .. } => {
                Some(detail.clone())
            }
            Error::MissingColumn { there, .. } if !there.is_empty() => {
                Some(format!("The table has {}.", quoted(there)))
            }
            Error::SeveralVectorColumns { columns, .. } => {
                Some(format!("They are {}.", quoted(columns)))
            }
            Error::AlreadyExists {
                elsewhere: Some(origin),
                ..
            } => Some(format!("It is not this store's: {origin}.")),
            Error::NoModel { missing, .. } => Some(format!("\"{missing}\" does not exist.")),
            Error::NotOverwritable(_) => Some(
                "Citus distributes the table, and takes no UPDATE and no DELETE that join it with given rows."
                    .into(),
            ),
            _ => None,
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Error::Source(error) => error.hint(),
            Error::Embed(_) => Some(MODEL_HINT.into()),
            Error::NotAllowed => {
                Some("Ask for membership in the role pg_read_server_files.".into())
            }
            Error::NotUtf8 => Some(
                "Chroma's texts are UTF-8: use a database created with ENCODING 'UTF8'.".into(),
            ),
            Error::OutsideRoots(_) => Some(
                "A superuser can add a directory to the setting vector_migrate.allowed_roots."
                    .into(),
            ),
            Error::BadArgument { hint, .. }
            | Error::WrongDimension { hint, .. }
            | Error::NoModel { hint, .. } => Some(hint.clone()),
            Error::AmbiguousCollection { .. } => Some("Give tenant/database/name.".into()),
            Error::TooManyDimensions(_) => {
                Some("pgvector's type vector takes 1 to 16000 dimensions.".into())
            }
            Error::MissingColumn { .. } => Some(
                "Add the column, or name another table with target or entity_target, an application's tables with preset, or what \
                 goes into this table's own columns with columns."
                    .into(),
            ),
            Error::NoVectorColumn { .. } => {
                Some("Give one column the word \"vector\" in columns.".into())
            }
            Error::NoKey(_) => Some(
                "A run into it could be neither repeated nor rolled back: give a column the word \"id\" in columns, or the table a \
                 primary key with a sequence or a uuid as its default."
                    .into(),
            ),
            Error::NoParent { .. } => Some(
                "The word \"parent\" is for a column with a foreign key to a table with a column \"name\"."
                    .into(),
            ),
            Error::RefusedColumn { why, .. }
            | Error::NearlyPreset { why: Some(why), .. } => Some(why.clone()),
            Error::NearlyPreset { .. } => {
                Some("Say what goes into the table's columns with columns.".into())
            }
            Error::NumberTooLarge(_) => {
                Some("Restart the sequence, or give the column a larger type.".into())
            }
            Error::ColumnType { wanted, .. } => Some(format!("It can be {wanted}.")),
            Error::NothingToDescribe(_) => Some(
                "An application's table is made if preset names the application; one that columns describes has to be there."
                    .into(),
            ),
            Error::SeveralVectorColumns { .. } => {
                Some("Name a view with one of them as \"embedding\", or rename that column.".into())
            }
            Error::TableDiffers { .. } => Some(
                "Ask for what it has, or name another table with target or entity_target.".into(),
            ),
            Error::Unfillable { .. } => {
                Some("Give the column a default or drop its NOT NULL.".into())
            }
            Error::NoPrivilege { needed, .. } => Some(format!("It needs {needed}.")),
            Error::NoSchema(_) => Some("Qualify the table's name, or set search_path.".into()),
            Error::TargetBusy(_) => Some("Wait until its transaction has ended.".into()),
            Error::Recursion(_) => {
                Some("A trigger of the target must not migrate into the same target.".into())
            }
            Error::NotOverwritable(_) => {
                Some("Use on_conflict => 'skip', or a table that is not distributed.".into())
            }
            Error::TooManyRecords { needs, .. } => Some(format!(
                "Set vector_migrate.max_memory_mb to {needs} or more, or migrate one collection at a time."
            )),
            Error::RecordTooLarge { .. } => {
                Some("Give a filter that only other records match.".into())
            }
            Error::DamagedIndex(_) => Some("REINDEX it.".into()),
            Error::NoImport(_) => Some(
                "With index => 'auto' pgvector builds the index where it cannot be imported."
                    .into(),
            ),
            Error::AlreadyExists {
                elsewhere: None, ..
            } => Some("Use on_conflict => 'skip' or 'update'.".into()),
            Error::UnknownRun(_) | Error::NoRun => {
                Some("SELECT * FROM vector_migrate.runs lists the runs.".into())
            }
            _ => None,
        }
    }
}

const MODEL_HINT: &str = "The settings vector_migrate.model_path and vector_migrate.onnxruntime_path \
                          say where the model and ONNX Runtime are.";

/// Names, as far as a message has room for them.
fn quoted(names: &[String]) -> String {
    const MOST: usize = 50;
    let named = names.iter().take(MOST);
    let quoted: Vec<_> = named.map(|name| format!("\"{name}\"")).collect();
    match names.len().checked_sub(MOST) {
        Some(more @ 1..) => format!("{} and {more} more", quoted.join(", ")),
        _ => quoted.join(", "),
    }
}
