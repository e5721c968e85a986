//! How much the texts of a column shrink, learnt from some of them.
//!
//! Promise: the cost of a text that is not looked at is a division. May import nothing outside this stage.

use super::pglz;
use super::toast::Field;

/// Rows whose texts are all compressed to learn how much they shrink; then one in so many.
const SAMPLES: u64 = 64;
/// Bytes of a text that are compressed.
const SAMPLE: usize = 32 * 1024;
/// How much the texts of a column shrink.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    met: u64,
    whole: u64,
    packed: u64,
}

impl Sample {
    /// The field of `text`, whose bytes in the column are what `size` says.
    pub fn field(&mut self, text: &str, size: impl Fn(&str) -> u64) -> Field {
        let bytes = size(text);
        if bytes < 128 {
            return Field::plain(Some(bytes));
        }
        if self.met < SAMPLES || self.met.is_multiple_of(SAMPLES) {
            let sample = text.as_bytes().get(..SAMPLE).unwrap_or(text.as_bytes());
            let packed = pglz::compressed(sample);
            self.whole = self.whole.saturating_add(width(sample.len()));
            self.packed = self.packed.saturating_add(width(packed));
        }
        self.met = self.met.saturating_add(1);
        let packed = u128::from(bytes) * u128::from(self.packed) / u128::from(self.whole.max(1));
        Field::new(bytes, u64::try_from(packed).unwrap_or(bytes))
    }
}

/// A length in memory as a number of bytes.
pub(super) fn width(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
