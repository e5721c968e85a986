//! A verification: the run's tables one after the other, each compared with what its collections have now.

use std::collections::HashMap;

use vector_migrate_core::pipeline::{Batch, EncodedRow, Identity, Item, PlannedCollection};
use vector_migrate_core::reason::Reason;
use vector_migrate_core::record::Collection;
use vector_migrate_core::source::Source as _;

use super::checks::{self, Check};
use super::compare::{Comparer, Given};
use super::findings::Findings;
use super::subject::{self, Standing, Subject};
use crate::error::Error;
use crate::ledger::{self, PastRun};
use crate::reader::{self, Opened, Size};
use crate::run::{Arguments, Options, PlannedReader};
use crate::{access, interrupt, subxact};

/// A field of NULL, in place of a vector that the store does not have.
const NULL_FIELD: [u8; 4] = [0; 4];

/// Compares the tables of `run` (`None`: the caller's newest) with the store that it read; all rows, or a share.
///
/// # Errors
/// [`Error::NoRun`], [`Error::UnknownRun`], [`Error::RolledBack`]; what the access check and the store refuse; the server's own.
pub fn verify(run: Option<i64>, full: bool) -> Result<Vec<Check>, Error> {
    let past = ledger::past_run(run)?;
    let place = access::check(Some(&past.path))?;
    let options = Options::check(Arguments::recorded(&past.options))?;
    let Opened { store, stop, sizes } = reader::open(place)?;
    let there: HashMap<String, (Collection, Size)> = (store.collections().iter().cloned())
        .zip(sizes)
        .map(|(collection, size)| (collection.id.clone(), (collection, size)))
        .collect();
    let (mut checks, mut subjects, mut gone, mut all) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let wanted = past.targets.iter().map(|it| it.sources.len() as u64).sum();
    for target in &past.targets {
        all += target.sources.len();
        let missing = target.sources.iter().filter(|id| !there.contains_key(*id));
        gone.extend(missing.map(String::as_str));
        let collections: Vec<(Collection, Size)> = (target.sources.iter())
            .filter_map(|id| there.get(id).cloned())
            .collect();
        match subject::standing(target)? {
            Standing::Moved(now) => checks.push(checks::table(target, now.as_deref())),
            Standing::There(place) => {
                checks.push(checks::table(target, Some(&target.name)));
                let of = (target, &place);
                subjects.push(subject::subject(&options, of, &collections, wanted, full)?);
            }
        }
    }
    checks.extend(checks::store(&gone, all));
    let first = subjects.iter().flat_map(|it| &it.plan.collections).next();
    let first = first.map(|it: &PlannedCollection| it.collection.clone());
    let mut reading = PlannedReader::begin(store, stop, first, full, subjects.len())?;
    for subject in subjects {
        checks.extend(of_table(&past, subject, &mut reading)?);
    }
    reading.end()?;
    Ok(checks)
}

fn of_table(
    past: &PastRun,
    subject: Subject,
    reading: &mut PlannedReader,
) -> Result<Vec<Check>, Error> {
    let Subject {
        target,
        written,
        keys,
        plan,
    } = subject;
    let pool = plan.pool.clone();
    let comparer = Comparer::new(&target)?;
    let mut findings = Findings::default();
    reading.follow(plan, None);
    while let Some(batch) = reading.next()? {
        interrupt::check();
        let (tuples, to_compare) = sort(batch, &mut findings);
        let mut rest = to_compare.into_iter().peekable();
        while let Some(first) = rest.next() {
            let number = first.collection;
            let mut rows = vec![first];
            while let Some(next) = rest.next_if(|it| it.collection == number) {
                rows.push(next);
            }
            let collection = written.get(number);
            let source = collection.map_or("", |it| it.source.as_str());
            let given = rows.into_iter().map(|row| {
                let key = match target.identity {
                    Identity::Record => row.key.clone(),
                    Identity::NewUuid | Identity::Number => keys
                        .get(&(source.to_owned(), row.record_id.clone()))
                        .cloned()
                        .unwrap_or_default(),
                };
                let mut tuple = tuples.get(row.tuple.clone()).unwrap_or_default().to_vec();
                if !row.has_vector {
                    tuple.extend(NULL_FIELD);
                }
                Given { row, key, tuple }
            });
            let given: Vec<Given> = given.collect();
            let key = collection.map_or("", |it| it.key.as_str());
            compare(&comparer, key, given, &mut findings)?;
        }
        pool.give(tuples);
    }
    let judged = findings.judge(past, &target, &written)?;
    Ok(checks::rows(
        &findings,
        &judged,
        &written,
        &comparer.columns,
    ))
}

/// Compares rows of one collection, halved where the table's types refuse one: such a record can be no row.
fn compare(
    comparer: &Comparer,
    collection: &str,
    given: Vec<Given>,
    findings: &mut Findings,
) -> Result<(), Error> {
    match subxact::run(|_| false, || comparer.unequal(collection, &given)) {
        Ok(unequal) => {
            findings.compared(given, unequal?);
            return Ok(());
        }
        Err(refused) if !refused.is_about_a_value() => return Err(Error::Refused(refused)),
        Err(_) => {}
    }
    if let [one] = given.as_slice() {
        let (collection, id) = (one.row.collection, &one.row.record_id);
        findings.no_row(collection, id, Reason::Constraint.as_str());
        return Ok(());
    }
    let mut given = given;
    let rest = given.split_off(given.len() / 2);
    compare(comparer, collection, given, findings)?;
    compare(comparer, collection, rest, findings)
}

/// Counts what needs no comparing; gives the rows that do, and what their tuples lie in.
fn sort(batch: Batch, findings: &mut Findings) -> (Vec<u8>, Vec<EncodedRow>) {
    let mut rows = Vec::new();
    for item in batch.items {
        match item {
            Item::Row(row) if row.tuple.is_empty() => findings.there(row.collection, row.user),
            Item::Row(row) => rows.push(row),
            Item::Rejected {
                collection,
                record_id,
                rejection,
                ..
            } => findings.no_row(collection, &record_id, rejection.reason.as_str()),
            Item::Warning(_) => {}
        }
    }
    (batch.tuples, rows)
}
