//! Tuples of a dry run in the table itself: with numbers where a sequence would have given them.

use std::cell::Cell;

use crate::tables::Filler;

/// Counts the rows that got numbers instead of a sequence's.
#[derive(Debug, Default)]
pub struct Fillers {
    next: Cell<u32>,
}

impl Fillers {
    /// The tuple with its embedding and a number for each of `fillers`.
    pub fn fill(&self, tuple: &[u8], vector: &[u8], fillers: &[Filler]) -> Vec<u8> {
        let n = self.next.get();
        self.next.set(n.wrapping_add(1));
        let (count, fields) = tuple.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
        let more = i16::try_from(fillers.len()).unwrap_or(0);
        let count = i16::from_be_bytes(*count).saturating_add(more);
        let mut whole = [&count.to_be_bytes(), fields, vector].concat();
        for filler in fillers {
            whole.extend(filler.field(n));
        }
        whole
    }
}
