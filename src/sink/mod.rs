//! Rows into tables.
//!
//! Promise: what the server refuses becomes that record's error and nothing else's; what is counted is
//! what the server stored. Must not import anything of the store or the model's library.

#[allow(unsafe_code)]
mod after;
mod batch;
mod bulk;
#[allow(unsafe_code)]
mod copy;
#[allow(unsafe_code)]
mod defaults;
mod existing;
mod fillers;
#[allow(unsafe_code)]
mod heap;
#[allow(unsafe_code)]
mod insert;
mod known;
mod load;
mod pending;
#[allow(unsafe_code)]
mod plain;
mod reach;
mod ready;
mod select;
mod update;
mod users;

pub use batch::{OnConflict, Sink, Standing};
pub use copy::copy_tuples;
pub use known::known_keys;
pub use plain::takes;
pub use reach::Reach;
