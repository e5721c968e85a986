//! The arguments of `migrate_chroma`, checked before anything is opened.

use vector_migrate_core::map::filter::Filter;
use vector_migrate_core::pipeline::EmbeddingMode;

use crate::error::Error;
use crate::index::Wish;
use crate::sink::OnConflict;

/// The arguments as SQL gives them; `None` is NULL.
#[derive(Debug)]
pub struct Arguments {
    /// Only this user's records.
    pub user_id: Option<String>,
    /// The type that a `user_id` column gets if the run creates one: that of the overload called.
    pub user_id_type: &'static str,
    /// Nothing is written.
    pub dry_run: Option<bool>,
    /// Only this collection.
    pub collection: Option<String>,
    /// Only records whose metadata contains this: the text of a jsonb value.
    pub filter: Option<String>,
    /// `auto`, `stored` or `generate`.
    pub embeddings: Option<String>,
    /// `skip`, `update` or `error`.
    pub on_conflict: Option<String>,
    /// `skip` or `keep`.
    pub orphans: Option<String>,
    /// The owner of records without one.
    pub default_user_id: Option<String>,
    /// The content table.
    pub target: Option<String>,
    /// The entity table.
    pub entity_target: Option<String>,
    /// Any damage is an error.
    pub strict: Option<bool>,
    /// `auto`, `import`, `build` or `none`.
    pub index: Option<String>,
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
    /// Only this collection.
    pub collection: Option<String>,
    /// Only records whose metadata contains this: the text of a jsonb value.
    pub filter: Option<String>,
    /// Where vectors come from.
    pub mode: EmbeddingMode,
    /// What to do with keys that are there.
    pub on_conflict: OnConflict,
    /// Records without an owner are wanted.
    pub keep_orphans: bool,
    /// The owner of records without one.
    pub default_user_id: Option<String>,
    /// The content table.
    pub target: String,
    /// The entity table; `None`: no entities.
    pub entity_target: Option<String>,
    /// Any damage is an error.
    pub strict: bool,
    /// How a vector index comes about.
    pub index: Wish,
    /// All of them, for the ledger.
    pub json: serde_json::Value,
}

/// The choice that `word` names.
fn choice<T: Copy>(
    argument: &'static str,
    word: Option<&str>,
    choices: &[(&str, T)],
) -> Result<T, Error> {
    let word = word.ok_or(Error::NullArgument(argument))?;
    match choices.iter().find(|(name, _)| *name == word) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<String> = choices
                .iter()
                .map(|(name, _)| format!("'{name}'"))
                .collect();
            Err(Error::BadArgument {
                argument,
                value: word.to_owned(),
                hint: format!("It can be {}.", names.join(", ")),
            })
        }
    }
}

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
        let keep_orphans = choice(
            "orphans",
            orphans.as_deref(),
            &[("skip", false), ("keep", true)],
        )?;
        let filter = arguments.filter.as_deref().map(filter_json).transpose()?;
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
        });
        Ok(Options {
            user_id: arguments.user_id,
            user_id_type: arguments.user_id_type,
            dry_run: arguments.dry_run.ok_or(Error::NullArgument("dry_run"))?,
            collection: arguments.collection,
            filter: arguments.filter,
            mode,
            on_conflict: on_conflict_choice,
            keep_orphans,
            default_user_id: arguments.default_user_id,
            target: arguments.target.ok_or(Error::NullArgument("target"))?,
            entity_target: arguments.entity_target,
            strict: arguments.strict.ok_or(Error::NullArgument("strict"))?,
            index: index_choice,
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

/// A `filter` argument as something that matches.
///
/// # Errors
/// [`Error::BadArgument`] unless it is a JSON object, and not too deep.
pub fn parse_filter(filter: &str) -> Result<Filter, Error> {
    Filter::parse(filter).map_err(|why| bad_filter(filter, &why))
}

/// A `filter` argument as JSON.
fn filter_json(filter: &str) -> Result<serde_json::Value, Error> {
    parse_filter(filter)?;
    serde_json::from_str(filter).map_err(|why| bad_filter(filter, &why.to_string()))
}

fn bad_filter(filter: &str, why: &str) -> Error {
    Error::BadArgument {
        argument: "filter",
        value: shortened(filter),
        hint: format!(
            "Give a JSON object, as in '{{\"content_type\": \"article\"}}', nested {MOST_LEVELS} levels deep at \
             most: {why}."
        ),
    }
}

/// Levels that serde_json reads.
const MOST_LEVELS: u8 = 127;

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
