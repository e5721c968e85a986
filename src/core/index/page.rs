//! One page of an index: built as PostgreSQL builds it, read without trust.
//!
//! Promise: what is built is byte for byte what `PageInit` and `PageAddItem` (`bufpage.c`) make of the same tuples,
//! with pgvector's special area; reading checks every position and length, and answers any 8192 bytes with a tuple or
//! an error. Numbers are little-endian and pages have 8192 bytes: elsewhere [`super::rewrite`] finds the difference.
//! Imports std and thiserror only.
//!
//! ```text
//! 0        8       10     12     14     16       18            20         24              lower   upper    8184      8192
//! | LSN    | sum   | flags| lower| upper| special| size,version| prune xid| line pointers | free   | tuples | special |
//! ```

use thiserror::Error;

/// Bytes of a page.
pub const PAGE: usize = 8192;

/// The bytes of a page.
pub type Page = [u8; PAGE];

/// Bytes of a page's header; line pointers, and the content of the meta page, begin here.
pub(super) const HEADER: usize = 24;

/// Where pgvector's special area begins: next block (4 bytes), unused (2), page id (2).
const SPECIAL: usize = PAGE - 8;

/// Bytes of a line pointer.
pub(super) const POINTER: usize = 4;

/// Most bytes of a tuple on a page, `HNSW_MAX_SIZE` in pgvector: what is free on an empty page.
pub const MOST: usize = PAGE - HEADER - 8 - POINTER;

/// `pd_pagesize_version`: the size, with the layout's version in the low byte.
const SIZE_AND_VERSION: u16 = 8192 | 4;

/// `HNSW_PAGE_ID`.
const PAGE_ID: u16 = 0xFF90;

/// `InvalidBlockNumber`.
pub(super) const NO_BLOCK: u32 = u32::MAX;

/// `LP_UNUSED` and `LP_NORMAL`, the flags of line pointers that an index of pgvector's has.
const UNUSED: u32 = 0;
const NORMAL: u32 = 1;

/// Why a page or tuple could not be read or made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PageError {
    /// A page whose header has this field out of range.
    #[error("the page header's {0} is out of range")]
    Header(&'static str),
    /// A page that is not pgvector's.
    #[error("the page is not one of pgvector's HNSW index")]
    Foreign,
    /// A line pointer that the page does not have.
    #[error("the page has no line pointer {0}")]
    NoPointer(u16),
    /// A line pointer that leads out of the page's tuples.
    #[error("line pointer {0} leads out of the page's tuples")]
    Pointer(u16),
    /// A tuple that is not of the type that was to be read.
    #[error("the tuple has type {found}, not {expected}")]
    Type {
        /// The type it has.
        found: u8,
        /// The type it should have.
        expected: u8,
    },
    /// A tuple that ends before its contents do.
    #[error("the tuple ends too early, after {0} bytes")]
    Short(usize),
    /// A value whose header is not that of a plain value inside the tuple.
    #[error("the header of the element's value is not valid")]
    Value,
    /// A meta page whose content is not pgvector's.
    #[error("the meta page's {0} is not valid")]
    Meta(&'static str),
    /// An index of pgvector's that is not whole.
    #[error("the index has no {0}")]
    Missing(&'static str),
    /// A setting that pgvector does not allow.
    #[error("{what} is {value}, which pgvector does not allow")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: usize,
    },
    /// An element of a level that has no room on a page.
    #[error("level {level} is above the highest for this index, {highest}")]
    Level {
        /// The level.
        level: u8,
        /// The highest that pgvector gives.
        highest: u8,
    },
    /// More pages than an index can have.
    #[error("the index has more pages than PostgreSQL can number")]
    TooManyPages,
    /// A tuple for which the page has no room.
    #[error("the page has no room for a tuple of {0} bytes")]
    Full(usize),
    /// An element with no heap tuple, or with more than an element has room for.
    #[error("an element cannot have {0} heap tuples")]
    HeapTids(usize),
    /// A value of another size than all others.
    #[error("a value has {found} bytes, the others {expected}")]
    Size {
        /// Its bytes.
        found: usize,
        /// The bytes of all others.
        expected: usize,
    },
    /// More links than a layer has room for.
    #[error("an element has {count} links on layer {layer}, more than its {most} places")]
    Links {
        /// The layer.
        layer: u8,
        /// The links.
        count: usize,
        /// The places.
        most: usize,
    },
    /// Elements that are not those that were placed.
    #[error("the elements do not come as they were placed (element {0})")]
    Placement(usize),
}

/// `MAXALIGN`: the next multiple of eight.
pub(super) const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// Makes `page` an empty one of pgvector's, with no next block (`HnswInitPage`).
pub fn init(page: &mut Page) {
    page.fill(0);
    put_u16(page, 12, of_page(HEADER));
    put_u16(page, 14, of_page(SPECIAL));
    put_u16(page, 16, of_page(SPECIAL));
    put_u16(page, 18, SIZE_AND_VERSION);
    put_u32(page, SPECIAL, NO_BLOCK);
    put_u16(page, SPECIAL + 6, PAGE_ID);
}

/// An empty page, see [`init`].
pub fn empty() -> Page {
    let mut page = [0; PAGE];
    init(&mut page);
    page
}

/// Bytes of a tuple that the page still has room for, its line pointer apart (`PageGetFreeSpace`).
pub fn free(page: &Page) -> usize {
    let between = usize::from(u16_at(page, 14)).saturating_sub(usize::from(u16_at(page, 12)));
    between.saturating_sub(POINTER)
}

/// Adds a tuple of `len` zero bytes behind the others (`PageAddItem`): its offset number, and its place to be filled.
///
/// # Errors
///
/// [`PageError::Full`] where the page has no room for it.
pub fn add(page: &mut Page, len: usize) -> Result<(u16, &mut [u8]), PageError> {
    let full = PageError::Full(len);
    if len > MOST {
        return Err(full);
    }
    let lower = usize::from(u16_at(page, 12));
    let upper = usize::from(u16_at(page, 14));
    let start = upper
        .checked_sub(aligned(len))
        .filter(|&start| start >= lower + POINTER);
    let Some(start) = start else { return Err(full) };
    let pointer = u32::from(of_page(start)) | NORMAL << 15 | u32::from(of_page(len)) << 17;
    put_u32(page, lower, pointer);
    put_u16(page, 12, of_page(lower + POINTER));
    put_u16(page, 14, of_page(start));
    let offset = of_page(lower.saturating_sub(HEADER) / POINTER + 1);
    match page.get_mut(start..start + len) {
        Some(place) => Ok((offset, place)),
        None => Err(full),
    }
}

/// Sets the block that follows in the index's chain.
pub fn set_next(page: &mut Page, next: u32) {
    put_u32(page, SPECIAL, next);
}

/// Puts the meta page's content behind the header of an empty page.
pub(super) fn set_content(page: &mut Page, content: &[u8]) {
    let end = HEADER + content.len();
    if let Some(place) = page.get_mut(HEADER..end) {
        place.copy_from_slice(content);
        put_u16(page, 12, of_page(end));
    }
}

/// Where two pages differ first, the LSN and the checksum apart: these are the server's own when it writes a page.
pub fn difference(a: &Page, b: &Page) -> Option<usize> {
    if a.get(10..) == b.get(10..) {
        return None;
    }
    let differ = |(at, (x, y)): (usize, (&u8, &u8))| (at >= 10 && x != y).then_some(at);
    a.iter().zip(b).enumerate().find_map(differ)
}

/// Whether two pages are the same, the LSN and the checksum apart.
pub fn same(a: &Page, b: &Page) -> bool {
    difference(a, b).is_none()
}

/// A page that was read: its header is known to be valid, its tuples are checked one by one.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    page: &'a Page,
    upper: usize,
    count: u16,
}

impl<'a> View<'a> {
    /// Checks the header and the special area.
    ///
    /// # Errors
    ///
    /// [`PageError::Header`] for a field out of range, [`PageError::Foreign`] for a page that is not pgvector's.
    pub fn of(page: &'a Page) -> Result<View<'a>, PageError> {
        let lower = usize::from(u16_at(page, 12));
        let upper = usize::from(u16_at(page, 14));
        if u16_at(page, 18) != SIZE_AND_VERSION {
            return Err(PageError::Header("size or version"));
        }
        if usize::from(u16_at(page, 16)) != SPECIAL {
            return Err(PageError::Header("special area"));
        }
        if u16_at(page, SPECIAL + 6) != PAGE_ID {
            return Err(PageError::Foreign);
        }
        if upper > SPECIAL {
            return Err(PageError::Header("upper end of free space"));
        }
        if lower < HEADER || lower > upper || !lower.is_multiple_of(POINTER) {
            return Err(PageError::Header("lower end of free space"));
        }
        let count = of_page((lower - HEADER) / POINTER);
        Ok(View { page, upper, count })
    }

    /// The number of line pointers.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The tuple of a line pointer (from 1); `None` where the line pointer is unused.
    ///
    /// # Errors
    ///
    /// [`PageError::NoPointer`] beyond [`count`](Self::count), [`PageError::Pointer`] where it does not lead to a
    /// tuple.
    pub fn tuple(&self, offset: u16) -> Result<Option<&'a [u8]>, PageError> {
        if offset == 0 || offset > self.count {
            return Err(PageError::NoPointer(offset));
        }
        let pointer = u32_at(self.page, HEADER + (usize::from(offset) - 1) * POINTER);
        let start = low_15(pointer);
        let end = start + low_15(pointer >> 17);
        match pointer >> 15 & 3 {
            UNUSED => Ok(None),
            NORMAL if start >= self.upper && start.is_multiple_of(8) && end <= SPECIAL => {
                Ok(self.page.get(start..end))
            }
            _ => Err(PageError::Pointer(offset)),
        }
    }

    /// The block that follows in the index's chain.
    pub fn next(&self) -> Option<u32> {
        Some(u32_at(self.page, SPECIAL)).filter(|&block| block != NO_BLOCK)
    }

    /// The meta page's content.
    pub(super) fn content(&self) -> &'a [u8] {
        self.page.get(HEADER..SPECIAL).unwrap_or_default()
    }
}

/// The lower 15 bits, a position or length in a line pointer.
fn low_15(bits: u32) -> usize {
    // At most 32767: it always fits.
    usize::try_from(bits & 0x7FFF).unwrap_or_default()
}

/// A position in a page, or a number of bytes of it, as the 16 bits in which the page has it.
fn of_page(value: usize) -> u16 {
    // At most 8192: it always fits.
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// The two bytes at a position; zero beyond the end.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

/// The four bytes at a position; zero beyond the end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The bytes at a position; zeros beyond the end.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or([0; N])
}

/// Puts two bytes at a position; nothing beyond the end.
pub(super) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

/// Puts four bytes at a position; nothing beyond the end.
pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

/// Puts bytes at a position; nothing where they would go beyond the end.
pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..value.len()))
    {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
