//! The arguments of `migrate_chroma`, checked before anything is opened.

use vector_migrate_core::filter::{Filter, FilterError};
use vector_migrate_core::mapping::{Preset, Word};
use vector_migrate_core::nul::NulCharacters;
use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::table_name::TableName;

use super::arguments::{
    self, Arguments, choice, dimension, named, shortened, source_name, table_name,
    wanted_collections,
};
use crate::error::Error;
use crate::index::Wish;
use crate::sink::OnConflict;

/// What becomes of records that name no owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// Kept where no record of their collection names one, else left out.
    Auto,
    /// Left out.
    Skip,
    /// Migrated with a NULL owner.
    Keep,
}

/// The arguments, checked.
#[derive(Debug)]
pub struct Options {
    /// Only this user's records.
    pub user_id: Option<String>,
    /// The type of a `user_id` column that the run creates.
    pub user_id_type: &'static str,
    /// Nothing is written.
    pub dry_run: bool,
    /// Only these collections, all without them.
    pub collections: Option<Vec<String>>,
    /// Only collections of so many dimensions.
    pub dimension: Option<u32>,
    /// Only records that Chroma's `where` finds, or whose metadata contains this: the text of a jsonb value.
    pub filter: Option<String>,
    /// Where vectors come from.
    pub mode: EmbeddingMode,
    /// What to do with keys that are there.
    pub on_conflict: OnConflict,
    /// What becomes of records without an owner.
    pub orphans: Orphans,
    /// The owner of records without one.
    pub default_user_id: Option<String>,
    /// The content table.
    pub target: TableName,
    /// The entity table; `None`: no entities.
    pub entity_target: Option<TableName>,
    /// Any damage is an error.
    pub strict: bool,
    /// How a vector index comes about.
    pub index: Wish,
    /// The metadata key of a record's owner.
    pub owner_key: String,
    /// The metadata key of the text of records without a document.
    pub text_key: Option<String>,
    /// What becomes of U+0000.
    pub nul: NulCharacters,
    /// What stands before each collection's name.
    pub source_name: Option<String>,
    /// The preset that was named.
    pub preset: Option<&'static Preset>,
    /// The caller's words for columns.
    pub columns: Option<Vec<(String, Word)>>,
    /// Arguments about owners and entities that are not as they are where nobody gives them.
    pub owners: Vec<Given>,
    /// All of them, for the ledger.
    pub json: serde_json::Value,
}

/// An argument that was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its name.
    pub argument: &'static str,
    /// Its value.
    pub value: String,
}

/// The tables' names where nobody gives others.
const TARGET: &str = "content_vectors";
const ENTITY_TARGET: &str = "entity_vectors";
/// The key of owners where nobody gives another.
const OWNER_KEY: &str = "user_id";

impl Options {
    /// Checks the arguments.
    ///
    /// # Errors
    /// [`Error::BadArgument`], [`Error::NullArgument`].
    pub fn check(arguments: Arguments) -> Result<Options, Error> {
        let Arguments {
            embeddings,
            on_conflict,
            orphans,
            index,
            ..
        } = &arguments;
        let modes = [
            ("auto", EmbeddingMode::Auto),
            ("stored", EmbeddingMode::Stored),
            ("generate", EmbeddingMode::Generate),
        ];
        let conflicts = [
            ("skip", OnConflict::Skip),
            ("update", OnConflict::Update),
            ("overwrite", OnConflict::Overwrite),
            ("error", OnConflict::Error),
        ];
        let indexes = [
            ("auto", Wish::Auto),
            ("import", Wish::Import),
            ("build", Wish::Build),
            ("none", Wish::None),
        ];
        let index_choice = choice("index", index.as_deref(), &indexes)?;
        let mode = choice("embeddings", embeddings.as_deref(), &modes)?;
        let on_conflict_choice = choice("on_conflict", on_conflict.as_deref(), &conflicts)?;
        let orphans_choice = choice(
            "orphans",
            orphans.as_deref(),
            &[
                ("auto", Orphans::Auto),
                ("skip", Orphans::Skip),
                ("keep", Orphans::Keep),
            ],
        )?;
        let nul = choice(
            "nul_characters",
            arguments.nul_characters.as_deref(),
            &[
                ("error", NulCharacters::Error),
                ("remove", NulCharacters::Remove),
                ("replace", NulCharacters::Replace),
            ],
        )?;
        let filter = arguments.filter.as_deref().map(filter_json).transpose()?;
        let preset = (arguments.preset.as_deref())
            .map(arguments::preset)
            .transpose()?;
        let columns = (arguments.columns.as_deref())
            .map(arguments::columns)
            .transpose()?;
        let columns_json: Option<serde_json::Value> =
            (arguments.columns.as_deref()).and_then(|text| serde_json::from_str(text).ok());
        let json = serde_json::json!({
            "user_id": arguments.user_id,
            "dry_run": arguments.dry_run,
            "collection": arguments.collection,
            "filter": filter,
            "embeddings": embeddings,
            "on_conflict": on_conflict,
            "orphans": orphans,
            "default_user_id": arguments.default_user_id,
            "target": arguments.target,
            "entity_target": arguments.entity_target,
            "strict": arguments.strict,
            "index": index,
            "owner_key": arguments.owner_key,
            "text_key": arguments.text_key,
            "nul_characters": arguments.nul_characters,
            "collections": arguments.collections,
            "dimension": arguments.dimension,
            "source_name": arguments.source_name,
            "preset": arguments.preset,
            "columns": columns_json,
        });
        let owners = given(&arguments);
        let owner_key = arguments
            .owner_key
            .ok_or(Error::NullArgument("owner_key"))?;
        let target = arguments.target.ok_or(Error::NullArgument("target"))?;
        let target = match preset {
            Some(preset) if target == TARGET => own_target(preset)?,
            _ => target,
        };
        let entity_target = arguments.entity_target;
        Ok(Options {
            user_id: arguments.user_id,
            user_id_type: arguments.user_id_type,
            dry_run: arguments.dry_run.ok_or(Error::NullArgument("dry_run"))?,
            collections: wanted_collections(arguments.collection, arguments.collections)?,
            dimension: arguments.dimension.map(dimension).transpose()?,
            filter: arguments.filter,
            mode,
            on_conflict: on_conflict_choice,
            orphans: orphans_choice,
            default_user_id: arguments.default_user_id,
            target: table_name("target", &target)?,
            entity_target: entity_target
                .map(|name| table_name("entity_target", &name))
                .transpose()?,
            strict: arguments.strict.ok_or(Error::NullArgument("strict"))?,
            index: index_choice,
            owner_key: named("owner_key", owner_key)?,
            text_key: (arguments.text_key)
                .map(|key| named("text_key", key))
                .transpose()?,
            nul,
            source_name: arguments.source_name.map(source_name).transpose()?,
            preset,
            columns,
            owners,
            json,
        })
    }

    /// The filter, ready to match.
    ///
    /// # Errors
    /// None any more: [`Options::check`] has parsed it.
    pub fn parsed_filter(&self) -> Result<Option<Filter>, Error> {
        self.filter.as_deref().map(parse_filter).transpose()
    }
}

/// The arguments about owners and entities that were given.
fn given(arguments: &Arguments) -> Vec<Given> {
    let unless = |value: &Option<String>, usual: &str| value.clone().filter(|value| value != usual);
    let all = [
        ("user_id", arguments.user_id.clone()),
        ("orphans", unless(&arguments.orphans, "auto")),
        ("default_user_id", arguments.default_user_id.clone()),
        ("owner_key", unless(&arguments.owner_key, OWNER_KEY)),
        (
            "entity_target",
            unless(&arguments.entity_target, ENTITY_TARGET),
        ),
    ];
    all.into_iter()
        .filter_map(|(argument, value)| value.map(|value| Given { argument, value }))
        .collect()
}

/// The name that the preset's table has.
fn own_target(preset: &Preset) -> Result<String, Error> {
    preset.target.clone().ok_or_else(|| Error::BadArgument {
        argument: "target",
        value: TARGET.to_owned(),
        hint: format!(
            "Tables of preset {} have no usual name: name the table with target.",
            preset.name
        ),
    })
}

/// A `filter` argument as something that matches.
///
/// # Errors
/// [`Error::BadArgument`] unless it is a JSON object, not too deep, and one that Chroma takes if it has operators.
pub fn parse_filter(filter: &str) -> Result<Filter, Error> {
    Filter::parse(filter).map_err(|why| bad_filter(filter, &why))
}

/// A `filter` argument as JSON.
fn filter_json(filter: &str) -> Result<serde_json::Value, Error> {
    parse_filter(filter)?;
    serde_json::from_str(filter)
        .map_err(|why| bad_filter(filter, &FilterError::Json(why.to_string())))
}

/// The error for a `filter` argument that is none.
pub fn bad_filter(filter: &str, why: &FilterError) -> Error {
    let hint = match why {
        FilterError::Json(why) => format!(
            "Give a JSON object, as in '{{\"content_type\": \"article\"}}', nested {MOST_LEVELS} levels deep at most: {why}."
        ),
        FilterError::Language(why) => format!("{why}."),
    };
    Error::BadArgument {
        argument: "filter",
        value: shortened(filter),
        hint,
    }
}

/// Levels that serde_json reads.
const MOST_LEVELS: u8 = 127;
