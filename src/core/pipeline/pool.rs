//! Buffers that go round between the two threads.
//!
//! A batch's buffer is some megabytes. Made anew for each batch, every page of it would be a fault and a page to be
//! cleared, twice the bytes would be moved while it grows, and each one given back would stop both threads for a moment.

use std::sync::{Arc, Mutex, PoisonError};

/// Empty buffers that have been in use. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    /// An empty buffer; with room if one was given back.
    pub fn take(&self) -> Vec<u8> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_with_its_room() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.extend_from_slice(&[1; 100]);
        pool.clone().give(buffer);
        let buffer = pool.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
        assert_eq!(pool.take().capacity(), 0);
    }
}
