//! Tests of [`super::data_files`]: what ONNX files say, and what is none.

use std::io::Cursor;

use super::*;

/// A field of bytes.
fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut all = vec![field << 3 | 2];
    if field > 15 {
        all = vec![(field & 15) << 3 | 2 | 0x80, field >> 4];
    }
    let mut length = value.len();
    while length > 0x7f {
        all.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    all.push(length as u8);
    all.extend(value);
    all
}

fn entry(key: &str, value: &str) -> Vec<u8> {
    bytes(
        13,
        &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat(),
    )
}

/// A tensor outside, with raw data inside to be skipped as well.
fn tensor(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut all = bytes(9, &[7; 300]);
    for (key, value) in entries {
        all.extend(entry(key, value));
    }
    all.extend([14 << 3, 1]);
    all
}

fn found(model: &[u8]) -> Result<BTreeMap<String, DataFile>, ExternalError> {
    data_files(Cursor::new(model), model.len() as u64)
}

const PLACE: [(&str, &str); 4] = [
    ("location", "weights"),
    ("offset", "4096"),
    ("length", "100"),
    ("checksum", "ABCDEF"),
];

#[test]
fn a_tensor_is_found_wherever_it_stands() {
    let tensor = tensor(&PLACE);
    let graph = bytes(5, &tensor);
    let sparse = |field| bytes(15, &bytes(field, &tensor));
    let attribute = |attribute: Vec<u8>| bytes(1, &bytes(5, &attribute));
    for (name, graph) in [
        ("an initializer", graph.clone()),
        ("values of a sparse one", sparse(1)),
        ("indexes of a sparse one", sparse(2)),
        ("an attribute", attribute(bytes(5, &tensor))),
        ("attributes", attribute(bytes(10, &tensor))),
        ("a graph in an attribute", attribute(bytes(6, &graph))),
        ("graphs in an attribute", attribute(bytes(11, &graph))),
        (
            "a sparse tensor in an attribute",
            attribute(bytes(22, &bytes(1, &tensor))),
        ),
        (
            "sparse tensors in an attribute",
            attribute(bytes(23, &bytes(2, &tensor))),
        ),
    ] {
        let expected = DataFile {
            least_bytes: 4196,
            checksum: Some("abcdef".to_owned()),
        };
        for model in [
            bytes(7, &graph),
            bytes(20, &bytes(1, &graph)),
            bytes(20, &bytes(2, &graph)),
        ] {
            let found = found(&model).unwrap();
            assert_eq!(found.get("weights"), Some(&expected), "{name}");
        }
    }
    let node = bytes(7, &bytes(5, &bytes(5, &tensor)));
    assert_eq!(found(&bytes(25, &node)).unwrap().len(), 1, "a function");
    let default = bytes(11, &bytes(5, &tensor));
    assert_eq!(found(&bytes(25, &default)).unwrap().len(), 1, "a default");
}

#[test]
fn a_file_has_to_be_as_long_as_its_last_tensor_needs() {
    let one = |entries: &[(&str, &str)]| bytes(5, &tensor(entries));
    let model = bytes(
        7,
        &[
            one(&[("location", "a"), ("offset", "900"), ("length", "24")]),
            one(&[("location", "a"), ("length", "10")]),
            one(&[("location", "b"), ("offset", "7")]),
            one(&[]),
        ]
        .concat(),
    );
    let found = found(&model).unwrap();
    let least: Vec<(&str, u64)> = found
        .iter()
        .map(|(name, file)| (name.as_str(), file.least_bytes))
        .collect();
    assert_eq!(least, [("a", 924), ("b", 7)]);
}

#[test]
fn a_place_that_is_none_is_named() {
    let refused = |entries: &[(&str, &str)]| {
        let mut all = vec![("location", "weights")];
        all.extend(entries);
        found(&bytes(7, &bytes(5, &tensor(&all))))
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&[("offset", "-1")]).contains("offset is \"-1\""));
    assert!(refused(&[("length", "many")]).contains("length is \"many\""));
    let end = refused(&[("offset", "18446744073709551615"), ("length", "1")]);
    assert!(end.contains("18446744073709551615"), "{end}");
    assert!(refused(&[("offset", &"1".repeat(5000))]).contains("4096 bytes"));
    let two = [("location", "weights"), ("checksum", "00")];
    let other = [("location", "weights"), ("checksum", "01")];
    let both = [bytes(5, &tensor(&two)), bytes(5, &tensor(&other))].concat();
    let error = found(&bytes(7, &both)).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

#[test]
fn what_is_no_onnx_file_is_an_error_and_never_a_panic() {
    let model = bytes(7, &bytes(5, &tensor(&PLACE)));
    for size in 1..model.len() {
        assert!(found(&model[..size]).is_err(), "cut to {size} bytes");
    }
    assert!(found(b"not a model").is_err());
    // Protobuf drops the highest bits of such a number, and reads the field of the others.
    let mut beyond = vec![13 << 3 | 2 | 0x80, 0x80, 0x80, 0x80, 0x10];
    beyond.extend(&entry("location", "weights")[1..]);
    let error = found(&bytes(7, &bytes(5, &beyond)))
        .unwrap_err()
        .to_string();
    assert!(error.contains("a number that there is none of"), "{error}");
    let mut deep = bytes(5, &tensor(&PLACE));
    for _ in 0..40 {
        deep = bytes(1, &bytes(5, &bytes(6, &deep)));
    }
    let error = found(&bytes(7, &deep)).unwrap_err().to_string();
    assert!(error.contains("too deep"), "{error}");
    let mut random = fastrand::Rng::with_seed(14);
    for _ in 0..20_000 {
        let mut damaged = model.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..damaged.len());
            damaged[at] = random.u8(..);
        }
        let _ = found(&damaged);
    }
}

#[test]
fn weights_inside_are_skipped_and_not_read() {
    /// A terabyte of zeros between the first and the last bytes, of which no more may be read than a buffer's length.
    struct Sparse {
        start: Vec<u8>,
        at: u64,
        read: u64,
    }
    impl io::Read for Sparse {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let from = usize::try_from(self.at).unwrap_or(usize::MAX);
            to.fill(0);
            for (to, from) in to.iter_mut().zip(self.start.iter().skip(from)) {
                *to = *from;
            }
            self.at += to.len() as u64;
            self.read += to.len() as u64;
            assert!(self.read < 1 << 20, "the weights are read");
            Ok(to.len())
        }
    }
    impl Seek for Sparse {
        fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
            let io::SeekFrom::Current(distance) = to else {
                panic!("{to:?}")
            };
            self.at = self.at.checked_add_signed(distance).unwrap();
            Ok(self.at)
        }
    }
    // raw_data of 2^40 bytes, in a tensor of 7 more, in a graph of 7 more: a length of 2^40 takes six bytes.
    let length = |more: u8| [0x80 | more, 0x80, 0x80, 0x80, 0x80, 0x20];
    let start = [
        &[7 << 3 | 2][..],
        &length(14),
        &[5 << 3 | 2],
        &length(7),
        &[9 << 3 | 2],
        &length(0),
    ]
    .concat();
    let size = start.len() as u64 + (1 << 40);
    let file = Sparse {
        start,
        at: 0,
        read: 0,
    };
    assert!(
        data_files(io::BufReader::new(file), size)
            .unwrap()
            .is_empty()
    );
}
