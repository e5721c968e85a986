//! Whether the stored vectors that a run takes over are those of this server's model: a search embeds its text with
//! that model, and finds nothing sensible among vectors of another.
//!
//! Promise: texts embedded here are in no count of the run; nothing but a cancel ends the run from here.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};
use vector_migrate_core::compare::{Comparison, Verdict, cosine};
use vector_migrate_core::pipeline::EmbeddingMode;
use vector_migrate_core::sample::{Pair, Sampling};

use super::options::Options;
use crate::error::Error;
use crate::{guc, model};

/// Records of a run that are compared: enough to tell models apart, few enough to cost nothing beside the run.
const SAMPLE: u64 = 16;

/// What the error says if there is no model.
pub const WHY: &str = "stored vectors are to be compared with the model's";

/// The sample that a run takes of `records` whose vectors have this dimension; `None`: it compares nothing.
pub fn sampling(options: &Options, dimension: Option<u32>, records: u64) -> Option<Sampling> {
    let takes_vectors = !options.dry_run && options.mode != EmbeddingMode::Generate;
    if !takes_vectors || !guc::check_model() || model::installed().is_err() {
        return None;
    }
    // Vectors of other dimensions than the model's are not compared; what is wrong with a model is told in the end.
    let made = model::describe(WHY).map(|it| it.1);
    let dimension = dimension.filter(|it| made.as_ref().map_or(true, |made| made == it))?;
    Some(Sampling::new(records, SAMPLE, dimension))
}

/// Embeds the texts of `pairs` and compares with their stored vectors.
///
/// # Errors
/// [`Error::NoModel`], [`Error::Embed`].
pub fn compare(pairs: &[Pair]) -> Result<Comparison, Error> {
    let texts: Vec<&str> = pairs.iter().map(|pair| pair.text.as_str()).collect();
    let vectors = model::embed(WHY, &texts)?;
    let both = pairs.iter().zip(&vectors);
    let cosines = both.filter_map(|(pair, made)| cosine(&pair.vector, made));
    Ok(Comparison::of(cosines.collect()))
}

/// What the sample of the store at `path` says, for the ledger; warns if it is of another model, or cannot be
/// compared. `None`: there was nothing to compare.
pub fn tell(pairs: &[Pair], path: &str) -> Option<Verdict> {
    match judge(pairs) {
        Ok(Some((compared, model))) => {
            if compared.verdict == Verdict::Different {
                warn_of(&compared, &model, path);
            }
            Some(compared.verdict)
        }
        Ok(None) => None,
        Err(error) => {
            warning(
                format!("the stored vectors were not compared with the model's: {error}"),
                "Everything is migrated as it would have been.".to_owned(),
                "vector_migrate.check_model = off leaves the comparison out.".to_owned(),
            );
            None
        }
    }
}

/// The comparison, and the model's name; `None` if there are no pairs.
fn judge(pairs: &[Pair]) -> Result<Option<(Comparison, String)>, Error> {
    if pairs.is_empty() {
        return Ok(None);
    }
    let (name, _) = model::describe(WHY)?;
    Ok(Some((compare(pairs)?, name)))
}

fn warn_of(compared: &Comparison, model: &str, path: &str) {
    warning(
        format!(
            "the stored vectors are not those of the model \"{model}\" of this server: cosine {:.2} in the median of {} \
             documents",
            compared.median.unwrap_or_default(),
            compared.sampled,
        ),
        "A text search embeds its query with that model, and will not fit these vectors."
            .to_owned(),
        format!(
            "SELECT * FROM check_model('{}') compares more of them. Set vector_migrate.model_path to the model that \
             made them, or let embeddings => 'generate' make them anew.",
            path.replace('\'', "''")
        ),
    );
}

fn warning(message: String, detail: String, hint: String) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, "vector_migrate")
        .set_detail(detail)
        .set_hint(hint)
        .report(PgLogLevel::WARNING);
}
