//! An array as the server keeps it, built element by element.
//!
//! | bytes | field |
//! | --- | --- |
//! | 4 | dimensions: 1, or 0 of an empty array, which ends after the type |
//! | 4 | where the elements begin, the value's header of four bytes included; 0 if none is NULL |
//! | 4 | the elements' type |
//! | 4 | number of elements |
//! | 4 | number of the first one, 1 |
//! | 1 for 8 elements | if one is NULL: a bit for each, from the lowest on, 1 for one that is not NULL |
//! | | the elements that are not NULL; the first at a multiple of eight, the others at one of four, from the header on |
//!
//! An element is four bytes, or a value of variable length with its header. All words are in the machine's byte order.
//! Source: `array.h` in PostgreSQL, `ArrayType`; `CopyArrayEls` in `arrayfuncs.c`.

use super::varlena;
use crate::reason::{Reason, Rejection};

/// Bytes before the null bitmap or the elements of an array of one dimension, the value's header included.
const OVERHEAD: usize = 24;

/// A one-dimensional array under construction.
#[derive(Debug)]
pub struct ArrayImage {
    element: u32,
    count: usize,
    /// The null bitmap.
    there: Vec<u8>,
    has_null: bool,
    elements: Vec<u8>,
}

impl ArrayImage {
    /// An empty array of elements of this type: its OID.
    pub fn new(element: u32) -> ArrayImage {
        ArrayImage {
            element,
            count: 0,
            there: Vec::new(),
            has_null: false,
            elements: Vec::new(),
        }
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        self.has_null = true;
        self.mark(0);
    }

    /// Appends an element of four bytes, as of `integer` or `xid`.
    pub fn push_word(&mut self, word: u32) {
        self.elements.extend_from_slice(&word.to_ne_bytes());
        self.mark(1);
    }

    /// Appends text.
    ///
    /// # Errors
    /// [`Reason::Constraint`] beyond 1 GB.
    pub fn push_text(&mut self, text: &str) -> Result<(), Rejection> {
        let header = varlena::header(text.len().saturating_add(4));
        let header =
            header.ok_or_else(|| Rejection::new(Reason::Constraint, "longer than 1 GB"))?;
        self.elements.extend_from_slice(&header);
        self.elements.extend_from_slice(text.as_bytes());
        let end = self.elements.len().next_multiple_of(4);
        self.elements.resize(end, 0);
        self.mark(1);
        Ok(())
    }

    fn mark(&mut self, there: u8) {
        let bit = self.count % 8;
        match self.there.last_mut().filter(|_| bit > 0) {
            Some(byte) => *byte |= there << bit,
            None => self.there.push(there),
        }
        self.count += 1;
    }

    /// Elements so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the elements so far.
    pub fn bytes(&self) -> usize {
        self.elements.len()
    }

    /// Appends the array, without the value's header, to `out`.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let word = |number: usize| i32::try_from(number).unwrap_or(i32::MAX).to_ne_bytes();
        let bitmap: &[u8] = match self.has_null {
            true => &self.there,
            false => &[],
        };
        let begin = (OVERHEAD + bitmap.len()).next_multiple_of(8);
        out.extend_from_slice(&word(usize::from(self.count > 0)));
        out.extend_from_slice(&word(if self.has_null { begin } else { 0 }));
        out.extend_from_slice(&self.element.to_ne_bytes());
        if self.count == 0 {
            return;
        }
        out.extend_from_slice(&word(self.count));
        out.extend_from_slice(&word(1));
        out.extend_from_slice(bitmap);
        out.resize(out.len() + begin - OVERHEAD - bitmap.len(), 0);
        out.extend_from_slice(&self.elements);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u32 = 25;

    fn words(bytes: &[u8]) -> Vec<u32> {
        let words = bytes.as_chunks().0.iter();
        words.map(|word| u32::from_ne_bytes(*word)).collect()
    }

    #[test]
    fn elements_follow_the_bitmap_of_those_that_are_null() {
        let mut array = ArrayImage::new(TEXT);
        array.push_text("a").unwrap();
        array.push_null();
        array.push_text("1").unwrap();
        let mut out = Vec::new();
        array.append(&mut out);
        // Header, five words, a byte of the bitmap: up to 32.
        assert_eq!(words(&out[..20]), [1, 32, TEXT, 3, 1]);
        assert_eq!(out[20..28], [0b101, 0, 0, 0, 0, 0, 0, 0]);
        let element = |c| [&varlena::header(5).unwrap()[..], &[c, 0, 0, 0]].concat();
        assert_eq!(out[28..], [element(b'a'), element(b'1')].concat());
    }

    #[test]
    fn an_array_without_null_has_no_bitmap_and_an_empty_one_no_length() {
        let mut array = ArrayImage::new(23);
        let mut out = Vec::new();
        array.append(&mut out);
        assert_eq!(words(&out), [0, 0, 23]);
        for word in [7, 8] {
            array.push_word(word);
        }
        out.clear();
        array.append(&mut out);
        assert_eq!(words(&out), [1, 0, 23, 2, 1, 7, 8]);
    }
}
