//! A table of the run and its collections, as they are now.

use std::collections::HashMap;
use std::rc::Rc;

use vector_migrate_core::encode::canonical_key;
use vector_migrate_core::mapping::{Layout, Word, layout, preset};
use vector_migrate_core::pipeline::{Identity, Plan, PlannedCollection};
use vector_migrate_core::record::Collection;
use vector_migrate_core::share::Share;

use crate::error::Error;
use crate::ledger::{self, PastTarget, RunCollection};
use crate::reader::Size;
use crate::run::{self, Options};
use crate::sink::known_keys;
use crate::tables::{self, Pgvector, Target};
use crate::{guc, lock};

/// Rows of a run that are compared at least, of a hundredth that is less. Shares are of about so many, and fewer than half are
/// next to impossible.
const LEAST: u64 = 200;

/// Where a table of the run is now.
pub enum Standing {
    /// Where it was.
    There(tables::Place),
    /// Elsewhere: the name that it has; `None`: it is gone.
    Moved(Option<String>),
}

/// Looks a table of the run up, and locks it as SELECT does.
///
/// # Errors
/// The server's own.
pub fn standing(past: &PastTarget) -> Result<Standing, Error> {
    lock::hold(past.content, lock::Mode::Read);
    let Some(now) = tables::named(past.content)? else {
        return Ok(Standing::Moved(None));
    };
    match tables::find(&now) {
        Ok(place) if place.oid == Some(past.content) && now == past.name => {
            Ok(Standing::There(place))
        }
        _ => Ok(Standing::Moved(Some(now))),
    }
}

/// A table whose rows are compared.
pub struct Subject {
    /// The table.
    pub target: Rc<Target>,
    /// Its collections, as the run wrote them down.
    pub written: Vec<RunCollection>,
    /// The keys of records' rows where no column has the record's id: by Chroma's id of the collection, and the record's.
    pub keys: HashMap<(String, String), String>,
    /// What the reader follows.
    pub plan: Plan,
}

/// Describes the table at `place`, and plans the reading of its `collections`.
///
/// # Errors
/// What is wrong with the table by now; the server's own.
pub fn subject(
    options: &Options,
    (past, place): (&PastTarget, &tables::Place),
    collections: &[(Collection, Size)],
    of_all: u64,
    full: bool,
) -> Result<Subject, Error> {
    let words = layout::parse(&past.columns)
        .map_err(|why| Error::Bug(format!("columns of run_targets: {why}")))?;
    let layout = match past.preset.as_deref().and_then(preset) {
        Some(preset) => Layout::of_preset(preset).with(&words),
        None => Layout::of_caller(&words),
    };
    let target = tables::describe_to_read(place, past.content, &layout, &Pgvector::find()?)?;
    let records: u64 = collections.iter().map(|it| it.1.records).sum();
    let (mut planned, mut written) = (Vec::new(), Vec::new());
    for (collection, size) in collections {
        let fields = run::fields_to_compare(options, &target, collection)?;
        let key = target.collection_key(&fields);
        written.push(RunCollection {
            name: fields.qualified.clone(),
            source: fields.uuid.clone(),
            key: key.clone(),
        });
        let wanted = LEAST
            .div_ceil(of_all.max(1))
            .max(size.records.div_ceil(100));
        planned.push(PlannedCollection {
            collection: collection.clone(),
            fields,
            key,
            keeps_orphans: true,
            picked: match full {
                true => Share::NONE,
                false => Share::about(wanted, size.records),
            },
        });
    }
    let keys = match target.identity {
        Identity::Record => HashMap::new(),
        Identity::NewUuid | Identity::Number => {
            ledger::keys_of_records(past.content, &past.sources)?
        }
    };
    let batch = usize::try_from(guc::batch_bytes()).unwrap_or(usize::MAX);
    let plan = Plan {
        user: user(options, &target)?,
        known: match full {
            true => None,
            false => known_keys(&target, &written, records)?.keys,
        },
        overwrites: full,
        ..run::of_tables(options, &target, None, planned, batch)?
    };
    Ok(Subject {
        target: Rc::new(target),
        written,
        keys,
        plan,
    })
}

/// The user whose records the run wanted, as the table's column spells it.
fn user(options: &Options, target: &Target) -> Result<Option<String>, Error> {
    let Some(user) = &options.user_id else {
        return Ok(None);
    };
    let ty = target.column(&Word::Owner).map(|it| it.ty);
    let spelled = match ty {
        Some(ty) => canonical_key(ty, user).map_err(|why| Error::BadArgument {
            argument: "user_id",
            value: user.clone(),
            hint: format!(
                "It was an argument of the run, and does not fit {} any more: {why}.",
                target.name
            ),
        })?,
        None => user.into(),
    };
    Ok(Some(spelled.into_owned()))
}
