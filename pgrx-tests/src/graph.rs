//! The files of a Chroma graph, to be damaged: what is changed here is what no Chroma would write.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Store;

/// The files of a collection's index.
pub struct GraphFiles {
    folder: PathBuf,
    /// Elements, deleted ones included.
    pub count: usize,
    /// Links of a list above layer 0; twice as many at layer 0.
    pub m: usize,
    /// Bytes of an element.
    stride: usize,
}

/// Fields of `header.bin`.
#[derive(Debug, Clone, Copy)]
pub enum Field {
    /// The number of elements.
    Count,
    /// The number of an element where a search begins.
    Entry,
    /// M.
    M,
    /// The breadth of search that the graph was made with.
    Effort,
}

impl GraphFiles {
    /// Of the collection `name`.
    pub fn of(store: &Store, name: &str) -> GraphFiles {
        let segment = store.texts(&format!(
            "SELECT s.id FROM segments s JOIN collections c ON s.collection = c.id WHERE c.name = '{name}' AND s.scope = 'VECTOR'"
        ));
        let folder = store.path().join(&segment[0]);
        let header = fs::read(folder.join("header.bin")).expect("a header");
        let word = |at: usize| usize::try_from(number(&header, at)).expect("small");
        GraphFiles {
            count: word(20),
            m: word(76),
            stride: word(28),
            folder,
        }
    }

    /// The path of a file.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Changes a file as a whole.
    pub fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        edit(&self.path(file), change);
    }

    /// Cuts a file to so many thousandths of its length.
    pub fn cut(&self, file: &str, thousandths: usize) {
        self.change(file, |bytes| {
            bytes.truncate(bytes.len() * thousandths / 1000)
        });
    }

    /// Writes a field of the header.
    pub fn header(&self, field: Field, value: u32) {
        let at = match field {
            Field::Count => 20,
            Field::Entry => 56,
            Field::M => 76,
            Field::Effort => 92,
        };
        self.change("header.bin", |bytes| {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
    }

    /// The number of the element where a search begins.
    pub fn entry(&self) -> usize {
        let header = fs::read(self.path("header.bin")).expect("a header");
        usize::try_from(number(&header, 56) & 0xffff_ffff).expect("small")
    }

    /// The label of an element: the numbers of records, from 1.
    pub fn label(&self, element: usize) -> u64 {
        let bytes = fs::read(self.path("data_level0.bin")).expect("reads");
        number(&bytes, (element + 1) * self.stride - 8)
    }

    /// Marks an element as deleted.
    pub fn delete(&self, element: usize) {
        let at = element * self.stride + 2;
        self.change("data_level0.bin", |bytes| bytes[at] |= 1);
    }

    /// Gives each link at layer 0 to `change`, with its element, which may change it.
    pub fn links(&self, mut change: impl FnMut(usize, &mut u32)) {
        let stride = self.stride;
        self.change("data_level0.bin", |bytes| {
            for (element, bytes) in bytes.chunks_mut(stride).take(self.count).enumerate() {
                let links = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                for link in bytes[4..].chunks_exact_mut(4).take(links) {
                    let mut value = u32::from_le_bytes(link.try_into().expect("four bytes"));
                    change(element, &mut value);
                    link.copy_from_slice(&value.to_le_bytes());
                }
            }
        });
    }

    /// Leaves of the links at layer 0 of each element those that `keep` says.
    pub fn keep_links(&self, keep: impl Fn(usize, usize) -> bool) {
        let stride = self.stride;
        self.change("data_level0.bin", |bytes| {
            for (element, bytes) in bytes.chunks_mut(stride).take(self.count).enumerate() {
                let links = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
                let words: Vec<[u8; 4]> = bytes[4..]
                    .chunks_exact(4)
                    .take(links)
                    .map(|word| word.try_into().expect("four bytes"))
                    .filter(|word| keep(element, u32::from_le_bytes(*word) as usize))
                    .collect();
                bytes[..2]
                    .copy_from_slice(&u16::try_from(words.len()).expect("small").to_le_bytes());
                bytes[4..4 + 4 * words.len()].copy_from_slice(&words.concat());
            }
        });
    }

    /// As [`GraphFiles::links`], with the links above layer 0.
    pub fn upper_links(&self, mut change: impl FnMut(usize, &mut u32)) {
        let list = 4 + 4 * self.m;
        self.change("link_lists.bin", |bytes| {
            let mut at = 0;
            for element in 0..self.count {
                let size = number(bytes, at) as u32 as usize;
                for list in bytes[at + 4..at + 4 + size].chunks_mut(list) {
                    let links = usize::from(u16::from_le_bytes([list[0], list[1]]));
                    for link in list[4..].chunks_exact_mut(4).take(links) {
                        let mut value = u32::from_le_bytes(link.try_into().expect("four bytes"));
                        change(element, &mut value);
                        link.copy_from_slice(&value.to_le_bytes());
                    }
                }
                at += 4 + size;
            }
        });
    }

    /// Makes all elements those of the lowest layer alone.
    pub fn without_upper_layers(&self) {
        self.change("link_lists.bin", |bytes| *bytes = vec![0; 4 * self.count]);
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("reads");
    change(&mut bytes);
    fs::write(path, bytes).expect("writes");
}

/// The little-endian number of up to eight bytes at `at`.
fn number(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    for (place, byte) in word.iter_mut().zip(&bytes[at..]) {
        *place = *byte;
    }
    u64::from_le_bytes(word)
}
