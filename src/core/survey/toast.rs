//! What of a row stays in it, and what goes to the TOAST table.
//!
//! Promise: the steps of PostgreSQL's own toaster, in numbers. May import nothing outside this stage.
//!
//! A row of more bytes than the table's target is brought below (2032 by default, more in the content table that we
//! create): its largest values are compressed, the largest first, and one that
//! is still too large alone is moved out; if that is not enough, the largest of the rest are moved out. What is moved
//! out lies in chunks of 1996 bytes; 18 bytes stay behind. pgvector's vectors are moved out but never compressed.

use super::pages::Pages;

/// The server's default target for the bytes of a row.
const DEFAULT_TARGET: u64 = 2032;
/// Bytes that stay in the row of a value that was moved out.
const POINTER: u64 = 18;
const CHUNK: u64 = 1996;
/// A chunk's row beside its data.
const CHUNK_HEADER: u64 = 36;

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    bytes: u64,
    /// What compression would make of it; 0 if that was tried, or never helps.
    packed: u64,
    out: bool,
}

impl Field {
    /// A value of `bytes` that compression makes `packed`; equal if it cannot be compressed.
    pub fn new(bytes: u64, packed: u64) -> Field {
        Field {
            bytes: stored(bytes),
            packed: if packed < bytes { packed } else { 0 },
            out: false,
        }
    }

    /// A value of `bytes` that is not compressed; `None` is NULL.
    pub fn plain(bytes: Option<u64>) -> Field {
        Field {
            bytes: bytes.map_or(0, stored),
            packed: 0,
            out: false,
        }
    }
}

/// A TOAST table with its index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Toast {
    /// A row that is larger is brought below.
    target: u64,
    chunks: u64,
    pages: Pages,
}

impl Default for Toast {
    fn default() -> Toast {
        Toast::with_target(DEFAULT_TARGET)
    }
}

impl Toast {
    /// That of a table with this `toast_tuple_target`.
    pub fn with_target(target: u64) -> Toast {
        Toast {
            target,
            chunks: 0,
            pages: Pages::default(),
        }
    }

    /// Takes a value in chunks.
    fn put(&mut self, bytes: u64) {
        let whole = bytes / CHUNK;
        // Four whole chunks fill a page.
        for _ in 0..whole.min(1 << 20) {
            self.pages.put(CHUNK + CHUNK_HEADER);
        }
        if !bytes.is_multiple_of(CHUNK) {
            self.pages.put(bytes % CHUNK + CHUNK_HEADER);
        }
        self.chunks = self.chunks.saturating_add(bytes.div_ceil(CHUNK));
    }

    /// Number of chunks.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Bytes of the pages.
    pub fn bytes(&self) -> u64 {
        self.pages.bytes()
    }
}

/// The bytes of a row that has `fixed` bytes beside `fields`, its header among them; what does not stay in it goes
/// to `toast`.
pub(super) fn row(fixed: u64, fields: &mut [Field], toast: &mut Toast) -> u64 {
    let mut size = fields
        .iter()
        .fold(fixed, |sum, field| sum.saturating_add(field.bytes));
    while size > toast.target {
        let Some(field) = largest(fields, |field| field.packed > 0) else {
            break;
        };
        size = size.saturating_sub(field.bytes);
        field.bytes = stored(field.packed);
        field.packed = 0;
        if field.bytes > toast.target.saturating_sub(32) {
            move_out(field, toast);
        }
        size = size.saturating_add(field.bytes);
    }
    while size > toast.target {
        let Some(field) = largest(fields, |_| true) else {
            break;
        };
        size = size.saturating_sub(field.bytes);
        move_out(field, toast);
        size = size.saturating_add(field.bytes);
    }
    size
}

fn move_out(field: &mut Field, toast: &mut Toast) {
    toast.put(field.bytes.saturating_sub(4));
    field.bytes = POINTER;
    field.out = true;
}

fn largest(fields: &mut [Field], fits: impl Fn(&Field) -> bool) -> Option<&mut Field> {
    fields
        .iter_mut()
        .filter(|field| !field.out && field.bytes > POINTER && fits(field))
        .max_by_key(|field| field.bytes)
}

/// A value with its length.
pub(super) fn stored(bytes: u64) -> u64 {
    bytes.saturating_add(if bytes <= 126 { 1 } else { 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toasted(fixed: u64, fields: &[(u64, u64)]) -> (u64, u64) {
        let mut toast = Toast::default();
        let mut fields: Vec<Field> = fields
            .iter()
            .map(|(bytes, packed)| Field::new(*bytes, *packed))
            .collect();
        let size = row(fixed, &mut fields, &mut toast);
        (size, toast.chunks())
    }

    #[test]
    fn a_small_row_is_left_alone() {
        assert_eq!(
            toasted(64, &[(100, 10), (1544, 1544)]),
            (64 + 101 + 1548, 0)
        );
    }

    #[test]
    fn a_larger_target_keeps_more_in_the_row() {
        let mut toast = Toast::with_target(8160);
        let mut fields = [Field::new(1000, 300), Field::new(6148, 6148)];
        assert_eq!(row(64, &mut fields, &mut toast), 64 + 1004 + 6152);
        assert_eq!(toast.chunks(), 0);
    }

    #[test]
    fn texts_are_compressed_before_anything_is_moved_out() {
        assert_eq!(
            toasted(64, &[(1000, 300), (1544, 1544)]),
            (64 + 304 + 1548, 0)
        );
    }

    #[test]
    fn the_largest_is_moved_out_when_compression_is_not_enough() {
        assert_eq!(
            toasted(64, &[(1000, 600), (1544, 1544)]),
            (64 + 604 + 18, 1)
        );
        assert_eq!(toasted(64, &[(20_000, 8_000)]), (64 + 18, 5));
    }
}
