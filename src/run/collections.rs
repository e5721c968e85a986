//! Which collections a call is about.

use vector_migrate_core::record::Collection;

use crate::error::Error;

/// The collections that `wanted` names (all without it), in the store's order. A plain name does where it
/// is the only one; `tenant/database/name` always does.
///
/// # Errors
/// [`Error::UnknownCollection`], [`Error::AmbiguousCollection`].
pub fn choose(
    path: &str,
    all: &[Collection],
    wanted: Option<&str>,
) -> Result<Vec<Collection>, Error> {
    let Some(wanted) = wanted else {
        return Ok(all.to_vec());
    };
    let names = |of: &[&Collection]| of.iter().map(|c| c.qualified_name()).collect::<Vec<_>>();
    let full = |c: &Collection| format!("{}/{}/{}", c.tenant, c.database, c.name);
    let exact = all
        .iter()
        .find(|c| c.qualified_name() == wanted || full(c) == wanted);
    if let Some(exact) = exact {
        return Ok(vec![exact.clone()]);
    }
    let plain: Vec<&Collection> = all.iter().filter(|c| c.name == wanted).collect();
    match plain.as_slice() {
        [only] => Ok(vec![(*only).clone()]),
        [] => Err(Error::UnknownCollection {
            name: wanted.to_owned(),
            path: path.to_owned(),
            known: all.iter().map(Collection::qualified_name).collect(),
        }),
        several => Err(Error::AmbiguousCollection {
            name: wanted.to_owned(),
            known: names(several),
        }),
    }
}
