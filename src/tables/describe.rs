//! An existing table, as far as filling it goes.

use pgrx::pg_sys;
use vector_migrate_core::encode::{Column, ColumnType, Kind, VectorType, constant_fits};
use vector_migrate_core::mapping::layout::Misfit;
use vector_migrate_core::mapping::{Layout, Preset, Sight, Word};
use vector_migrate_core::pipeline::Identity;

use super::attributes::{Attribute, attributes, column_type};
use super::key::{Roles, StandIn, stand_in};
use super::privileges::check_insert_privilege;
use super::relation::{
    Distributor, check_is_fillable, distributed_by, has_sequences_below, relation_kind,
};
use super::rules::{OwnColumns, has_rules_of_its_own};
use super::versions::is_versioned;
use super::{Key, KeyColumn, Parent, Pgvector, Place, Reference, Target};
use crate::error::Error;
use crate::load::SequenceSubstitute;
use crate::pg;

/// Describes the table at `place`, whose columns take what `layout` says.
///
/// # Errors
/// [`Error::NotATable`], [`Error::MissingColumn`], [`Error::ColumnType`], [`Error::Unfillable`], [`Error::NoVectorColumn`],
/// [`Error::NoKey`], [`Error::NoParent`], [`Error::NoPrivilege`].
pub fn describe(
    place: &Place,
    oid: pg_sys::Oid,
    layout: &Layout,
    pgvector: &Pgvector,
) -> Result<Target, Error> {
    described(place, oid, layout, pgvector, true)
}

/// The same of a table that is only read: what keeps rows out of it does not matter.
///
/// # Errors
/// As [`describe`], without [`Error::Unfillable`] and [`Error::NoPrivilege`].
pub fn describe_to_read(
    place: &Place,
    oid: pg_sys::Oid,
    layout: &Layout,
    pgvector: &Pgvector,
) -> Result<Target, Error> {
    described(place, oid, layout, pgvector, false)
}

fn described(
    place: &Place,
    oid: pg_sys::Oid,
    layout: &Layout,
    pgvector: &Pgvector,
    fills: bool,
) -> Result<Target, Error> {
    let name = place.qualified();
    let kind = relation_kind(oid)?;
    check_is_fillable(&kind, place)?;
    let attributes = attributes(oid)?;
    let words = resolve(&name, layout, &attributes, pgvector)?;
    let found = columns(&name, layout, &words, &attributes, pgvector)?;
    let filled = |a: &&Attribute| found.iter().any(|it| it.column.name == a.name);
    for attribute in attributes
        .iter()
        .filter(|a| fills && a.not_null && !filled(a))
    {
        if !attribute.has_default && !attribute.generated {
            return Err(Error::Unfillable {
                target: name,
                column: attribute.name.clone(),
            });
        }
    }
    let roles = Roles::of(&found.iter().map(|it| it.column.clone()).collect::<Vec<_>>());
    let typed = |name: &str| {
        let column = attributes.iter().find(|it| it.name == name);
        column.map(|it| it.qualified.as_str())
    };
    let (key, found, identity, sequence) = match roles.key(oid, typed)? {
        Some(key) => (key, found, Identity::Record, None),
        None => with_stand_in(&name, oid, found, &attributes, &words, pgvector)?,
    };
    let filled = |a: &&Attribute| found.iter().any(|it| it.column.name == a.name);
    let defaulted = attributes
        .iter()
        .filter(|a| a.not_null && !a.generated && !filled(a))
        .map(|a| a.name.clone())
        .collect();
    let unfilled: Vec<&Attribute> = attributes
        .iter()
        .filter(|a| a.sequenced && !filled(a))
        .collect();
    let substitute = |it: &Attribute| SequenceSubstitute::new(&it.name, it.base);
    let substitutes: Vec<_> = unfilled.iter().filter_map(|it| substitute(it)).collect();
    let draws_numbers = substitutes.len() < unfilled.len() || has_sequences_below(oid)?;
    if fills {
        let columns = found.iter().map(|it| it.column.name.clone());
        check_insert_privilege(oid, &name, columns.collect())?;
    }
    let with = |wanted: &dyn Fn(&Word) -> bool| found.iter().find(|it| wanted(&it.column.word));
    let owner = with(&|word| *word == Word::Owner).map(|it| it.attribute);
    let referring = with(&|word| matches!(word, Word::Parent(_))).map(|it| it.attribute);
    let vector = with(&|word| matches!(word, Word::Vector { .. }));
    let vector = vector.ok_or_else(|| Error::Bug(format!("{name} has no vector column")))?;
    let padded = vector.column.word == Word::Vector { padded: true };
    let ty = vector.attribute.vector_type(pgvector);
    let distributed = distributed_by(oid)?;
    let ordinary = kind == "r" && distributed.is_none() && !pg::row_security_applies(oid);
    let own = OwnColumns {
        id: &key.id.name,
        referring: [owner, referring]
            .into_iter()
            .flatten()
            .map(|it| it.name.clone())
            .chain(["content_id".to_owned()])
            .collect(),
    };
    let is_content_library = layout.preset.is_some_and(Preset::is_content_library);
    let beside = roles
        .collection
        .iter()
        .find(|_| key.collection.is_none() && identity == Identity::Record && !is_content_library);
    let collection_beside = beside.and_then(|name| {
        typed(name).map(|ty| KeyColumn {
            name: name.clone(),
            ty: ty.to_owned(),
        })
    });
    Ok(Target {
        oid,
        vector: VectorType {
            padded,
            ..ty.unwrap_or(ANY_VECTOR)
        },
        vector_column: vector.column.name.clone(),
        vector_required: vector.attribute.not_null,
        user_required: owner.is_some_and(|it| it.not_null),
        users: match owner {
            Some(owner) => Reference::of(oid, owner.number)?,
            None => None,
        },
        parent: match referring {
            Some(it) => Some(Parent::find(oid, it.number, (&name, &it.name))?),
            None => None,
        },
        columns: found.iter().map(|it| it.column.clone()).collect(),
        types: found
            .iter()
            .map(|it| it.attribute.qualified.clone())
            .collect(),
        lengths: found.iter().map(|it| it.attribute.length()).collect(),
        distributed: distributed.is_some(),
        preset: layout.preset,
        is_content_library,
        collection_beside,
        created: false,
        versioned: is_versioned(oid)?,
        identity,
        sequence,
        defaulted,
        substitutes,
        draws_numbers,
        overwritable: distributed != Some(Distributor::Citus),
        copyable: ordinary && !has_rules_of_its_own(oid, &own)?,
        name,
        key,
    })
}

/// A vector column without a modifier.
const ANY_VECTOR: VectorType = VectorType {
    half: false,
    dimension: None,
    padded: false,
};

/// A column that rows fill.
#[derive(Debug, Clone)]
struct Found<'a> {
    column: Column,
    attribute: &'a Attribute,
}

/// The columns of a table as its application is told by. Generated ones are nobody's.
pub fn sights(attributes: &[Attribute], pgvector: &Pgvector) -> Vec<Sight> {
    let there = attributes.iter().filter(|it| !it.generated);
    let takes_values =
        |it: &Attribute| column_type(it, pgvector).is_some_and(|ty| Kind::Value.fits(ty));
    there
        .map(|it| Sight {
            name: it.name.clone(),
            ty: it.type_word.clone(),
            takes_values: takes_values(it),
        })
        .collect()
}

fn resolve(
    name: &str,
    layout: &Layout,
    attributes: &[Attribute],
    pgvector: &Pgvector,
) -> Result<Vec<(String, Word)>, Error> {
    let refuses = layout.preset.map_or(&[][..], |it| &it.refuses);
    for attribute in attributes {
        let named = layout.has_column(&attribute.name);
        let refused = refuses
            .iter()
            .find(|it| named && it.ty == attribute.type_word);
        if let Some(refused) = refused {
            return Err(Error::RefusedColumn {
                target: name.to_owned(),
                column: attribute.name.clone(),
                has: attribute.shown.clone(),
                why: refused.why.clone(),
            });
        }
    }
    layout
        .resolve(&sights(attributes, pgvector))
        .map_err(|misfit| match misfit {
            Misfit::Missing(column) => Error::MissingColumn {
                target: name.to_owned(),
                column,
                there: attributes.iter().map(|it| it.name.clone()).collect(),
            },
            Misfit::NoVector => Error::NoVectorColumn {
                target: name.to_owned(),
                also: None,
            },
            Misfit::Vectors(one, other) => Error::NoVectorColumn {
                target: name.to_owned(),
                also: Some((one, other)),
            },
        })
}

/// The columns with their types, the vector's last.
fn columns<'a>(
    name: &str,
    layout: &Layout,
    words: &[(String, Word)],
    attributes: &'a [Attribute],
    pgvector: &Pgvector,
) -> Result<Vec<Found<'a>>, Error> {
    let mut found = Vec::with_capacity(words.len());
    for (column, word) in words {
        let Some(attribute) = attributes.iter().find(|it| it.name == *column) else {
            continue;
        };
        let kind = word.kind().unwrap_or(Kind::Value);
        let ty = column_type(attribute, pgvector).filter(|ty| kind.fits(*ty));
        let ty = ty.ok_or_else(|| Error::ColumnType {
            target: name.to_owned(),
            column: column.clone(),
            has: attribute.shown.clone(),
            wanted: match layout.preset {
                Some(preset) if !preset.is_content_library() => {
                    format!(
                        "{} for the word \"{word}\" of preset {}",
                        kind.wanted(),
                        preset.name
                    )
                }
                Some(_) => kind.wanted().to_owned(),
                None => format!("{} for the word \"{word}\"", kind.wanted()),
            },
        })?;
        check_constant(name, column, word, ty)?;
        found.push(Found {
            column: Column {
                name: column.clone(),
                word: word.clone(),
                ty,
            },
            attribute,
        });
    }
    found.sort_by_key(|it| it.column.is_vector());
    Ok(found)
}

/// A constant that does not fit would fail for each record.
fn check_constant(name: &str, column: &str, word: &Word, ty: ColumnType) -> Result<(), Error> {
    match word {
        Word::Const(value) if !constant_fits(column, value, ty) => Err(Error::BadArgument {
            argument: "columns",
            value: word.to_string(),
            hint: format!("Column \"{column}\" of {name} cannot hold it."),
        }),
        _ => Ok(()),
    }
}

/// Adds the column that stands for the record's id, where no column takes that.
#[allow(clippy::type_complexity)] // taken apart at once
fn with_stand_in<'a>(
    name: &str,
    oid: pg_sys::Oid,
    mut found: Vec<Found<'a>>,
    attributes: &'a [Attribute],
    words: &[(String, Word)],
    pgvector: &Pgvector,
) -> Result<(Key, Vec<Found<'a>>, Identity, Option<pg_sys::Oid>), Error> {
    let none = || Error::NoKey(name.to_owned());
    let StandIn {
        name: column,
        identity,
        sequence,
    } = stand_in(oid, attributes, words)?.ok_or_else(none)?;
    let attribute = attributes.iter().find(|it| it.name == column);
    let attribute = attribute.ok_or_else(none)?;
    let ty = column_type(attribute, pgvector).ok_or_else(none)?;
    if !found.iter().any(|it| it.column.name == column) {
        let word = match identity {
            Identity::Number => Word::Number,
            _ => Word::NewUuid,
        };
        // A number is looked for in a tuple's first field.
        found.insert(
            0,
            Found {
                column: Column {
                    name: column.clone(),
                    word,
                    ty,
                },
                attribute,
            },
        );
    }
    let key = Key {
        id: KeyColumn {
            name: column,
            ty: attribute.qualified.clone(),
        },
        collection: None,
        user: None,
    };
    Ok((key, found, identity, sequence))
}
