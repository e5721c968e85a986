//! Reading, mapping and encoding on a thread of its own, batches handed over through a bounded queue.
//!
//! Promise: memory is bounded by bytes (a batch being filled, [`QUEUED`] waiting, one being consumed),
//! whatever the number of records; dropping the consumer stops the thread within one record. Nothing here
//! calls PostgreSQL; the extension blocks signals around [`Worker::spawn`], and the thread inherits that.

mod budget;
mod items;
mod plan;
mod pool;
mod precheck;
mod record_producer;
mod remarks;
mod row_producer;
mod rows;
mod worker;

pub use budget::Budget;
pub use items::{Batch, EncodedRow, EntityTuple, Item};
pub use plan::{EmbeddingMode, Identity, Plan, PlannedCollection};
pub use pool::Pool;
pub use record_producer::{Shown, ShownBatch, ShownRecord, show};
pub use remarks::{Remark, RemarkKind};
pub use row_producer::run;
pub use worker::{Next, Outbox, QUEUED, Sender, Worker};
