//! Which collections go into which tables: by the placeholders in the tables' names, and by their dimensions.
//!
//! Promise: names only, nothing is created or locked; the same store gives the same tables whatever part of it is asked for.

use std::collections::{BTreeSet, HashMap};

use vector_migrate_core::mapping::{Layout, Preset};
use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::record::Collection;
use vector_migrate_core::table_name::{Named, Subject, TableName};

use super::layouts;
use super::options::Options;
use crate::error::Error;
use crate::message::notice;
use crate::{ledger, model, tables};

/// Dimensions of a table that nothing tells any of: those of the model that comes with the extension.
pub const USUAL_DIMENSION: u32 = 384;

/// A content table and its entity table, as SQL names them, and what goes into them.
#[derive(Debug, Clone)]
pub struct Route {
    /// The content table.
    pub target: String,
    /// The entity table; `None`: no entities.
    pub entity_target: Option<String>,
    /// The entity table is that of other routes, too.
    pub shares_entities: bool,
    /// Places of the collections in the store.
    pub collections: Vec<usize>,
    /// What goes into the content table's columns.
    pub layout: Layout,
}

/// A collection with its number of live records.
pub type Counted<'a> = (&'a Collection, u64);

/// The routes of the collections `chosen` (by their places in `store`).
///
/// # Errors
/// [`Error::BadArgument`], [`Error::NoModel`], [`Error::NoSchema`]; the server's own.
pub fn routes(
    options: &Options,
    store: &[Counted<'_>],
    chosen: &[usize],
) -> Result<Vec<Route>, Error> {
    let dimensions = Dimensions::of(options, store)?;
    let collection = |at: usize| store.get(at).map(|it| it.0);
    let chosen = layouts::of_application(options, options.preset, chosen, collection)?;
    let targets = dimensions.names(&options.target);
    tell_altered(&targets, store, &chosen);
    let entities = (options.entity_target.as_ref()).map(|name| dimensions.names(name));
    let mut groups: Vec<Route> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut told = 0;
    for &at in &chosen {
        let Some(target) = targets.get(at).map(|it| &it.sql) else {
            continue;
        };
        let entity = entities
            .as_ref()
            .and_then(|it| it.get(at))
            .map(|it| &it.sql);
        let group = match known.get(target.as_str()) {
            Some(group) => *group,
            None => {
                groups.push(Route {
                    target: target.clone(),
                    entity_target: entity.cloned(),
                    shares_entities: false,
                    collections: Vec::new(),
                    layout: layouts::of_table(options, target, &mut told)?,
                });
                known.insert(target, groups.len() - 1);
                groups.len() - 1
            }
        };
        let Some(group) = groups.get_mut(group) else {
            continue;
        };
        if group.entity_target.as_ref() != entity {
            return Err(Error::BadArgument {
                argument: "entity_target",
                value: entity.cloned().unwrap_or_default(),
                hint: format!(
                    "The rows of {target} would have their entities in several tables: use the placeholders of entity_target \
                     in target, too."
                ),
            });
        }
        group.collections.push(at);
    }
    if groups.is_empty() {
        let target = options.target.with_suffix("");
        groups.push(Route {
            entity_target: options.entity_target.as_ref().map(|it| it.with_suffix("")),
            shares_entities: false,
            collections: Vec::new(),
            layout: layouts::of_table(options, &target, &mut told)?,
            target,
        });
    }
    let mut routes = Vec::new();
    for group in groups {
        let group = settled(options, store, group)?;
        match is_ours(&group) {
            true => routes.extend(dimensions.split(group)?),
            false => routes.push(group),
        }
    }
    Ok(with_shared_entities(without_empty(routes, store)?))
}

/// The route with its table's own collections; without an entity table where there is none. Checks what the arguments say of it.
fn settled(options: &Options, store: &[Counted<'_>], route: Route) -> Result<Route, Error> {
    layouts::check_arguments(options, &route.layout, &route.target)?;
    let found = match options.preset {
        Some(_) => route.collections.clone(),
        None => {
            let collection = |at: usize| store.get(at).map(|it| it.0);
            layouts::of_application(options, route.layout.preset, &route.collections, collection)?
        }
    };
    let counted = found.iter().filter_map(|at| store.get(*at));
    let filled: Vec<&Collection> = counted.filter(|it| it.1 > 0).map(|it| it.0).collect();
    layouts::check_collections(&route.layout, &route.target, &filled)?;
    Ok(Route {
        collections: found,
        entity_target: route.entity_target.clone().filter(|_| is_ours(&route)),
        ..route
    })
}

/// Whether the table is a content library's.
fn is_ours(route: &Route) -> bool {
    route.layout.preset.is_some_and(Preset::is_content_library)
}

/// Says which collections have tables that are not called as they are.
fn tell_altered(targets: &[Named], store: &[Counted<'_>], chosen: &[usize]) {
    let altered = |at: &&usize| targets.get(**at).is_some_and(|it| it.altered);
    let mut all = chosen.iter().filter(altered);
    let Some(first) = all.next() else { return };
    let more = match all.count() {
        0 => String::new(),
        more => format!(", and likewise {more} more"),
    };
    if let (Some(target), Some((collection, _))) = (targets.get(*first), store.get(*first)) {
        notice!(
            "the name of collection \"{}\" is changed for its table, {}{more}",
            collection.qualified_name(),
            target.sql
        );
    }
}

/// Without routes to tables that are not there and would stay empty; one stays in any case.
fn without_empty(routes: Vec<Route>, store: &[Counted<'_>]) -> Result<Vec<Route>, Error> {
    let mut kept = Vec::new();
    let mut spare = None;
    for route in routes {
        let records = |at: &usize| store.get(*at).map_or(0, |it| it.1);
        let filled = route.collections.iter().map(records).any(|it| it > 0);
        if filled || tables::find(&route.target)?.oid.is_some() {
            kept.push(route);
        } else {
            spare.get_or_insert(route);
        }
    }
    if kept.is_empty() {
        kept.extend(spare);
    }
    Ok(kept)
}

fn with_shared_entities(mut routes: Vec<Route>) -> Vec<Route> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for name in routes.iter().filter_map(|it| it.entity_target.clone()) {
        *uses.entry(name).or_default() += 1;
    }
    for route in &mut routes {
        let name = route.entity_target.as_ref();
        route.shares_entities = name.is_some_and(|name| uses.get(name) > Some(&1));
    }
    routes
}

/// The dimensions that the rows of each collection will have.
struct Dimensions<'a> {
    store: &'a [Counted<'a>],
    /// Those of the model, where it makes every vector.
    generated: Option<u32>,
    /// Those of a collection that has no vector.
    without: u32,
}

impl<'a> Dimensions<'a> {
    fn of(options: &Options, store: &'a [Counted<'a>]) -> Result<Dimensions<'a>, Error> {
        let generated = match options.mode {
            EmbeddingMode::Generate => {
                Some(model::describe("embeddings => 'generate' makes every vector anew")?.1)
            }
            EmbeddingMode::Auto | EmbeddingMode::Stored => None,
        };
        let mut known = store.iter().filter_map(|it| it.0.dimension);
        let embeds = options.mode == EmbeddingMode::Auto && model::installed().is_ok();
        let without = match embeds {
            true => model::describe("")?.1,
            false => known.next().unwrap_or(USUAL_DIMENSION),
        };
        Ok(Dimensions {
            store,
            generated,
            without,
        })
    }

    fn of_collection(&self, collection: &Collection) -> u32 {
        let own = self.generated.or(collection.dimension);
        own.unwrap_or(self.without)
    }

    /// The name of the table of each collection of the store.
    fn names(&self, name: &TableName) -> Vec<Named> {
        if !name.has_placeholders() {
            let same = Named {
                sql: name.with_suffix(""),
                altered: false,
            };
            return vec![same; self.store.len()];
        }
        let subjects: Vec<Subject<'_>> = (self.store.iter())
            .map(|(collection, _)| Subject {
                collection,
                dimension: self.of_collection(collection),
            })
            .collect();
        name.names(&subjects)
    }

    /// The route, or one for each number of dimensions if its table is not there yet.
    fn split(&self, route: Route) -> Result<Vec<Route>, Error> {
        if tables::find(&route.target)?.oid.is_some() || self.generated.is_some() {
            return Ok(vec![route]);
        }
        let found = route
            .collections
            .iter()
            .filter_map(|at| self.store.get(*at));
        let filled: BTreeSet<u32> = (found.filter(|it| it.1 > 0))
            .filter_map(|it| it.0.dimension)
            .collect();
        let one = filled.len() == 1;
        match filled.first() {
            Some(dimension) if one => Ok(vec![before(route, *dimension)?]),
            Some(first) => self.by_dimension(&route, &filled, *first),
            None => Ok(vec![route]),
        }
    }

    fn by_dimension(
        &self,
        route: &Route,
        filled: &BTreeSet<u32>,
        first: u32,
    ) -> Result<Vec<Route>, Error> {
        let entities_there = match &route.entity_target {
            Some(name) => tables::find(name)?.oid.is_some(),
            None => false,
        };
        let of = |at: &usize| {
            let dimension = self.store.get(*at).map(|it| self.of_collection(it.0));
            dimension.filter(|it| filled.contains(it)).unwrap_or(first)
        };
        let routes = filled.iter().map(|dimension| {
            let entity_target = match &route.entity_target {
                Some(name) if !entities_there => Some(suffixed(name, *dimension)?),
                same => same.clone(),
            };
            let collections = route.collections.iter().copied();
            Ok(Route {
                target: suffixed(&route.target, *dimension)?,
                entity_target,
                shares_entities: false,
                collections: collections.filter(|at| of(at) == *dimension).collect(),
                layout: route.layout.clone(),
            })
        });
        let routes: Vec<Route> = routes.collect::<Result<_, Error>>()?;
        let names: Vec<&str> = routes.iter().map(|it| it.target.as_str()).collect();
        notice!(
            "the collections have different dimensions, and go into tables of their own: {}",
            names.join(", ")
        );
        Ok(routes)
    }
}

/// The route into the table that an earlier run of collections of several dimensions has made for these, if it has.
fn before(route: Route, dimension: u32) -> Result<Route, Error> {
    let target = suffixed(&route.target, dimension)?;
    match tables::find(&target)?.oid {
        Some(oid) if ledger::has_filled(oid)? => {
            notice!(
                "{} is not there, and {target} is: rows go there",
                route.target
            );
            let entity_target = match &route.entity_target {
                Some(name) if tables::find(name)?.oid.is_none() => Some(suffixed(name, dimension)?),
                same => same.clone(),
            };
            Ok(Route {
                target,
                entity_target,
                ..route
            })
        }
        _ => Ok(route),
    }
}

/// A table's name, as SQL, with its dimensions at its end.
fn suffixed(name: &str, dimension: u32) -> Result<String, Error> {
    let name = TableName::parse(name).map_err(Error::Bug)?;
    Ok(name.with_suffix(&format!("_{dimension}")))
}
