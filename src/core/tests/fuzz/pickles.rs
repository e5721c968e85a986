//! Changes to a pickle that keep it a row of opcodes.

use std::ops::Range;

use fastrand::Rng;

use crate::bytes;

/// Opcodes that the reader knows, with the bytes of their argument; texts have a length before them.
const OPCODES: [(u8, usize); 18] = [
    (0x80, 1),
    (0x95, 8),
    (b'K', 1),
    (b'M', 2),
    (b'J', 4),
    (b'N', 0),
    (b')', 0),
    (b'}', 0),
    (b'(', 0),
    (0x94, 0),
    (b'h', 1),
    (b'j', 4),
    (0x93, 0),
    (0x81, 0),
    (b'b', 0),
    (b's', 0),
    (b'u', 0),
    (b'.', 0),
];

/// Texts that mean something to the reader.
const TEXTS: [&str; 8] = [
    "id_to_label",
    "label_to_id",
    "max_seq_id",
    "dimensionality",
    "chromadb.segment.impl.vector.local_persistent_hnsw",
    "PersistentData",
    "",
    "os",
];

/// Where each opcode lies, up to the first unknown one.
fn opcodes(pickle: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(opcode) = pickle.get(at) {
        let rest = &pickle[at + 1..];
        let argument = match opcode {
            0x8c | 0x8a => rest.first().map(|length| 1 + usize::from(*length)),
            b'X' => rest
                .first_chunk()
                .map(|length| 4 + u32::from_le_bytes(*length) as usize),
            opcode => OPCODES
                .iter()
                .find(|(known, _)| known == opcode)
                .map(|(_, bytes)| *bytes),
        };
        let Some(end) = argument
            .map(|bytes| at + 1 + bytes)
            .filter(|end| *end <= pickle.len())
        else {
            break;
        };
        found.push(at..end);
        at = end;
    }
    found
}

/// An opcode with an argument that may fit.
fn opcode(rng: &mut Rng) -> Vec<u8> {
    let word = bytes::number(rng).to_le_bytes();
    match rng.u8(..6) {
        0 => {
            let text = rng.choice(TEXTS).unwrap_or("").as_bytes();
            let length = u8::try_from(text.len()).unwrap_or(0);
            [&[0x8c, length], text].concat()
        }
        1 => {
            let text = bytes::noise(rng, 40);
            [b"X", &word[..4], &text].concat()
        }
        2 => [&[0x8a, rng.u8(..12)], &word[..]].concat(),
        _ => {
            let (code, argument) = rng.choice(OPCODES).unwrap_or((b'N', 0));
            [&[code], &word[..argument]].concat()
        }
    }
}

/// A pickle: bytes changed anywhere, opcodes changed, or opcodes made up.
pub fn changed(rng: &mut Rng, original: &[u8]) -> Vec<u8> {
    match rng.u8(..6) {
        0 => return bytes::changed(rng, original),
        1 => {
            let many = rng.usize(..200);
            return (0..many).flat_map(|_| opcode(rng)).collect();
        }
        // One opcode, over and over: what it pushes must be bounded.
        2 => {
            let one = opcode(rng);
            let front = original[..rng.usize(..original.len())].to_vec();
            return [front, one.repeat(rng.usize(1..20_000))].concat();
        }
        _ => {}
    }
    let mut parts: Vec<Vec<u8>> = opcodes(original)
        .into_iter()
        .map(|range| original[range].to_vec())
        .collect();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..parts.len());
        let other = rng.usize(..parts.len());
        match rng.u8(..6) {
            0 if parts.len() > 1 => {
                parts.remove(at);
            }
            1 => parts.insert(at, parts[other].clone()),
            2 => parts.swap(at, other),
            3 => parts[at] = opcode(rng),
            4 => parts.insert(at, opcode(rng)),
            _ => {
                let word = bytes::number(rng).to_le_bytes();
                for (byte, new) in parts[at].iter_mut().skip(1).zip(word) {
                    *byte = new;
                }
            }
        }
    }
    parts.concat()
}
