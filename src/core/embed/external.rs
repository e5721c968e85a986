//! Which files beside it an ONNX file takes its weights from.
//!
//! Promise: every tensor of the file is looked at, wherever it stands; nothing of a tensor's own bytes is read, so a
//! file of gigabytes costs as much as one of kilobytes. Lengths are bounded by the file, nesting as protobuf bounds
//! it. Must not import other stages.
//!
//! Source: `onnx.proto` of the ONNX project (messages, field numbers, `external_data`), and protobuf's encoding
//! (`protobuf.dev/programming-guides/encoding`).

use std::collections::BTreeMap;
use std::io::{self, BufRead, Seek};

use thiserror::Error;

/// Nested messages, as protobuf's own parsers bound them.
const DEEPEST: usize = 100;

/// Different files that one model may name.
const MOST_FILES: usize = 1000;

/// The largest field number. Protobuf's own parser drops the bits beyond 32 of a tag (`ReadTagFallback` in
/// parse_context.cc), and would find a field where this one finds none.
const LAST_FIELD: u64 = (1 << 29) - 1;

/// A key, a path, an offset or a checksum.
const LONGEST_WORD: u64 = 4096;

/// Why the ONNX file could not be followed.
#[derive(Debug, Error)]
pub(super) enum ExternalError {
    /// The system could not read it.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is no protobuf message of an ONNX model.
    #[error("is not an ONNX file, or is cut: {0}")]
    Malformed(&'static str),
    /// What it says about a tensor's place is not usable.
    #[error("has a tensor outside of it {0}")]
    Entry(String),
}

use ExternalError::{Entry, Malformed};

/// A file that weights are in, by what all its tensors together say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct DataFile {
    /// Bytes that the file has at least: the largest end of a tensor.
    pub least_bytes: u64,
    /// SHA-1 of the whole file, in lower case hexadecimal, where a tensor says it.
    pub checksum: Option<String>,
}

/// The files that the ONNX file in `file` takes tensors from, by the paths that it names; `size` is its length in
/// bytes. None: all weights are inside.
pub(super) fn data_files(
    file: impl BufRead + Seek,
    size: u64,
) -> Result<BTreeMap<String, DataFile>, ExternalError> {
    let mut reader = Reader {
        file,
        at: 0,
        files: BTreeMap::new(),
    };
    reader.message(Message::Model, size, 0)?;
    Ok(reader.files)
}

/// The messages on the way from a model to its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
}

impl Message {
    /// What `field` of this message holds, if a tensor may be below it.
    fn child(self, field: u64) -> Option<Message> {
        use Message::*;
        match (self, field) {
            (Model, 7) | (Training, 1 | 2) | (Attribute, 6 | 11) => Some(Graph),
            (Model, 20) => Some(Training),
            (Model, 25) => Some(Function),
            (Graph, 1) | (Function, 7) => Some(Node),
            (Node, 5) | (Function, 11) => Some(Attribute),
            (Graph, 15) | (Attribute, 22 | 23) => Some(SparseTensor),
            (Graph, 5) | (Attribute, 5 | 10) | (SparseTensor, 1 | 2) => Some(Tensor),
            _ => None,
        }
    }
}

/// `TensorProto.external_data`.
const EXTERNAL_DATA: u64 = 13;

/// What a tensor says of its place.
#[derive(Default)]
struct Place {
    location: Option<String>,
    offset: u64,
    length: u64,
    checksum: Option<String>,
}

struct Reader<R> {
    file: R,
    at: u64,
    files: BTreeMap<String, DataFile>,
}

impl<R: BufRead + Seek> Reader<R> {
    /// Follows a message up to `end`.
    fn message(&mut self, kind: Message, end: u64, depth: usize) -> Result<(), ExternalError> {
        if depth > DEEPEST {
            return Err(Malformed("messages are nested too deep"));
        }
        let mut place = Place::default();
        while self.at < end {
            let (field, wire) = self.tag()?;
            let Some(length) = self.value(wire, end)? else {
                continue;
            };
            let next = self.at + length;
            if let Some(child) = kind.child(field) {
                self.message(child, next, depth + 1)?;
            } else if kind == Message::Tensor && field == EXTERNAL_DATA {
                self.entry(next, &mut place)?;
            } else {
                self.skip(length)?;
            }
        }
        if self.at != end {
            return Err(Malformed("a field is longer than its message"));
        }
        self.add(place)
    }

    /// An entry of `external_data`: a key and a value.
    fn entry(&mut self, end: u64, place: &mut Place) -> Result<(), ExternalError> {
        let (mut key, mut value) = (String::new(), String::new());
        while self.at < end {
            let (field, wire) = self.tag()?;
            match (field, self.value(wire, end)?) {
                (_, None) => {}
                (1, Some(length)) => key = self.word(length)?,
                (2, Some(length)) => value = self.word(length)?,
                (_, Some(length)) => self.skip(length)?,
            }
        }
        if self.at != end {
            return Err(Malformed("a field is longer than its message"));
        }
        let number = |value: &str| {
            value
                .parse::<u64>()
                .map_err(|_| Entry(format!("whose {key} is \"{value}\"")))
        };
        match key.as_str() {
            "location" => place.location = Some(value),
            "offset" => place.offset = number(&value)?,
            "length" => place.length = number(&value)?,
            "checksum" => place.checksum = Some(value.to_ascii_lowercase()),
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, place: Place) -> Result<(), ExternalError> {
        let Some(location) = place.location else {
            return Ok(());
        };
        let (offset, length) = (place.offset, place.length);
        let end = offset
            .checked_add(length)
            .ok_or_else(|| Entry(format!("whose offset is {offset} and length {length}")))?;
        if self.files.len() == MOST_FILES && !self.files.contains_key(&location) {
            return Err(Malformed("it takes tensors from too many files"));
        }
        let file = self.files.entry(location).or_default();
        file.least_bytes = file.least_bytes.max(end);
        match (&file.checksum, place.checksum) {
            (Some(said), Some(other)) if *said != other => {
                Err(Entry("whose checksum is not that of the others".to_owned()))
            }
            (None, Some(checksum)) => {
                file.checksum = Some(checksum);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Field number and wire type.
    fn tag(&mut self) -> Result<(u64, u64), ExternalError> {
        let tag = self.varint()?;
        match tag >> 3 {
            0 => Err(Malformed("a field has the number 0")),
            field if field <= LAST_FIELD => Ok((field, tag & 7)),
            _ => Err(Malformed("a field has a number that there is none of")),
        }
    }

    /// Reads a number's value, or the length of bytes, which then come next and end before `end`.
    fn value(&mut self, wire: u64, end: u64) -> Result<Option<u64>, ExternalError> {
        match wire {
            0 => self.varint().map(|_| None),
            1 => self.skip(8).map(|()| None),
            5 => self.skip(4).map(|()| None),
            2 => {
                let length = self.varint()?;
                match self.at.checked_add(length) {
                    Some(next) if next <= end => Ok(Some(length)),
                    _ => Err(Malformed("a field is longer than its message")),
                }
            }
            _ => Err(Malformed("a field is of no known type")),
        }
    }

    fn varint(&mut self) -> Result<u64, ExternalError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0; 1];
            self.file.read_exact(&mut byte).map_err(ended)?;
            self.at += 1;
            let [byte] = byte;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("a number has too many bytes"))
    }

    fn word(&mut self, length: u64) -> Result<String, ExternalError> {
        if length > LONGEST_WORD {
            return Err(Entry("whose place takes more than 4096 bytes".to_owned()));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact(&mut bytes).map_err(ended)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| Entry("whose place is not UTF-8".to_owned()))
    }

    fn skip(&mut self, length: u64) -> Result<(), ExternalError> {
        let distance = i64::try_from(length).map_err(|_| Malformed("a field has no end"))?;
        self.file.seek_relative(distance)?;
        self.at += length;
        Ok(())
    }
}

fn ended(error: io::Error) -> ExternalError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Malformed("it ends within a field"),
        _ => ExternalError::Read(error),
    }
}

#[cfg(test)]
#[path = "external_tests.rs"]
mod tests;
