//! The two writers' pickles, and what no pickle may do.

use super::*;

fn parsed_with(keys: &Keys, bytes: &[u8]) -> Result<IndexMetadata, PickleError> {
    parse(bytes, bytes.len() as u64, 10, keys, &AtomicBool::new(false))
}

fn parsed(bytes: &[u8]) -> Result<IndexMetadata, PickleError> {
    parsed_with(&Keys::default(), bytes)
}

/// A dict as chromadb 1.x writes it: protocol 3, `{"id_to_label": {"a": 1, "b": 300}, "dimensionality": None}`.
fn rust_style() -> Vec<u8> {
    let mut bytes = b"\x80\x03}(X\x0b\0\0\0id_to_label}(".to_vec();
    bytes.extend(b"X\x01\0\0\0aJ\x01\0\0\0X\x01\0\0\0bJ\x2c\x01\0\0u");
    bytes.extend(b"X\x0e\0\0\0dimensionalityNu.");
    bytes
}

/// An instance as chromadb 0.x writes it, with memo and reverse map.
fn python_style(module: &str, class: &str) -> Vec<u8> {
    let short = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes(), b"\x94"].concat();
    let mut bytes = b"\x80\x05\x95\x05\0\0\0\0\0\0\0".to_vec();
    bytes.extend([short(module), short(class)].concat());
    bytes.extend(b"\x93\x94)\x81\x94}\x94(");
    bytes.extend([short("dimensionality"), b"K\x08".to_vec()].concat());
    bytes.extend([short("max_seq_id"), b"M\x2c\x01".to_vec()].concat());
    bytes.extend(
        [
            short("id_to_label"),
            b"}\x94".to_vec(),
            short("x"),
            b"K\x07s".to_vec(),
        ]
        .concat(),
    );
    // label_to_id: {7: memo of "x"}
    bytes.extend([short("label_to_id"), b"}\x94K\x07h\x09s".to_vec()].concat());
    bytes.extend(b"ub.");
    bytes
}

#[test]
fn both_writers_are_understood() {
    let keys = Keys::default();
    let found = parsed_with(&keys, &rust_style()).unwrap();
    assert_eq!(found.labels, [(keys.of("a"), 1), (keys.of("b"), 300)]);
    assert_eq!((found.max_seq_id, found.dimensionality), (None, None));
    let found = parsed_with(&keys, &python_style(MODULE, CLASS)).unwrap();
    assert_eq!(found.labels, [(keys.of("x"), 7)]);
    assert_eq!(
        (found.max_seq_id, found.dimensionality),
        (Some(300), Some(8))
    );
}

/// 1.x writes a whole map between one mark and its SETITEMS.
#[test]
fn the_stack_does_not_grow_with_a_map() {
    let mut bytes = b"\x80\x03}(X\x0b\0\0\0id_to_label}(".to_vec();
    for label in 0..30_u8 {
        bytes.extend([b"X\x01\0\0\0", &[b'A' + label][..], b"K", &[label]].concat());
    }
    bytes.extend(b"uu.");
    let (keys, stop) = (Keys::default(), AtomicBool::new(false));
    let mut machine = Machine::new(&bytes[..], bytes.len() as u64, 10, &keys);
    let mut highest = 0;
    while !machine.step().unwrap() {
        highest = highest.max(machine.stack.len());
    }
    assert!(highest < 8, "{highest}");
    let found = parse(&bytes[..], bytes.len() as u64, 10, &keys, &stop).unwrap();
    assert_eq!(found.labels.len(), 30);
    assert_eq!(found.labels[29], (keys.of("^"), 29));
}

#[test]
fn no_other_class_is_named() {
    for (module, class) in [("os", "system"), (MODULE, "Other"), ("builtins", "eval")] {
        let error = parsed(&python_style(module, class)).unwrap_err();
        assert!(error.what.contains("is not allowed"), "{}", error.what);
    }
    // REDUCE, GLOBAL, INST and the like are no opcodes of this format at all.
    for opcode in [
        b'R', b'c', b'i', b'o', 0x82, 0x92, b'P', b'Q', b'B', 0x8d, 0x8b,
    ] {
        let error = parsed(&[0x80, 3, opcode, 0, 0, 0, 0, 0, 0, 0, 0, b'.']).unwrap_err();
        assert!(
            error.what.contains("is not allowed"),
            "{opcode:#x}: {}",
            error.what
        );
        assert_eq!(error.offset, 2);
    }
}

#[test]
fn every_cut_is_an_error() {
    for bytes in [rust_style(), python_style(MODULE, CLASS)] {
        for length in 0..bytes.len() {
            assert!(parsed(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn no_changed_byte_panics() {
    for bytes in [rust_style(), python_style(MODULE, CLASS)] {
        for at in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[at] = byte;
                let _ = parsed(&changed);
            }
        }
    }
}

#[test]
fn lengths_are_bounded_by_the_file() {
    let huge = parsed(b"\x80\x03X\xff\xff\xff\xff").unwrap_err();
    assert!(
        huge.what.contains("4294967295 bytes where 0 are left"),
        "{}",
        huge.what
    );
    assert!(parsed(b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\xff.").is_err());
}

#[test]
fn the_stack_and_the_memo_are_bounded_by_the_index() {
    let repeated = |head: &[u8], body: &[u8]| [head, &body.repeat(100_000)].concat();
    assert!(
        parsed(&repeated(b"\x80\x03", b"N"))
            .unwrap_err()
            .what
            .contains("holds more")
    );
    assert!(
        parsed(&repeated(b"\x80\x03N", b"\x94"))
            .unwrap_err()
            .what
            .contains("remembers more")
    );
    assert!(
        parsed(&repeated(b"\x80\x03", b"("))
            .unwrap_err()
            .what
            .contains("nested too deep")
    );
    assert!(
        parsed(&repeated(b"\x80\x03", b"}"))
            .unwrap_err()
            .what
            .contains("too many dicts")
    );
    assert!(
        parsed(&repeated(b"\x80\x03}", b"K\x01\x8c\x01as"))
            .unwrap_err()
            .what
            .contains("maps more")
    );
}

#[test]
fn odd_shapes_are_refused() {
    for bytes in [
        &b"\x80\x03."[..],
        b"\x80\x03}.",
        b"\x80\x03N.",
        b"\x80\x03}}.",
        b"\x80\x09}.",
        b"\x80\x03u.",
        b"\x80\x03}(Ku.",
        b"\x80\x03}(K\x01u.",
        b"\x80\x03h\x00.",
        b"\x80\x03j\xff\xff\xff\xff.",
        b"\x80\x03\x8c\x02\xff\xfe.",
        b"\x80\x03\x8a\x09aaaaaaaaa.",
        b"\x80\x03}X\x0b\0\0\0id_to_label}X\x01\0\0\0aJ\xff\xff\xff\xffss.",
    ] {
        assert!(parsed(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn long_numbers_keep_their_sign() {
    let number = |digits: &[u8]| {
        let mut bytes = b"\x80\x03}(X\x0b\0\0\0id_to_label}X\x0a\0\0\0max_seq_id\x8a".to_vec();
        bytes.push(digits.len() as u8);
        bytes.extend(digits);
        bytes.extend(b"u.");
        parsed(&bytes).unwrap().max_seq_id
    };
    assert_eq!(number(&[]), Some(0));
    assert_eq!(number(&[0xff]), Some(-1));
    assert_eq!(number(&[0xff, 0]), Some(255));
    assert_eq!(number(&[0, 0, 0, 0, 1]), Some(1 << 32));
}

#[test]
fn a_raised_flag_ends_the_parsing() {
    let bytes = [&b"\x80\x03"[..], &b"\x80\x03".repeat(100_000)].concat();
    let (keys, stop) = (Keys::default(), AtomicBool::new(true));
    let error = parse(&bytes[..], bytes.len() as u64, 10, &keys, &stop).unwrap_err();
    assert!(error.interrupted);
}
