//! `index_metadata.pickle`: the map from ids to labels of a vector index.
//!
//! Stage: source. Promise: nothing is ever executed or imported; only the opcodes below are accepted, one class
//! name among them; every length is bounded by the bytes left in the file, every stack by the size of the index.
//! May import `key`.
//!
//! | opcode | byte | argument | effect |
//! | --- | --- | --- | --- |
//! | PROTO | 80 | u8 | 2 to 5 |
//! | FRAME | 95 | u64 | none |
//! | SHORT_BINUNICODE, BINUNICODE | 8c, 58 | u8 or u32 length, UTF-8 | push a text |
//! | BININT1, BININT2, BININT | 4b, 4d, 4a | u8, u16, i32 | push a number |
//! | LONG1 | 8a | u8 length up to 8, little-endian | push a number (sequence numbers over 2^31) |
//! | NONE | 4e | | push none |
//! | EMPTY_TUPLE, EMPTY_DICT, MARK | 29, 7d, 28 | | push one |
//! | MEMOIZE | 94 | | remember the top |
//! | BINGET, LONG_BINGET | 68, 6a | u8, u32 | push what was remembered |
//! | STACK_GLOBAL | 93 | | module and name to the one allowed class |
//! | NEWOBJ, BUILD | 81, 62 | | an instance of that class; its state |
//! | SETITEM, SETITEMS | 73, 75 | | key and value pairs into a dict |
//! | STOP | 2e | | the end |
//!
//! The root is a dict (chromadb 1.x), or an instance of `PersistentData` whose state is one (0.x).

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::key::{Key, Keys};

const MODULE: &str = "chromadb.segment.impl.vector.local_persistent_hnsw";
const CLASS: &str = "PersistentData";
/// Characters of a name that an error shows.
const SHOWN: usize = 120;
const MOST_DICTS: usize = 16;
const MOST_MARKS: usize = 16;

/// What an index's pickle says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexMetadata {
    /// Ids, as keys, with their labels.
    pub labels: Vec<(Key, u64)>,
    /// The last sequence number in the index, as releases before 0.5.6 wrote it.
    pub max_seq_id: Option<i64>,
    /// Dimensions, if it has them.
    pub dimensionality: Option<i64>,
}

/// Why a pickle is refused.
#[derive(Debug)]
pub(crate) struct PickleError {
    /// What is wrong.
    pub what: String,
    /// Where.
    pub offset: u64,
    /// The stop flag was raised.
    pub interrupted: bool,
}

/// The texts that mean something; of the others only the key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownText {
    Module,
    Class,
    IdToLabel,
    IdToSeqId,
    MaxSeqId,
    Dimensionality,
    Other,
}

impl KnownText {
    fn of(text: &str) -> KnownText {
        match text {
            MODULE => KnownText::Module,
            CLASS => KnownText::Class,
            "id_to_label" => KnownText::IdToLabel,
            "id_to_seq_id" => KnownText::IdToSeqId,
            "max_seq_id" => KnownText::MaxSeqId,
            "dimensionality" => KnownText::Dimensionality,
            _ => KnownText::Other,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum StackItem {
    None,
    Int(i64),
    Text(Key, KnownText),
    Class,
    Tuple,
    Dict(usize),
    Instance(Option<usize>),
}

#[derive(Default)]
struct Dict {
    /// It says nothing that is used.
    idle: bool,
    numbers: Vec<(Key, i64)>,
    named: Vec<(KnownText, StackItem)>,
}

struct Machine<'a, R> {
    reader: R,
    keys: &'a Keys,
    /// The last two texts, the last one second, for an error that names a class.
    texts: [String; 2],
    size: u64,
    offset: u64,
    most: usize,
    entries: usize,
    stack: Vec<StackItem>,
    marks: Vec<usize>,
    memo: Vec<StackItem>,
    dicts: Vec<Dict>,
}

/// Parses a pickle of `size` bytes that describes an index of at most `elements` elements; ids become keys by `keys`.
pub(crate) fn parse(
    reader: impl Read,
    size: u64,
    elements: usize,
    keys: &Keys,
    stop: &AtomicBool,
) -> Result<IndexMetadata, PickleError> {
    let mut machine = Machine::new(reader, size, elements, keys);
    let mut steps = 0_u32;
    loop {
        steps = steps.wrapping_add(1);
        if steps.trailing_zeros() >= 12 && stop.load(Ordering::Relaxed) {
            return Err(PickleError {
                what: String::new(),
                offset: machine.offset,
                interrupted: true,
            });
        }
        let at = machine.offset;
        match machine.step() {
            Ok(false) => {}
            Ok(true) => return machine.finish().map_err(|what| refused(what, at)),
            Err(what) => return Err(refused(what, at)),
        }
    }
}

fn refused(what: String, offset: u64) -> PickleError {
    PickleError {
        what,
        offset,
        interrupted: false,
    }
}

impl<'a, R: Read> Machine<'a, R> {
    fn new(reader: R, size: u64, elements: usize, keys: &'a Keys) -> Machine<'a, R> {
        Machine {
            reader,
            keys,
            texts: [String::new(), String::new()],
            size,
            offset: 0,
            most: elements.saturating_add(4096).saturating_mul(4),
            entries: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            dicts: Vec::new(),
        }
    }

    /// Executes one opcode; true at the end.
    fn step(&mut self) -> Result<bool, String> {
        let [opcode] = self.take::<1>()?;
        match opcode {
            0x80 => {
                let [protocol] = self.take::<1>()?;
                if !(2..=5).contains(&protocol) {
                    return Err(format!("pickle protocol {protocol}"));
                }
            }
            0x95 => {
                let length = u64::from_le_bytes(self.take()?);
                self.bounded(length)?;
            }
            0x8c => {
                let [length] = self.take::<1>()?;
                self.text(u64::from(length))?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.take()?);
                self.text(u64::from(length))?;
            }
            b'K' => {
                let [number] = self.take::<1>()?;
                self.push(StackItem::Int(i64::from(number)))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.take()?);
                self.push(StackItem::Int(i64::from(number)))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.take()?);
                self.push(StackItem::Int(i64::from(number)))?;
            }
            0x8a => self.long()?,
            b'N' => self.push(StackItem::None)?,
            b')' => self.push(StackItem::Tuple)?,
            b'}' => {
                if self.dicts.len() >= MOST_DICTS {
                    return Err("too many dicts".to_owned());
                }
                let idle = matches!(
                    self.stack.last(),
                    Some(StackItem::Text(_, KnownText::IdToSeqId))
                );
                self.push(StackItem::Dict(self.dicts.len()))?;
                self.dicts.push(Dict {
                    idle,
                    ..Dict::default()
                });
            }
            b'(' => {
                if self.marks.len() >= MOST_MARKS {
                    return Err("nested too deep".to_owned());
                }
                self.marks.push(self.stack.len());
            }
            0x94 => {
                let top = self.stack.last().copied().ok_or("nothing to remember")?;
                if self.memo.len() >= self.most {
                    return Err("remembers more than the index has elements".to_owned());
                }
                self.memo.push(top);
            }
            b'h' => {
                let [at] = self.take::<1>()?;
                self.recall(usize::from(at))?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.take()?);
                self.recall(usize::try_from(at).map_err(|_| "memo number too large")?)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (StackItem::Text(_, KnownText::Class), StackItem::Text(_, KnownText::Module)) => {
                    self.push(StackItem::Class)?;
                }
                (StackItem::Text(..), StackItem::Text(..)) => {
                    return Err(format!("class {:?} is not allowed", self.texts.join(".")));
                }
                _ => return Err("a class without a name".to_owned()),
            },
            0x81 => match (self.pop()?, self.pop()?) {
                (StackItem::Tuple, StackItem::Class) => self.push(StackItem::Instance(None))?,
                _ => return Err("an object that is not of the allowed class".to_owned()),
            },
            b'b' => match (self.pop()?, self.pop()?) {
                (StackItem::Dict(state), StackItem::Instance(None)) => {
                    self.push(StackItem::Instance(Some(state)))?
                }
                _ => return Err("a state that is not a dict".to_owned()),
            },
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let mark = self.marks.pop().ok_or("items without a mark")?;
                if mark > self.stack.len() {
                    return Err("items without a mark".to_owned());
                }
                let items = self.stack.split_off(mark);
                self.set(&items)?;
            }
            b'.' => return Ok(true),
            other => return Err(format!("opcode {other:#04x} is not allowed")),
        }
        Ok(false)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|error| failed(&error))?;
        self.advance(u64::try_from(N).unwrap_or(u64::MAX));
        Ok(bytes)
    }

    fn advance(&mut self, bytes: u64) {
        self.offset = self.offset.saturating_add(bytes);
    }

    /// `length` as a size in memory, if so many bytes are left.
    fn bounded(&self, length: u64) -> Result<usize, String> {
        let left = self.size.saturating_sub(self.offset);
        match usize::try_from(length) {
            Ok(length) if u64::try_from(length).is_ok_and(|length| length <= left) => Ok(length),
            _ => Err(format!("a length of {length} bytes where {left} are left")),
        }
    }

    fn text(&mut self, length: u64) -> Result<(), String> {
        let mut bytes = vec![0; self.bounded(length)?];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|error| failed(&error))?;
        self.advance(length);
        let text = std::str::from_utf8(&bytes).map_err(|_| "a text that is not UTF-8")?;
        self.texts.swap(0, 1);
        if let Some(last) = self.texts.last_mut() {
            last.clear();
            last.extend(text.chars().take(SHOWN));
        }
        self.push(StackItem::Text(self.keys.of(text), KnownText::of(text)))
    }

    fn long(&mut self) -> Result<(), String> {
        let [length] = self.take::<1>()?;
        if length > 8 {
            return Err(format!("a number of {length} bytes"));
        }
        let mut bytes = [0_u8; 8];
        let mut last = 0;
        for byte in bytes.iter_mut().take(usize::from(length)) {
            [*byte] = self.take::<1>()?;
            last = *byte;
        }
        if last & 0x80 != 0 {
            bytes
                .iter_mut()
                .skip(usize::from(length))
                .for_each(|byte| *byte = 0xff);
        }
        self.push(StackItem::Int(i64::from_le_bytes(bytes)))
    }

    fn push(&mut self, item: StackItem) -> Result<(), String> {
        // No more than the keys and values of one dict at a time.
        if self.stack.len() >= self.most / 2 {
            return Err("holds more than the index has elements".to_owned());
        }
        self.stack.push(item);
        self.settle()
    }

    /// Puts a pair into its dict as soon as the next key is there, so that the stack does not grow with the dict.
    fn settle(&mut self) -> Result<(), String> {
        let Some(mark) = self.marks.last().copied() else {
            return Ok(());
        };
        let (Some(dict), Some(&[key, value, next])) = (
            mark.checked_sub(1).and_then(|at| self.stack.get(at)),
            self.stack
                .get(mark..)
                .and_then(|pair| pair.first_chunk::<3>()),
        ) else {
            return Ok(());
        };
        let plain = matches!(
            (key, value),
            (StackItem::Text(..), StackItem::Int(_)) | (StackItem::Int(_), StackItem::Text(..))
        );
        if !plain
            || !matches!(dict, StackItem::Dict(_))
            || self.stack.len() != mark.saturating_add(3)
        {
            return Ok(());
        }
        self.stack.truncate(mark);
        self.set(&[key, value])?;
        self.stack.push(next);
        Ok(())
    }

    fn pop(&mut self) -> Result<StackItem, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err("takes from an empty stack".to_owned());
        }
        self.stack
            .pop()
            .ok_or_else(|| "takes from an empty stack".to_owned())
    }

    fn recall(&mut self, at: usize) -> Result<(), String> {
        let item = self
            .memo
            .get(at)
            .copied()
            .ok_or_else(|| format!("memo number {at} was never written"))?;
        self.push(item)
    }

    /// Puts keys and values, in turn, into the dict on top of the stack.
    fn set(&mut self, items: &[StackItem]) -> Result<(), String> {
        self.entries = self.entries.saturating_add(items.len() / 2);
        if self.entries > self.most {
            return Err("maps more than the index has elements".to_owned());
        }
        let Some(StackItem::Dict(at)) = self.stack.last() else {
            return Err("items for something that is not a dict".to_owned());
        };
        let dict = self.dicts.get_mut(*at).ok_or("no such dict")?;
        let mut items = items.iter().copied();
        while let Some(key) = items.next() {
            match (key, items.next().ok_or("a key without a value")?) {
                // The reverse map says nothing new.
                (StackItem::Int(_), StackItem::Text(..)) => {}
                (StackItem::Text(..), _) if dict.idle => {}
                (StackItem::Text(key, word), StackItem::Int(number)) => {
                    dict.numbers.push((key, number));
                    if word != KnownText::Other {
                        dict.named.push((word, StackItem::Int(number)));
                    }
                }
                (StackItem::Text(_, word), value) if word != KnownText::Other => {
                    dict.named.push((word, value));
                }
                (StackItem::Text(..), _) => {}
                _ => return Err("a key that is neither a text nor a number".to_owned()),
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<IndexMetadata, String> {
        let root = match self.pop()? {
            StackItem::Dict(root) | StackItem::Instance(Some(root)) => root,
            _ => return Err("the root is not a dict".to_owned()),
        };
        if !self.stack.is_empty() {
            return Err("more than one root".to_owned());
        }
        let root = self
            .dicts
            .get_mut(root)
            .map(std::mem::take)
            .ok_or("the root is not a dict")?;
        let named = |word: KnownText| {
            root.named
                .iter()
                .rev()
                .find(|(key, _)| *key == word)
                .map(|(_, value)| *value)
        };
        let number = |word: KnownText| match named(word) {
            Some(StackItem::Int(number)) => Some(number),
            _ => None,
        };
        let labels = match named(KnownText::IdToLabel) {
            Some(StackItem::Dict(at)) => {
                self.dicts
                    .get_mut(at)
                    .map(std::mem::take)
                    .unwrap_or_default()
                    .numbers
            }
            _ => return Err("it has no map \"id_to_label\"".to_owned()),
        };
        let labels = labels
            .into_iter()
            .map(|(id, label)| u64::try_from(label).map(|label| (id, label)))
            .collect::<Result<_, _>>()
            .map_err(|_| "a negative label")?;
        Ok(IndexMetadata {
            labels,
            max_seq_id: number(KnownText::MaxSeqId),
            dimensionality: number(KnownText::Dimensionality),
        })
    }
}

fn failed(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::UnexpectedEof {
        "it ends too early".to_owned()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
