//! The header of a value of variable length, as the server keeps it.

/// Most bytes of a value, its header included (`varlena`'s four-byte header has 30 bits for them).
const MOST: usize = 0x3FFF_FFFF;

/// The four-byte header of a value of `total` bytes, these four included; `None` beyond 1 GB. Source: `varatt.h`
/// (`postgres.h` before 16) in PostgreSQL, `SET_VARSIZE_4B`: the length, in a little-endian machine's two bits higher.
pub(super) fn header(total: usize) -> Option<[u8; 4]> {
    let total = u32::try_from(total).ok().filter(|_| total <= MOST)?;
    let word = if cfg!(target_endian = "little") {
        total << 2
    } else {
        total
    };
    Some(word.to_ne_bytes())
}

/// The bytes of a value, the header included, that has this header.
pub fn total(header: [u8; 4]) -> usize {
    let word = u32::from_ne_bytes(header);
    let total = if cfg!(target_endian = "little") {
        word >> 2
    } else {
        word & 0x3FFF_FFFF
    };
    usize::try_from(total).unwrap_or(usize::MAX)
}
