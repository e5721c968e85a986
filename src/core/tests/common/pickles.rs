//! Pickles, byte by byte: what chromadb writes, and what it never would.

/// The one class that chromadb 0.x names.
pub const MODULE: &str = "chromadb.segment.impl.vector.local_persistent_hnsw";

/// SHORT_BINUNICODE.
pub fn short(text: &str) -> Vec<u8> {
    [&[0x8c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// BINUNICODE.
pub fn long(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

/// BININT.
pub fn number(number: i32) -> Vec<u8> {
    [b"J", &number.to_le_bytes()[..]].concat()
}

/// `{"id_to_label": {id: label ...}}` as chromadb 1.x writes it.
pub fn labels(labels: &[(&str, i32)]) -> Vec<u8> {
    let mut bytes = [b"\x80\x03}(", &long("id_to_label")[..], b"}("].concat();
    for (id, label) in labels {
        bytes.extend([long(id), number(*label)].concat());
    }
    bytes.extend(b"uu.");
    bytes
}

/// `module.class` called with a text: what a general unpickler would do for an attacker.
pub fn call(module: &str, class: &str, argument: &str) -> Vec<u8> {
    [
        b"\x80\x04".to_vec(),
        short(module),
        short(class),
        b"\x93".to_vec(),
        short(argument),
        b"\x85R.".to_vec(),
    ]
    .concat()
}

/// An object of `module.class` whose state maps nothing, as chromadb 0.x writes its own.
pub fn object(module: &str, class: &str) -> Vec<u8> {
    [
        b"\x80\x04".to_vec(),
        short(module),
        short(class),
        b"\x93)\x81}".to_vec(),
        short("id_to_label"),
        b"}sb.".to_vec(),
    ]
    .concat()
}

/// Every pickle that no Chroma writes, with what is told about it.
pub fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let repeated =
        |head: &[u8], body: &[u8], times: usize| [head, &body.repeat(times), b"."].concat();
    let cut_off = |bytes: &[u8]| [bytes, b"."].concat();
    vec![
        (
            "calls os.system",
            call("os", "system", "false"),
            "not allowed",
        ),
        (
            "calls builtins.eval",
            call("builtins", "eval", "1"),
            "not allowed",
        ),
        (
            "GLOBAL",
            b"cposix\nsystem\n(S'false'\ntR.".to_vec(),
            "not allowed",
        ),
        (
            "another class",
            object("collections", "OrderedDict"),
            "not allowed",
        ),
        (
            "a neighbour class",
            object(MODULE, "LocalHnswSegment"),
            "not allowed",
        ),
        (
            "a text of 4 GB",
            cut_off(b"\x80\x03X\xff\xff\xff\xff"),
            "are left",
        ),
        (
            "a frame of 2^63",
            cut_off(b"\x80\x04\x95\0\0\0\0\0\0\0\x80"),
            "are left",
        ),
        (
            "a text of 2^64",
            cut_off(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff"),
            "not allowed",
        ),
        (
            "a number of 4 GB",
            cut_off(b"\x80\x03\x8b\xff\xff\xff\x7f"),
            "not allowed",
        ),
        (
            "lists a million deep",
            repeated(b"\x80\x03", b"]", 1_000_000),
            "not allowed",
        ),
        (
            "dicts a million deep",
            repeated(b"\x80\x03", b"}", 1_000_000),
            "too many dicts",
        ),
        (
            "marks a million deep",
            repeated(b"\x80\x03", b"(", 1_000_000),
            "nested too deep",
        ),
        (
            "tuples a million deep",
            repeated(b"\x80\x03)", b"\x85", 1_000_000),
            "not allowed",
        ),
        (
            "a million values",
            repeated(b"\x80\x03", b"N", 1_000_000),
            "holds more",
        ),
        (
            "a million memos",
            repeated(b"\x80\x03N", b"\x94", 1_000_000),
            "remembers more",
        ),
        (
            "a memo that is not there",
            b"\x80\x03j\xff\xff\xff\xff.".to_vec(),
            "never written",
        ),
        (
            "a dict in itself",
            b"\x80\x03}\x94h\x00h\x00s.".to_vec(),
            "neither a text nor a number",
        ),
        ("nothing", b"\x80\x03.".to_vec(), "empty stack"),
        ("no map", b"\x80\x03}.".to_vec(), "id_to_label"),
        (
            "a map of texts",
            [b"\x80\x03}", &long("id_to_label")[..], &long("x"), b"s."].concat(),
            "id_to_label",
        ),
        ("a negative label", labels(&[("x", -1)]), "negative label"),
        (
            "a label of another index",
            labels(&[("l2-01", 70_000)]),
            "no element for 1 ids",
        ),
    ]
}
