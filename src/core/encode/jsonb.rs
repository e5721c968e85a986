//! JSON text as the bytes of a `jsonb` value, as the server keeps it.
//!
//! | bytes | of an array or object |
//! | --- | --- |
//! | 4 | number of elements or pairs, and whether it is an array or an object |
//! | 4 each | entries: of an array its elements; of an object its keys, then its values |
//! | | the data of each entry, in the same order |
//!
//! An entry is a type and the length of its data; each 32nd has instead the end of its data, counted from where the
//! data of the first begin. A string's data are its bytes, a number's are a `numeric`, those of `null`, `true` and
//! `false` are empty; numbers, arrays and objects begin at a multiple of four, and the gap counts as theirs. Keys are
//! sorted, the shorter first, then bytewise; of equal ones the last counts. All words are in the machine's byte order.
//! Source: `jsonb.h` and `convertJsonbValue` in `jsonb_util.c` of PostgreSQL.

use std::borrow::Cow;
use std::ops::Range;

use super::numeric;

const ARRAY: u32 = 0x4000_0000;
const OBJECT: u32 = 0x2000_0000;
const SCALAR: u32 = 0x1000_0000;

const IS_STRING: u32 = 0x0000_0000;
const IS_NUMERIC: u32 = 0x1000_0000;
const IS_FALSE: u32 = 0x2000_0000;
const IS_TRUE: u32 = 0x3000_0000;
const IS_NULL: u32 = 0x4000_0000;
const IS_CONTAINER: u32 = 0x5000_0000;
const TYPE: u32 = 0x7000_0000;
const LENGTH: u32 = 0x0FFF_FFFF;
const HAS_OFFSET: u32 = 0x8000_0000;
/// Each so many entries one has an offset instead of a length.
const STRIDE: usize = 32;

/// Arrays and objects within each other. The parser that the texts come from stops at 127.
const DEEPEST: usize = 200;

/// A value of the text; those inside an array or object come behind it.
struct Node {
    sort: Sort,
    /// Where the text has it: a string without its quotes, a number.
    span: Range<usize>,
    /// The node behind it and everything in it.
    after: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Null,
    True,
    False,
    Number,
    Plain,
    /// A string with escapes in it.
    Escaped,
    Array,
    Object,
}

/// Appends `text`, an array or object in valid JSON, to `out`, which has to end at a multiple of four. `None` if that
/// is not what it is, or if `jsonb` cannot hold it; what was appended then is not whole.
pub(super) fn append(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let nodes = nodes(text)?;
    let writer = Writer {
        text,
        nodes: &nodes,
    };
    writer.container(0, out)?;
    Some(())
}

/// The same for a string, number, boolean or null: an array of it alone, which says that it is none (`JB_FSCALAR`).
pub(super) fn append_scalar(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    append(&format!("[{text}]"), out)?;
    let header = out.get_mut(start..)?.first_chunk_mut::<4>()?;
    *header = (u32::from_ne_bytes(*header) | SCALAR).to_ne_bytes();
    Some(())
}

/// The values of `text`, in order.
fn nodes(text: &str) -> Option<Vec<Node>> {
    let bytes = text.as_bytes();
    let mut nodes: Vec<Node> = Vec::with_capacity(32);
    let mut open: Vec<usize> = Vec::with_capacity(8);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        let sort = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
            b'}' | b']' => {
                let after = nodes.len();
                nodes.get_mut(open.pop()?)?.after = after;
                continue;
            }
            b'"' => {
                let (end, escaped) = end_of_string(bytes, at)?;
                at = end + 1;
                push(
                    &mut nodes,
                    if escaped { Sort::Escaped } else { Sort::Plain },
                    start + 1..end,
                );
                continue;
            }
            b'{' | b'[' => {
                open.push(nodes.len());
                if open.len() > DEEPEST {
                    return None;
                }
                if *byte == b'{' {
                    Sort::Object
                } else {
                    Sort::Array
                }
            }
            b't' => Sort::True,
            b'f' => Sort::False,
            b'n' => Sort::Null,
            b'-' | b'0'..=b'9' => Sort::Number,
            _ => return None,
        };
        if !matches!(sort, Sort::Array | Sort::Object) {
            let rest = bytes.get(at..).unwrap_or_default();
            let inside =
                |byte: &u8| !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            at += rest.iter().take_while(|byte| inside(byte)).count();
        }
        push(&mut nodes, sort, start..at);
    }
    open.is_empty().then_some(nodes)
}

fn push(nodes: &mut Vec<Node>, sort: Sort, span: Range<usize>) {
    let after = nodes.len() + 1;
    nodes.push(Node { sort, span, after });
}

/// Where the string that begins at `at` has its closing quote, and whether there are escapes in it.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

struct Writer<'t> {
    text: &'t str,
    nodes: &'t [Node],
}

impl<'t> Writer<'t> {
    /// Appends an array or object; its entry's word.
    fn container(&self, at: usize, out: &mut Vec<u8>) -> Option<u32> {
        let node = self.nodes.get(at)?;
        let start = out.len();
        pad(out);
        let inside = self.inside(at, node.after);
        match node.sort {
            Sort::Array => {
                word(out, ARRAY | u32::try_from(inside.len()).ok()?);
                self.entries(&inside, out)?;
            }
            Sort::Object => {
                let entries = self.sorted(&inside)?;
                word(out, OBJECT | u32::try_from(entries.len() / 2).ok()?);
                self.entries(&entries, out)?;
            }
            _ => return None,
        }
        length(out.len() - start).map(|length| IS_CONTAINER | length)
    }

    /// The values directly inside the one at `at`.
    fn inside(&self, at: usize, end: usize) -> Vec<usize> {
        let next = |at: usize| self.nodes.get(at).map(|node| node.after);
        let mut inside = Vec::with_capacity((end - at).min(64));
        let mut child = at + 1;
        while child < end {
            inside.push(child);
            let Some(after) = next(child) else { break };
            child = after;
        }
        inside
    }

    /// An object's keys, sorted and each once, and behind them their values.
    fn sorted(&self, inside: &[usize]) -> Option<Vec<usize>> {
        let (pairs, []) = inside.as_chunks::<2>() else {
            return None;
        };
        let mut keyed: Vec<(Cow<'t, str>, [usize; 2])> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            keyed.push((self.string(pair[0])?, *pair));
        }
        let order = |a: &str, b: &str| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes()));
        if !keyed.is_sorted_by(|a, b| order(&a.0, &b.0).is_lt()) {
            // A stable sort: equal keys stay in the order of the text, and the last of them is kept.
            keyed.sort_by(|a, b| order(&a.0, &b.0));
            keyed.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    earlier.1 = later.1;
                }
                same
            });
        }
        let keys = keyed.iter().map(|(_, pair)| pair[0]);
        Some(keys.chain(keyed.iter().map(|(_, pair)| pair[1])).collect())
    }

    /// Appends the entries' words and their data.
    fn entries(&self, nodes: &[usize], out: &mut Vec<u8>) -> Option<()> {
        let words = out.len();
        out.resize(words + 4 * nodes.len(), 0);
        let data = out.len();
        for (number, node) in nodes.iter().enumerate() {
            let mut entry = self.value(*node, out)?;
            if number.is_multiple_of(STRIDE) {
                entry = (entry & TYPE) | length(out.len() - data)? | HAS_OFFSET;
            }
            let place = words + 4 * number;
            out.get_mut(place..place + 4)?
                .copy_from_slice(&entry.to_ne_bytes());
        }
        length(out.len() - data).map(drop)
    }

    /// Appends a value's data; its entry's word.
    fn value(&self, at: usize, out: &mut Vec<u8>) -> Option<u32> {
        let node = self.nodes.get(at)?;
        let start = out.len();
        let sort = match node.sort {
            Sort::Null => IS_NULL,
            Sort::True => IS_TRUE,
            Sort::False => IS_FALSE,
            Sort::Plain | Sort::Escaped => {
                out.extend_from_slice(self.string(at)?.as_bytes());
                IS_STRING
            }
            Sort::Number => {
                pad(out);
                numeric::append(self.text.get(node.span.clone())?, out)?;
                IS_NUMERIC
            }
            Sort::Array | Sort::Object => return self.container(at, out),
        };
        length(out.len() - start).map(|length| sort | length)
    }

    /// A string's text.
    fn string(&self, at: usize) -> Option<Cow<'t, str>> {
        let node = self.nodes.get(at)?;
        match node.sort {
            Sort::Plain => self.text.get(node.span.clone()).map(Cow::Borrowed),
            Sort::Escaped => {
                let quoted = self.text.get(node.span.start - 1..node.span.end + 1)?;
                let text: String = serde_json::from_str(quoted).ok()?;
                // No text of the server holds it: the mapping has seen to that, and a table must not pay if it has not.
                (!text.contains('\0')).then_some(Cow::Owned(text))
            }
            _ => None,
        }
    }
}

fn word(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_ne_bytes());
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A length as an entry has room for it.
fn length(bytes: usize) -> Option<u32> {
    u32::try_from(bytes).ok().filter(|length| *length <= LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jsonb(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        append(text, &mut out).unwrap();
        out
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn empty_containers_are_their_header() {
        assert_eq!(jsonb("{}"), words(&[OBJECT]));
        assert_eq!(jsonb(" [ ] "), words(&[ARRAY]));
    }

    #[test]
    fn an_object_has_its_keys_first_and_sorted() {
        let expected = [
            words(&[OBJECT | 2, HAS_OFFSET | 1, 2, IS_TRUE, 1]),
            b"bcdx".to_vec(),
        ];
        assert_eq!(jsonb(r#"{"cd": "x", "b": true}"#), expected.concat());
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        assert_eq!(
            jsonb(r#"{"a":1,"b":[],"a":null}"#),
            jsonb(r#"{"b":[],"a":null}"#)
        );
        assert_eq!(jsonb(r#"{"a":1,"\u0061":2,"a":3}"#), jsonb(r#"{"a":3}"#));
    }

    #[test]
    fn numbers_and_containers_begin_at_a_multiple_of_four() {
        let out = jsonb(r#"["x",1,{}]"#);
        let expected = [
            words(&[ARRAY | 3, HAS_OFFSET | 1, IS_NUMERIC | 11, IS_CONTAINER | 4]),
            b"x\0\0\0".to_vec(),
        ];
        assert_eq!(out[..20], expected.concat());
        assert_eq!(out.len(), 32);
    }

    #[test]
    fn each_32nd_entry_has_an_offset() {
        let out = jsonb(&format!("[{}]", ["true"; 33].join(",")));
        let entry = |n: usize| u32::from_ne_bytes(out[4 * n + 4..4 * n + 8].try_into().unwrap());
        assert_eq!((entry(0), entry(1)), (IS_TRUE | HAS_OFFSET, IS_TRUE));
        assert_eq!((entry(31), entry(32)), (IS_TRUE, IS_TRUE | HAS_OFFSET));
    }

    #[test]
    fn what_is_no_container_or_no_json_is_refused() {
        let deep = format!("{}{}", "[".repeat(201), "]".repeat(201));
        for text in [
            "",
            "1",
            "\"x\"",
            "[",
            "]",
            "{\"a\"}",
            "[x]",
            "{1:2}",
            r#"{"a":"\u0000"}"#,
            r#"{"\u0000":1}"#,
            "[\"a",
            &deep,
        ] {
            assert_eq!(append(text, &mut Vec::new()), None, "{text:?}");
        }
    }
}
