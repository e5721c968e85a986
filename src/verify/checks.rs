//! What was found, as lines of the answer.

use serde_json::{Value, json};

use super::findings::{Compared, Finding, Findings, Meaning, NAMED, Named};
use crate::ledger::{PastTarget, RunCollection};

/// A line of the answer.
#[derive(Debug)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Of which collection; `None`: of a table, or of the run.
    pub collection: Option<String>,
    /// It is as it should be.
    pub passed: bool,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub actual: String,
    /// More about it.
    pub detail: Option<Value>,
}

/// A table that is where it was, or is not.
pub fn table(past: &PastTarget, now: Option<&str>) -> Check {
    Check {
        name: "table",
        collection: None,
        passed: now == Some(&past.name),
        expected: past.name.clone(),
        actual: now.unwrap_or("dropped").to_owned(),
        detail: None,
    }
}

/// Collections of the run that the store does not have any more, `gone` of `all`; `None` if there are none.
pub fn store(gone: &[&str], all: usize) -> Option<Check> {
    let first = gone.first()?;
    let some = gone.len() < all;
    Some(Check {
        name: if some { "changed since" } else { "store" },
        collection: None,
        passed: some,
        expected: format!("{all} collections of the run in the store"),
        actual: format!("{}", all - gone.len()),
        detail: Some(json!({"gone": gone.iter().take(NAMED).collect::<Vec<_>>(), "first": first})),
    })
}

/// The lines about the rows of one table.
pub fn rows(
    findings: &Findings,
    judged: &[(Finding, Meaning)],
    written: &[RunCollection],
    columns: &[String],
) -> Vec<Check> {
    let mut checks = Vec::new();
    for (number, collection) in written.iter().enumerate() {
        let of: Vec<&(Finding, Meaning)> = (judged.iter())
            .filter(|it| it.0.collection == number)
            .collect();
        let line = |name, passed, expected: u64, actual: u64, detail| Check {
            name,
            collection: Some(collection.name.clone()),
            passed,
            expected: expected.to_string(),
            actual: actual.to_string(),
            detail,
        };
        let counts = findings.counts.iter().filter(|it| it.0.0 == number);
        let (mut expected, mut there) = (0, 0);
        let mut any = false;
        for ((_, user), count) in counts {
            any = true;
            expected += count.expected;
            there += count.there;
            let user = user.as_ref().map(|user| json!({"user_id": user}));
            let same = count.expected == count.there;
            checks.push(line("counts", same, count.expected, count.there, user));
        }
        if !any {
            checks.push(line("counts", true, 0, 0, None));
        }
        let missing = named(&of, Meaning::Missing);
        let list = (missing.count > 0).then(|| json!({"missing": missing.first}));
        checks.push(line("ids", missing.count == 0, expected, there, list));
        let Compared { rows, vectors } =
            findings.compared.get(&number).copied().unwrap_or_default();
        let differing = |which: fn(&Finding) -> bool| {
            let differs = |it: &&&(Finding, Meaning)| it.1 == Meaning::Differs && which(&it.0);
            let all: Vec<&Finding> = of.iter().filter(differs).map(|it| &it.0).collect();
            let shown: Vec<Value> = all
                .iter()
                .take(NAMED)
                .map(|it| shown(it, columns))
                .collect();
            let detail = (!shown.is_empty()).then(|| json!({"differences": shown}));
            (all.len() as u64, detail)
        };
        let (count, detail) = differing(|it| !it.unequal.columns.is_empty());
        checks.push(line(
            "rows",
            count == 0,
            rows,
            rows.saturating_sub(count),
            detail,
        ));
        let (count, detail) = differing(|it| it.unequal.vector);
        let same = vectors.saturating_sub(count);
        checks.push(line("vectors", count == 0, vectors, same, detail));
        checks.extend(left_out(findings, number, &collection.name));
        checks.extend(changed(&of, columns, &collection.name));
    }
    checks
}

fn named(of: &[&(Finding, Meaning)], meaning: Meaning) -> Named {
    let mut named = Named::default();
    for (finding, _) in of.iter().filter(|it| it.1 == meaning) {
        named.add(&finding.record);
    }
    named
}

fn shown(finding: &Finding, columns: &[String]) -> Value {
    let mut differing: Vec<&str> = (finding.unequal.columns.iter())
        .filter_map(|at| columns.get(*at).map(String::as_str))
        .collect();
    if finding.unequal.vector {
        differing.push("vector");
    }
    json!({"id": finding.record, "user_id": finding.user, "columns": differing})
}

/// The records of a collection that are no rows.
fn left_out(findings: &Findings, number: usize, collection: &str) -> Option<Check> {
    let of = (findings.left_out.iter()).filter(|it| it.0.0 == number);
    let reasons: serde_json::Map<String, Value> = of
        .clone()
        .map(|((_, reason), named)| {
            let shown = json!({"records": named.count, "first": named.first});
            (reason.clone(), shown)
        })
        .collect();
    let count: u64 = of.map(|it| it.1.count).sum();
    (count > 0).then(|| Check {
        name: "left out",
        collection: Some(collection.to_owned()),
        passed: true,
        expected: count.to_string(),
        actual: count.to_string(),
        detail: Some(Value::Object(reasons)),
    })
}

/// The records of a collection that the application or Chroma has changed since.
fn changed(of: &[&(Finding, Meaning)], columns: &[String], collection: &str) -> Option<Check> {
    let by = |meaning: Meaning| -> Vec<&Finding> {
        let changed = of.iter().filter(|it| it.1 == meaning);
        changed.map(|it| &it.0).collect()
    };
    let (application, chroma) = (by(Meaning::Application), by(Meaning::Chroma));
    let count = application.len() + chroma.len();
    let list = |all: &[&Finding]| {
        let first: Vec<Value> = all
            .iter()
            .take(NAMED)
            .map(|it| shown(it, columns))
            .collect();
        json!({"records": all.len(), "first": first})
    };
    (count > 0).then(|| Check {
        name: "changed since",
        collection: Some(collection.to_owned()),
        passed: true,
        expected: "0".to_owned(),
        actual: count.to_string(),
        detail: Some(json!({"application": list(&application), "chroma": list(&chroma)})),
    })
}
