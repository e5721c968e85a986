//! Reading, mapping and encoding on a thread of its own, batches handed over through a bounded queue.
//!
//! Promise: memory is bounded by bytes (a batch being filled, [`QUEUED`] waiting, one being consumed),
//! whatever the number of records; dropping the consumer stops the thread within one record. Nothing here
//! calls PostgreSQL; the extension blocks signals around [`Worker::spawn`], and the thread inherits that.

mod budget;
mod feeding;
mod known;
mod lines;
mod pool;
mod rows;
mod worker;

pub use budget::Budget;
pub use feeding::run;
pub use lines::{Line, Lines, Shown, Unshown, show};
pub use pool::Pool;
pub use rows::{Batch, EntityTuple, Item, Mode, Plan, Row};
pub use worker::{Next, Outbox, QUEUED, Sender, Worker};
