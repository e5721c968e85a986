//! Which collections a call is about.

use std::collections::BTreeSet;

use vector_migrate_core::record::Collection;

use crate::error::Error;

/// The collection that `wanted` names (all without it), in the store's order. A plain name does where it
/// is the only one; `tenant/database/name` always does.
///
/// # Errors
/// [`Error::UnknownCollection`], [`Error::AmbiguousCollection`].
pub fn choose(
    path: &str,
    all: &[Collection],
    wanted: Option<&str>,
) -> Result<Vec<Collection>, Error> {
    let wanted = wanted.map(|wanted| vec![wanted.to_owned()]);
    let chosen = choose_several(path, all, wanted.as_deref(), None)?;
    Ok(chosen
        .into_iter()
        .filter_map(|at| all.get(at).cloned())
        .collect())
}

/// The places in `all` of the collections that `wanted` names and that have so many dimensions.
///
/// # Errors
/// As [`choose`]; [`Error::BadArgument`] if no collection of the store has so many dimensions.
pub fn choose_several(
    path: &str,
    all: &[Collection],
    wanted: Option<&[String]>,
    dimension: Option<u32>,
) -> Result<Vec<usize>, Error> {
    let mut chosen: BTreeSet<usize> = match wanted {
        None => (0..all.len()).collect(),
        Some(names) => {
            let found = names.iter().map(|name| find(path, all, name));
            found.collect::<Result<_, _>>()?
        }
    };
    let Some(dimension) = dimension else {
        return Ok(chosen.into_iter().collect());
    };
    if all.iter().all(|it| it.dimension != Some(dimension)) {
        let there: BTreeSet<u32> = all.iter().filter_map(|it| it.dimension).collect();
        let there: Vec<String> = there.iter().map(u32::to_string).collect();
        return Err(Error::BadArgument {
            argument: "dimension",
            value: dimension.to_string(),
            hint: format!("The store's collections have: {}.", there.join(", ")),
        });
    }
    chosen.retain(|at| {
        all.get(*at)
            .is_some_and(|it| it.dimension == Some(dimension))
    });
    Ok(chosen.into_iter().collect())
}

/// The place of the collection that `wanted` names.
fn find(path: &str, all: &[Collection], wanted: &str) -> Result<usize, Error> {
    let full = |c: &Collection| format!("{}/{}/{}", c.tenant, c.database, c.name);
    let exact = all
        .iter()
        .position(|c| c.qualified_name() == wanted || full(c) == wanted);
    if let Some(exact) = exact {
        return Ok(exact);
    }
    let plain = all.iter().enumerate().filter(|(_, c)| c.name == wanted);
    let plain: Vec<(usize, &Collection)> = plain.collect();
    match plain.as_slice() {
        [(only, _)] => Ok(*only),
        [] => Err(Error::UnknownCollection {
            name: wanted.to_owned(),
            path: path.to_owned(),
            known: all.iter().map(Collection::qualified_name).collect(),
        }),
        several => Err(Error::AmbiguousCollection {
            name: wanted.to_owned(),
            known: several.iter().map(|(_, c)| c.qualified_name()).collect(),
        }),
    }
}
