//! Hashes of vectors, with keys that nobody outside knows.
//!
//! Promise: a store cannot be made so that its vectors collide: the keys are the operating system's random numbers, and
//! the function is std's (SipHash-1-3). Imports nothing of this crate.

use std::hash::{BuildHasher, Hasher, RandomState};

/// What the components of a row's vector are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `f32`: pgvector's `vector`.
    Single,
    /// `f16`: pgvector's `halfvec`.
    Half,
}

impl Form {
    /// Bytes of a component.
    pub fn bytes(self) -> usize {
        match self {
            Form::Single => 4,
            Form::Half => 2,
        }
    }

    /// Sign, exponent and the first three bits of the fraction of a component. Vectors have many round components, which
    /// rounding may move to either side: so the limits are at fractions that are not round.
    fn rough(self, component: &[u8]) -> u16 {
        match (self, component) {
            (Form::Single, [a, b, c, d]) => {
                let bits = u32::from_le_bytes([*a, *b, *c, *d]).wrapping_add(0x0005_9ce5);
                u16::try_from(bits >> 20).unwrap_or(0)
            }
            (Form::Half, [a, b]) => u16::from_le_bytes([*a, *b]).wrapping_add(0x002d) >> 7,
            _ => 0,
        }
    }
}

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

    /// Hashes what is left of a vector when its components are cut to three bits: the same for nearly all pairs of
    /// vectors that differ in the last places of their components.
    pub(super) fn rough(&self, vector: &[u8], form: Form) -> u32 {
        let mut hasher = self.0.build_hasher();
        let mut piece = [0; 512];
        for components in vector.chunks(form.bytes().saturating_mul(piece.len() / 2)) {
            let mut size = 0_usize;
            let each = components.chunks_exact(form.bytes());
            for (place, component) in piece.chunks_exact_mut(2).zip(each) {
                place.copy_from_slice(&form.rough(component).to_le_bytes());
                size = size.saturating_add(2);
            }
            hasher.write(piece.get(..size).unwrap_or_default());
        }
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}
