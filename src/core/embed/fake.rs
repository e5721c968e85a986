//! A deterministic embedder for unit tests: no model, no runtime.
//!
//! Promise: equal texts have equal vectors, texts that share words are near each other, every vector has
//! length 1. Imports nothing of this crate but the trait.

use super::{EmbedError, Embedder};

/// Hashes each word into the vector.
#[derive(Debug, Clone)]
pub struct FakeEmbedder {
    dimension: usize,
}

impl FakeEmbedder {
    /// An embedder of `dimension` components, at least one.
    pub fn new(dimension: usize) -> FakeEmbedder {
        FakeEmbedder {
            dimension: dimension.max(1),
        }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.dimension];
        // A text without words has a vector too.
        sums[0] = 0.01;
        for word in text.split_whitespace() {
            // FNV-1a: the same on every machine and in every release of Rust.
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for byte in word.to_lowercase().bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            for sum in &mut sums {
                hash = (hash ^ (hash >> 29))
                    .wrapping_mul(0x0100_0000_01b3)
                    .rotate_left(17);
                *sum += f32::from((hash >> 48) as u16) / 32_768.0 - 1.0;
            }
        }
        let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
        sums.iter().map(|sum| sum / length).collect()
    }
}

impl Embedder for FakeEmbedder {
    fn name(&self) -> &str {
        "fake"
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(texts: &[&str]) -> Vec<Vec<f32>> {
        FakeEmbedder::new(32).embed(texts).unwrap()
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn vectors_have_length_one_and_the_dimension_asked_for() {
        for vector in embed(&["", "one", "one two three"]) {
            assert_eq!(vector.len(), 32);
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn a_text_has_one_vector_alone_or_in_company() {
        assert_eq!(embed(&["a b"])[0], embed(&["x", "a b"])[1]);
    }

    #[test]
    fn texts_that_share_words_are_nearer() {
        let vectors = embed(&["red apple pie", "red apple cake", "seven long rivers"]);
        assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
    }
}
