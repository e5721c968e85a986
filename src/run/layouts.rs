//! What goes into the columns of a run's table: by the preset or the words that the caller names, or by the columns of the table
//! that is there.
//!
//! Promise: settled before the table is locked; describing the table checks it again.

use vector_migrate_core::mapping::{Detected, Layout, Preset, Word, detect, presets};
use vector_migrate_core::record::Collection;

use super::options::Options;
use super::parts::NAMED;
use crate::error::Error;
use crate::index::Wish;
use crate::message::notice;
use crate::tables::{self, Pgvector};

/// The content library's preset.
///
/// # Errors
/// [`Error::Bug`] if there is none.
pub fn content_library() -> Result<&'static Preset, Error> {
    let found = presets().iter().find(|it| it.is_content_library());
    found.ok_or_else(|| Error::Bug("no preset of the content library".into()))
}

/// What goes into the columns of a content table.
///
/// # Errors
/// As [`content_library`].
pub fn content_layout() -> Result<Layout, Error> {
    content_library().map(Layout::of_preset)
}

/// What goes into the columns of an entity table.
///
/// # Errors
/// [`Error::Bug`] if the content library's preset has none.
pub fn entity_layout() -> Result<Layout, Error> {
    let entities = content_library()?.entities.as_ref();
    let entities = entities.ok_or_else(|| Error::Bug("no preset of entities".into()))?;
    Ok(Layout::of_entities(entities))
}

/// The layout of the table `target`, as SQL names it. `told`: tables whose preset was found by their columns so far.
///
/// # Errors
/// [`Error::BadArgument`], [`Error::NothingToDescribe`], [`Error::NearlyPreset`]; the server's own.
pub fn of_table(options: &Options, target: &str, told: &mut usize) -> Result<Layout, Error> {
    let words = options.columns.as_deref().unwrap_or_default();
    if let Some(preset) = options.preset {
        return Ok(Layout::of_preset(preset).with(words));
    }
    let place = tables::find(target)?;
    let takes_vector = |(_, word): &(String, Word)| matches!(word, Word::Vector { .. });
    match (place.oid, options.columns.is_some()) {
        (None, true) => Err(Error::NothingToDescribe(place.qualified())),
        (None, false) => Ok(Layout::of_preset(content_library()?)),
        (Some(_), true) if words.iter().any(takes_vector) => Ok(Layout::of_caller(words)),
        (Some(oid), described) => match detected(oid, &place.qualified(), told)? {
            Some(preset) => Ok(Layout::of_preset(preset).with(words)),
            None if described => Ok(Layout::of_caller(words)),
            None => content_layout(),
        },
    }
}

/// The preset that the columns of a table say; `None` if they say nothing.
fn detected(
    oid: pgrx::pg_sys::Oid,
    name: &str,
    told: &mut usize,
) -> Result<Option<&'static Preset>, Error> {
    let columns = tables::sights(&tables::attributes(oid)?, &Pgvector::find()?);
    match detect(&columns) {
        Detected::Fits(preset) => {
            if !preset.is_content_library() {
                *told += 1;
                if *told <= NAMED {
                    let columns = preset.signature.0.iter().map(|(column, _)| column.as_str());
                    notice!(
                        "{name} has the columns of {} ({}): preset {}",
                        preset.application,
                        columns.collect::<Vec<_>>().join(", "),
                        preset.name
                    );
                }
            }
            Ok(Some(preset))
        }
        Detected::Both(one, other) => Err(Error::BadArgument {
            argument: "preset",
            value: "null".into(),
            hint: format!(
                "The columns of {name} are those of preset {} and of preset {}: name the one that is meant.",
                one.name, other.name
            ),
        }),
        Detected::Nearly { preset, at } => {
            let (column, types) = (preset.signature.0.get(at))
                .ok_or_else(|| Error::Bug("a preset without signature".into()))?;
            let has = columns.iter().find(|it| it.name == *column);
            let has = has.map_or("", |it| it.ty.as_str());
            let refused = preset.refuses.iter().find(|it| it.ty == has);
            Err(Error::NearlyPreset {
                target: name.to_owned(),
                preset: &preset.name,
                column: column.clone(),
                differs: format!("of type {has}, not {}", types.join(" or ")),
                why: refused.map(|it| it.why.clone()),
            })
        }
        Detected::Nothing => Ok(None),
    }
}

/// Refuses arguments that mean nothing for a table of this layout.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn check_arguments(options: &Options, layout: &Layout, target: &str) -> Result<(), Error> {
    let (of, is_ours) = match layout.preset {
        Some(preset) => (
            format!("preset {}", preset.name),
            preset.is_content_library(),
        ),
        None => ("columns".to_owned(), false),
    };
    for given in &options.owners {
        let hint = match given.argument {
            "entity_target" if !is_ours => {
                format!("{target} is filled by {of}, which knows no entities.")
            }
            "entity_target" => continue,
            _ if layout.has_owner() => continue,
            _ => format!(
                "{target} is filled by {of}, which has no column for an owner; filter => '{{\"user_id\": \"7\"}}' selects the \
                 records of one user."
            ),
        };
        return Err(Error::BadArgument {
            argument: given.argument,
            value: given.value.clone(),
            hint,
        });
    }
    if let Some(name) = &options.source_name
        && !layout.has(|word| *word == Word::Collection { qualified: true })
    {
        return Err(Error::BadArgument {
            argument: "source_name",
            value: name.clone(),
            hint: format!(
                "{target} is filled by {of}, which has no column that it would stand in."
            ),
        });
    }
    let never = layout.preset.filter(|it| !it.why_no_index.is_empty());
    if let (Some(preset), Wish::Import | Wish::Build) = (never, options.index) {
        return Err(Error::BadArgument {
            argument: "index",
            value: match options.index {
                Wish::Import => "import".into(),
                _ => "build".into(),
            },
            hint: format!("{}.", preset.why_no_index),
        });
    }
    if options.on_conflict.overwrites() && !layout.has(|word| *word == Word::Id) {
        return Err(Error::BadArgument {
            argument: "on_conflict",
            value: "update".into(),
            hint: format!(
                "{target} has no column for the record's id, so that no row of it is known for a record's: on_conflict => 'skip'."
            ),
        });
    }
    Ok(())
}

/// Those of `chosen`, collections by their places, that are the application's; says which are not.
///
/// # Errors
/// [`Error::BadArgument`] if one of the others was named.
pub fn of_application<'c>(
    options: &Options,
    preset: Option<&Preset>,
    chosen: &[usize],
    collection: impl Fn(usize) -> Option<&'c Collection>,
) -> Result<Vec<usize>, Error> {
    let Some(preset) = preset else {
        return Ok(chosen.to_vec());
    };
    let takes = |at: &usize| collection(*at).is_none_or(|it| preset.takes(&it.name));
    let (taken, others): (Vec<usize>, Vec<usize>) = chosen.iter().partition(|at| takes(at));
    let others: Vec<String> = others
        .into_iter()
        .filter_map(|at| collection(at).map(Collection::qualified_name))
        .collect();
    let Some(first) = others.first() else {
        return Ok(taken);
    };
    if options.collections.is_some() {
        return Err(Error::BadArgument {
            argument: "collection",
            value: first.clone(),
            hint: format!(
                "Preset {} leaves it out: {}.",
                preset.name, preset.why_left_out
            ),
        });
    }
    let plural = if others.len() == 1 { "" } else { "s" };
    let shown: Vec<String> = (others.iter().take(NAMED))
        .map(|it| format!("\"{it}\""))
        .collect();
    let more = match others.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    notice!(
        "collection{plural} {}{more} left out: {}",
        shown.join(", "),
        preset.why_left_out
    );
    Ok(taken)
}

/// Refuses to put several collections into one table that cannot tell them apart. `filled`: the collections with records.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn check_collections(
    layout: &Layout,
    target: &str,
    filled: &[&Collection],
) -> Result<(), Error> {
    if filled.len() < 2 {
        return Ok(());
    }
    let names = || {
        let names = filled.iter().take(NAMED);
        let names = names.map(|it| format!("\"{}\"", it.qualified_name()));
        names.collect::<Vec<_>>().join(", ")
    };
    let refers = layout.has(|word| matches!(word, Word::Parent(_))) && refers(layout, target)?;
    if let Some(preset) = layout.preset.filter(|it| it.one_collection && !refers) {
        return Err(Error::BadArgument {
            argument: "collection",
            value: "null".into(),
            hint: format!(
                "A table of {} has the records of one collection, and {} would go into {target}: name one with collection, or a \
                 table for each with target, as target => '\"{{collection}}\"'.",
                preset.application,
                names()
            ),
        });
    }
    let by_name = layout.has(|word| {
        matches!(
            word,
            Word::Collection { qualified: false } | Word::Parent(None)
        )
    });
    let apart = layout.has(|word| {
        matches!(
            word,
            Word::CollectionUuid | Word::Database | Word::Collection { qualified: true }
        )
    });
    let twice = filled.iter().any(|one| {
        let of_name = filled.iter().filter(|it| it.name == one.name);
        of_name.count() > 1
    });
    if by_name && !apart && twice {
        return Err(Error::BadArgument {
            argument: "collection",
            value: "null".into(),
            hint: format!(
                "Collections of one name in different databases would be one in {target}: {}. Name one with collection.",
                names()
            ),
        });
    }
    Ok(())
}

/// Whether the table has a column that refers to a row for each collection.
fn refers(layout: &Layout, target: &str) -> Result<bool, Error> {
    let Some(oid) = tables::find(target)?.oid else {
        return Ok(false);
    };
    let columns = tables::sights(&tables::attributes(oid)?, &Pgvector::find()?);
    let table = layout.resolve(&columns).unwrap_or_default();
    Ok(table
        .iter()
        .any(|(_, word)| matches!(word, Word::Parent(_))))
}
