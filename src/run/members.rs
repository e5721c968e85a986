//! The run's collections: how much each has, whether its records name owners, and what type these have.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vector_migrate_core::record::Collection;
use vector_migrate_core::source::Source as _;
use vector_migrate_core::source::chroma::ChromaStore;
use vector_migrate_core::survey::{OwnerKind, Ownership, ownership};

use super::options::{Options, Orphans};
use super::parts::Member;
use super::routes::Route;
use crate::error::Error;
use crate::reader::{self, Size};
use crate::tables;

/// What goes into the run's tables.
pub struct Chosen {
    /// The collections of each route.
    pub members: Vec<Vec<Member>>,
    /// The type of the column `user_id` of tables that are created.
    pub user_type: &'static str,
}

/// Looks the collections of the routes up in the store, whose collections have these sizes.
///
/// # Errors
/// What the source refuses; the server's own.
pub fn members(
    (store, stop): (ChromaStore, &Arc<AtomicBool>),
    options: &Options,
    routes: &[Route],
    sizes: &[Size],
) -> Result<(ChromaStore, Chosen), Error> {
    let mut creates = false;
    for route in routes {
        creates |= route.layout.has_owner() && tables::find(&route.target)?.oid.is_none();
    }
    let places: Vec<usize> = routes
        .iter()
        .flat_map(|it| it.collections.iter().copied())
        .collect();
    let collections = |store: &ChromaStore| -> Vec<Collection> {
        let all = store.collections();
        places
            .iter()
            .filter_map(|at| all.get(*at).cloned())
            .collect()
    };
    let wanted = collections(&store);
    let asks_for_owned = options.orphans == Orphans::Auto
        && routes.iter().any(|it| it.layout.has_owner())
        && options.default_user_id.is_none()
        && options.user_id.is_none();
    let (store, found) = match asks_for_owned || creates {
        true => {
            let (key, nul) = (options.owner_key.clone(), options.nul);
            let wanted = wanted.clone();
            reader::ask(store, stop, move |store| {
                ownership(
                    store,
                    &wanted,
                    &key,
                    &|owner| nul.text(owner).into_owned(),
                    creates,
                )
            })?
        }
        false => {
            let all = Ownership {
                owned: vec![true; wanted.len()],
                kind: None,
            };
            (store, all)
        }
    };
    let Ownership { owned, kind } = found;
    let mut all = wanted
        .into_iter()
        .zip(places.iter().copied())
        .zip(owned)
        .map(|((collection, place), owned)| Member {
            collection,
            place,
            size: sizes.get(place).copied().unwrap_or_default(),
            owned,
        });
    let members = routes
        .iter()
        .map(|route| all.by_ref().take(route.collections.len()).collect());
    let members = members.collect();
    Ok((
        store,
        Chosen {
            members,
            user_type: user_type(options, kind),
        },
    ))
}

/// The name that the run gives a collection.
pub fn name(options: &Options, collection: &Collection) -> String {
    let name = collection.qualified_name();
    match &options.source_name {
        Some(source) => format!("{source}:{name}"),
        None => name,
    }
}

/// The type that holds all owners of this kind, and those that the arguments name; without any that of the overload.
fn user_type(options: &Options, kind: Option<OwnerKind>) -> &'static str {
    let named = [&options.user_id, &options.default_user_id];
    let named = named.into_iter().flatten().map(|user| OwnerKind::of(user));
    let all = kind.into_iter().chain(named);
    match all.reduce(OwnerKind::or) {
        Some(OwnerKind::Integers) => "pg_catalog.int8",
        Some(OwnerKind::Uuids) => "pg_catalog.uuid",
        Some(OwnerKind::Text) => "pg_catalog.text",
        None => options.user_id_type,
    }
}
