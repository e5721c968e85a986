//! Hashes of vectors, with keys that nobody outside knows.
//!
//! Promise: a store cannot be made so that its vectors collide: the keys are the operating system's random numbers, and
//! the function is std's (SipHash-1-3). Imports nothing of this crate.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The keys of one graph.
#[derive(Debug, Clone, Default)]
pub struct Keys(RandomState);

impl Keys {
    /// Hashes the components of a vector, little-endian, as a row holds them.
    pub fn hash(&self, vector: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(vector);
        hasher.finish()
    }

    /// Hashes the same bytes independently of [`Keys::hash`], for a second opinion on whether two vectors are equal.
    pub fn check(&self, vector: &[u8]) -> u64 {
        // A keyed function of another text: that the first hashes of two texts collide says nothing of these.
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(u64::MAX);
        hasher.write(vector);
        hasher.finish()
    }
}
