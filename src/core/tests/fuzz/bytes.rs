//! Changes to a file's bytes.

use fastrand::Rng;

/// Numbers at which sizes, counts and labels go wrong.
const NUMBERS: [u64; 22] = [
    0,
    1,
    2,
    3,
    7,
    8,
    99,
    100,
    101,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Where the fields of `header.bin` begin.
const HEADER_FIELDS: [usize; 13] = [0, 4, 12, 20, 28, 36, 44, 52, 56, 60, 68, 76, 84];

/// A number of the list, or near one, or any.
pub fn number(rng: &mut Rng) -> u64 {
    let near = rng.choice(NUMBERS).unwrap_or(0);
    match rng.u8(..4) {
        0 => rng.u64(..),
        1 => near.wrapping_add(rng.u64(..16)).wrapping_sub(8),
        _ => near,
    }
}

/// Random bytes, fewer than `below`.
pub fn noise(rng: &mut Rng, below: usize) -> Vec<u8> {
    (0..rng.usize(..below)).map(|_| rng.u8(..)).collect()
}

/// A part of `0..length` of at most `most`.
fn part(rng: &mut Rng, length: usize, most: usize) -> std::ops::Range<usize> {
    let start = rng.usize(..=length);
    let end = start + rng.usize(..=most.min(length - start));
    start..end
}

/// One to four changes anywhere.
pub fn changed(rng: &mut Rng, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..rng.usize(1..5) {
        change(rng, &mut bytes);
    }
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let length = bytes.len();
    match rng.u8(..10) {
        0 => bytes.truncate(rng.usize(..=length)),
        1 => bytes.extend(noise(rng, 4096)),
        2 => {
            let again = bytes[part(rng, length, 4096)].to_vec();
            let at = rng.usize(..=length);
            bytes.splice(at..at, again);
        }
        3 => {
            bytes.drain(part(rng, length, 64));
        }
        4 => {
            let value = rng.choice([0, 0xff, b'(', b')']).unwrap_or(0);
            let range = part(rng, length, 300);
            bytes[range].fill(value);
        }
        5 => bytes.resize(length + rng.usize(..100_000), rng.u8(..)),
        _ if length == 0 => {}
        6 => bytes[rng.usize(..length)] = rng.u8(..),
        7 => bytes[rng.usize(..length)] ^= 1 << rng.u8(..8),
        _ => {
            let word = number(rng).to_le_bytes();
            let word = &word[..rng.choice([2, 4, 8]).unwrap_or(4)];
            put(bytes, rng.usize(..length), word);
        }
    }
}

/// Writes over what is there, as far as there is something.
fn put(bytes: &mut [u8], at: usize, word: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(word) {
        *byte = *new;
    }
}

/// A header: bytes changed anywhere, whole fields, or fields that fit each other and lie about the files.
pub fn header(rng: &mut Rng, original: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    match rng.u8(..4) {
        0 => return changed(rng, original),
        1 | 2 => {
            for _ in 0..rng.usize(1..4) {
                let at = rng.choice(HEADER_FIELDS).unwrap_or(0);
                put(&mut bytes, at, &number(rng).to_le_bytes());
            }
        }
        _ => {
            let any = number(rng);
            let neighbours = rng.choice([0, 2, 4, 32, 1 << 20, any]).unwrap_or(4);
            let same = u64::from_le_bytes(*original[36..].first_chunk().unwrap())
                .wrapping_sub(u64::from_le_bytes(*original[44..].first_chunk().unwrap()));
            let vector = neighbours.wrapping_mul(4).wrapping_add(4);
            let size = if rng.u8(..4) > 0 { same } else { number(rng) };
            let label = vector.wrapping_add(size);
            let count = number(rng);
            for (at, field) in [
                (12, count.max(number(rng))),
                (20, count),
                (28, label.wrapping_add(8)),
                (36, label),
                (44, vector),
                (68, neighbours),
            ] {
                put(&mut bytes, at, &field.to_le_bytes());
            }
        }
    }
    bytes
}
