//! Rows by a statement: for tables whose rows the server has to plan or change on their way in.

use pgrx::datum::DatumWithOid;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

use super::decode::Decoder;
use super::{Destination, Supply, bulk_rows};
use crate::error::Error;
use crate::{lock, spi};

/// Inserts what the supply gives by one statement; the number of rows that the server says it stored.
///
/// # Errors
/// [`Error::Bug`]; the server's own are raised.
pub(super) fn insert(to: &Destination, supply: &mut dyn Supply) -> Result<u64, Error> {
    let columns: Vec<String> = names(to).map(spi::ident).collect();
    let overriding = match to.overrides || to.numbers.names().next().is_some() {
        true => "OVERRIDING SYSTEM VALUE ",
        false => "",
    };
    run(to, supply, |rows| {
        format!(
            "INSERT INTO {} ({}) {overriding}{rows}",
            to.name,
            columns.join(", ")
        )
    })
}

/// Runs the statement that `sql` makes of a subquery that gives the rows.
///
/// # Errors
/// As [`insert`].
pub(super) fn run(
    to: &Destination,
    supply: &mut dyn Supply,
    sql: impl Fn(&str) -> String,
) -> Result<u64, Error> {
    let relation = lock::open_for_writing(to.oid);
    let decoder = Decoder::new(&relation, to);
    let sql = sql(&subquery(to));
    bulk_rows::supplying(&relation, &decoder, supply, || spi::write(&sql, &[]))
}

/// The answer to a query of rows of the destination's own type, whose fields are those that the supply gives, the others NULL:
/// `rows` makes one of them in a select list. Nothing is written.
///
/// # Errors
/// As [`insert`].
pub(super) fn read<T>(
    to: &Destination,
    supply: &mut dyn Supply,
    sql: &str,
    args: &[DatumWithOid<'_>],
    take: impl Fn(&SpiHeapTupleData<'_>) -> SpiResult<T>,
) -> Result<Vec<T>, Error> {
    let relation = lock::open_for_reading(to.oid);
    let decoder = Decoder::new(&relation, to);
    bulk_rows::supplying(&relation, &decoder, supply, || spi::read(sql, args, take))
}

/// The columns that are filled.
fn names(to: &Destination) -> impl Iterator<Item = &str> {
    let columns = to.columns.iter().map(|column| column.name.as_str());
    columns.chain(to.numbers.names())
}

/// SELECT of the columns from the function. OFFSET 0 keeps it one call for all columns; in the select list its rows are not
/// collected before they are used, as they would be in FROM.
fn subquery(to: &Destination) -> String {
    let columns: Vec<String> = names(to)
        .map(spi::ident)
        .map(|column| format!("(b.r).{column} AS {column}"))
        .collect();
    format!(
        "SELECT {} FROM (SELECT vector_migrate.bulk_rows(NULL::{}) AS r OFFSET 0) b",
        columns.join(", "),
        to.name
    )
}
