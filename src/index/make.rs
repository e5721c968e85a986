//! One index: imported if it can be, else built.

use std::time::Instant;

use pgrx::pg_sys;
use vector_migrate_core::index::cost::{Load, build_pays};
use vector_migrate_core::index::graph::Graph;
use vector_migrate_core::record::Space;

use super::fill::{self, Origin};
use super::import::{self, Imported};
use super::opened::{self, Opened};
use super::proof::{self, LOW_RECALL, Proof, Reach};
use super::which::{self, VectorIndex};
use super::{Wish, build, define, judge, late, trial};
use crate::error::Error;
use crate::load::Loads;
use crate::message::{Level, notice, send};
use crate::subxact::{self, Refused};
use crate::tables::Pgvector;

/// How an index came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From Chroma's graph.
    Imported,
    /// By pgvector's build.
    Built,
    /// Row by row, by pgvector's insert.
    Inserted,
}

impl Way {
    /// The ledger's word.
    pub fn word(self) -> &'static str {
        match self {
            Way::Imported => "imported",
            Way::Built => "built",
            Way::Inserted => "inserted",
        }
    }
}

/// What became of an index.
#[derive(Debug, Clone)]
pub struct Made {
    /// How it came.
    pub way: Way,
    /// Its name, qualified where the search path does not have it.
    pub name: String,
    /// Rows in it, of an imported one; else the caller's estimate.
    pub rows: u64,
    /// Of the rows of an imported one, those that pgvector inserted.
    pub inserted: u64,
    /// Of an imported one what it is made of, else why it was not imported.
    pub reason: String,
    /// Seconds that it took, the proof included.
    pub seconds: f64,
    /// recall@10 of sampled queries at pgvector's default `hnsw.ef_search`; `None`: not measured.
    pub recall: Option<f64>,
}

/// Which index is to be made.
#[derive(Debug)]
pub enum Subject {
    /// A new one, by this statement.
    New(String),
    /// One that is there, and has no entries for the rows of the job's loads.
    There(VectorIndex),
}

/// What to do.
pub struct Job<'a> {
    /// The table.
    pub table: pg_sys::Oid,
    /// Its name, for people.
    pub name: &'a str,
    /// Which index.
    pub subject: Subject,
    /// What was asked for.
    pub wish: Wish,
    /// Chroma's graph and the space that it was made for, or why there is none.
    pub graph: Result<(Graph, Space), String>,
    /// Rows in the table, for estimates.
    pub rows: u64,
    /// What has put rows in that an index which is there has no entries for.
    pub loads: Loads,
    /// How much what came of it matters to the caller: an index of many is a detail.
    pub level: Level,
    /// pgvector.
    pub pgvector: &'a Pgvector,
}

/// Makes the index; `None` for a new one whose values pgvector cannot index.
///
/// # Errors
/// [`Error::NoImport`] where an import was asked for and cannot be; the server's own.
pub fn make(job: Job<'_>) -> Result<Option<Made>, Error> {
    let since = Instant::now();
    let Job {
        table,
        name,
        subject,
        wish,
        graph,
        rows,
        loads,
        level,
        pgvector,
    } = job;
    let say = |text: String| send(level, &text);
    if let Subject::There(index) = &subject
        && let Some(reason) = one_by_one((table, index.oid), (rows, loads.rows))
    {
        if wish == Wish::Import {
            return Err(Error::NoImport(reason));
        }
        say(format!(
            "{reason}: rows go into the vector index of {name} one by one"
        ));
        late::insert_own_rows(table, index.oid, &loads)?;
        return Ok(Some(Made {
            way: Way::Inserted,
            name: which::shown(index.oid)?,
            rows,
            inserted: loads.rows.min(rows),
            reason,
            seconds: since.elapsed().as_secs_f64(),
            recall: None,
        }));
    }
    let task = Task {
        table,
        subject: &subject,
        pgvector,
    };
    let why = match (wish, graph) {
        (Wish::Build | Wish::None, _) => "index => 'build'".to_owned(),
        (_, Err(why)) => why,
        (_, Ok((graph, space))) => match task.import(graph, space)? {
            Ok(Fresh { index, result }) => {
                let (imported, proof) = result;
                let made = Made {
                    way: Way::Imported,
                    name: which::shown(index)?,
                    rows: imported.rows,
                    inserted: imported.inserted,
                    reason: composition(&imported),
                    seconds: since.elapsed().as_secs_f64(),
                    recall: proof.recall(),
                };
                tell((name, level), &made, &proof);
                return Ok(Some(made));
            }
            Err(why) => why,
        },
    };
    if wish == Wish::Import {
        return Err(Error::NoImport(why));
    }
    if wish == Wish::Auto && rows > 0 {
        say(format!(
            "the vector index of {name} is built, not taken from Chroma: {why}"
        ));
    }
    let fresh = match task.build(name, rows)? {
        Ok(fresh) => fresh,
        Err(refused) => match &subject {
            Subject::New(_) => {
                notice!("{name} gets no vector index: {}", refused.message);
                return Ok(None);
            }
            // The rows would not be found.
            Subject::There(_) => return Err(Error::Refused(refused)),
        },
    };
    let Fresh {
        index,
        result: proof,
    } = fresh;
    let made = Made {
        way: Way::Built,
        name: which::shown(index)?,
        rows,
        inserted: 0,
        reason: why,
        seconds: since.elapsed().as_secs_f64(),
        recall: proof.as_ref().and_then(Proof::recall),
    };
    if let Some(proof) = proof {
        tell((name, level), &made, &proof);
    }
    Ok(Some(made))
}

/// Why the index is not filled anew, but gets the `missing` ones of its table's rows; `None`: it is, and is locked for that.
fn one_by_one(
    (table, index): (pg_sys::Oid, pg_sys::Oid),
    (rows, missing): (u64, u64),
) -> Option<String> {
    if !build_pays(rows, missing) {
        return Some(format!("only {missing} of about {rows} rows are new"));
    }
    in_use(table, index).map(str::to_owned)
}

/// Why the index cannot be filled anew; `None`: it can, and is locked for that.
pub(super) fn in_use(table: pg_sys::Oid, index: pg_sys::Oid) -> Option<&'static str> {
    if opened::is_in_use_here(index) {
        return Some("an open query of this session uses the index");
    }
    let locked = opened::try_to_lock(table, index);
    (!locked).then_some("other sessions use the table or the index")
}

/// What an imported index is made of.
fn composition(imported: &Imported) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    let (rows, inserted) = (imported.rows - imported.inserted, imported.inserted);
    let mut words = format!("{rows} row{} linked as in Chroma's graph", plural(rows));
    if inserted > 0 {
        words += &format!(", {inserted} inserted by pgvector");
    }
    words
}

/// Says what came of it.
fn tell((name, level): (&str, Level), made: &Made, proof: &Proof) {
    let Some(recall) = made.recall else { return };
    let shown = |recall: f64| format!("{recall:.3}");
    let of = match made.way {
        Way::Imported => format!(", {}", made.reason),
        Way::Built | Way::Inserted => String::new(),
    };
    let (way, recall_shown) = (made.way.word(), shown(recall));
    let seconds = made.seconds;
    let text =
        format!("vector index of {name} {way} in {seconds:.1} s: recall@10 {recall_shown}{of}");
    send(level, &text);
    if recall < LOW_RECALL {
        let more: Vec<String> = proof
            .recalls
            .iter()
            .skip(1)
            .map(|(breadth, recall)| format!("{} at {breadth}", shown(*recall)))
            .collect();
        notice!(
            "searches find few of the nearest rows at hnsw.ef_search = {}; recall@10 is {}: SET hnsw.ef_search to what \
             you need",
            proof.recalls.first().map_or(0, |first| first.0),
            more.join(", ")
        );
    }
}

/// What came of an index that was filled.
struct Fresh<R> {
    index: pg_sys::Oid,
    result: R,
}

/// An index under way.
struct Task<'a> {
    table: pg_sys::Oid,
    subject: &'a Subject,
    pgvector: &'a Pgvector,
}

impl Task<'_> {
    /// Defines or empties the index, opens it, and has `work` fill it. All of it is taken back unless `keep` says so of the
    /// result, or if the server refuses a row.
    fn fresh<R>(
        &self,
        keep: impl FnOnce(&Result<R, Error>) -> bool,
        work: impl FnOnce(&Opened, Origin, &VectorIndex) -> Result<R, Error>,
    ) -> Result<Result<R, Refused>, Error> {
        let made = subxact::run(keep, || {
            let (oid, origin) = match self.subject {
                Subject::New(sql) => (define::define(self.table, sql)?, Origin::New),
                Subject::There(index) => (index.oid, Origin::Emptied),
            };
            let described = match self.subject {
                Subject::New(_) => {
                    which::index(self.table, oid, self.pgvector)?.ok_or_else(|| {
                        Error::Bug("a vector index that was defined is not there".into())
                    })?
                }
                Subject::There(index) => *index,
            };
            let opened = Opened::to_fill(self.table, oid);
            if origin == Origin::Emptied {
                define::empty(&opened);
            }
            work(&opened, origin, &described)
        });
        match made {
            Ok(result) => Ok(Ok(result?)),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Imports and proves; the reason where one of the two fails, and then nothing is left of it.
    fn import(
        &self,
        graph: Graph,
        space: Space,
    ) -> Result<Result<Fresh<(Imported, Proof)>, String>, Error> {
        let made = self.fresh(
            |made| matches!(made, Ok(Ok(_))),
            |opened, origin, index| {
                if let Some(why) = judge::unlike(&graph, space, index) {
                    return Ok(Err(why));
                }
                if let Some(why) = trial::refuses(index, self.pgvector)? {
                    return Ok(Err(why));
                }
                let imported = match import::import(opened, origin, index, graph, self.pgvector)? {
                    Ok(imported) => imported,
                    Err(why) => return Ok(Err(why)),
                };
                let proof = proof::prove(opened, index, Reach::Known)?;
                Ok(match judge::unsound(&imported, &proof, index) {
                    Some(why) => Err(why),
                    None => Ok(Fresh {
                        index: index.oid,
                        result: (imported, proof),
                    }),
                })
            },
        )?;
        Ok(made.unwrap_or_else(|refused| Err(refused.message)))
    }

    /// Has pgvector build the index, and measures it where its pages are known.
    fn build(&self, name: &str, rows: u64) -> Result<Result<Fresh<Option<Proof>>, Refused>, Error> {
        self.fresh(Result::is_ok, |opened, origin, index| {
            let load = Load {
                rows,
                value_bytes: index.value_bytes(),
                m: index.m,
            };
            build::with_means(name, load, || fill::build(opened, origin));
            let known = trial::is_tested(self.pgvector);
            let proof = known.then(|| proof::prove(opened, index, Reach::Known));
            Ok(Fresh {
                index: index.oid,
                result: proof.transpose()?,
            })
        })
    }
}
