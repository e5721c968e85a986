//! Tests of [`super::Weights`]: which files a model may take its weights from.

use std::os::unix::fs::symlink;

use super::*;

/// A model whose only tensor is outside, with these entries.
fn model(entries: &[(&str, &str)]) -> Vec<u8> {
    let bytes = |field: u8, value: &[u8]| {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 128, "one byte of length");
        [&[field << 3 | 2, length], value].concat()
    };
    let entries: Vec<u8> = entries
        .iter()
        .map(|(key, value)| [bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat())
        .flat_map(|entry| bytes(13, &entry))
        .collect();
    bytes(7, &bytes(5, &entries))
}

/// SHA-1 of `weights`.
const CHECKSUM: &str = "f0768288b8897f1bdf5334eaa4efcec854cbf9de";

struct Case(tempfile::TempDir);

impl Case {
    fn new(entries: &[(&str, &str)]) -> Case {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("model")).unwrap();
        fs::write(place.path().join("model/model.onnx"), model(entries)).unwrap();
        fs::write(place.path().join("model/weights"), [7; 100]).unwrap();
        fs::write(place.path().join("outside"), [7; 100]).unwrap();
        Case(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn find(&self) -> Result<Weights, EmbedError> {
        Weights::find(&self.path("model/model.onnx"))
    }

    fn refused(&self) -> String {
        self.find().unwrap_err().to_string()
    }
}

fn verify(weights: &Weights) -> Result<(), EmbedError> {
    weights.verify(&|| false)
}

#[test]
fn a_file_beside_the_onnx_file_is_taken_and_counted() {
    let case = Case::new(&[("location", "weights"), ("length", "100")]);
    let weights = case.find().unwrap();
    verify(&weights).unwrap();
    assert!(weights.shared() && weights.unchanged());
    assert_eq!(weights.mapped_bytes(), 100);
    let inside = Case::new(&[]).find().unwrap();
    assert!(!inside.shared());
}

#[test]
fn nothing_outside_of_the_folder_is_taken() {
    for location in ["../outside", "/etc/hostname", "a/../../outside", "", ".."] {
        let refused = Case::new(&[("location", location)]).refused();
        assert!(
            refused.contains("outside its folder"),
            "{location}: {refused}"
        );
        assert!(refused.contains("model.onnx"), "{refused}");
    }
    let case = Case::new(&[("location", "link")]);
    symlink(case.path("outside"), case.path("model/link")).unwrap();
    assert!(case.refused().contains("outside its folder"));
    let case = Case::new(&[("location", "there/outside")]);
    symlink(case.0.path(), case.path("model/there")).unwrap();
    assert!(case.refused().contains("outside its folder"));
    // ONNX Runtime's mark of an address in memory, also where there is such a file.
    let mark = "*/_ORT_MEM_ADDR_/*";
    let case = Case::new(&[("location", mark), ("offset", "4096")]);
    assert!(case.refused().contains("outside its folder"));
    fs::create_dir_all(case.path("model/*/_ORT_MEM_ADDR_")).unwrap();
    fs::write(case.path("model").join(mark), [7; 8192]).unwrap();
    assert!(case.refused().contains("outside its folder"));
    // A link that stays inside, and a folder below.
    let case = Case::new(&[("location", "./below/link")]);
    fs::create_dir(case.path("model/below")).unwrap();
    symlink("../weights", case.path("model/below/link")).unwrap();
    case.find().unwrap();
}

#[test]
fn a_file_that_is_cut_missing_or_no_file_is_named() {
    let case = Case::new(&[("location", "weights"), ("offset", "1"), ("length", "100")]);
    let refused = case.refused();
    assert!(
        refused.contains("weights is cut: it has 100 bytes"),
        "{refused}"
    );
    fs::remove_file(case.path("model/weights")).unwrap();
    assert!(
        matches!(case.find(), Err(EmbedError::Unreadable { path, .. }) if path.ends_with("weights"))
    );
    fs::create_dir(case.path("model/weights")).unwrap();
    assert!(case.refused().contains("not a regular file"));
}

#[test]
fn a_file_has_to_be_the_one_whose_checksum_is_stated() {
    let case = Case::new(&[("location", "weights"), ("checksum", CHECKSUM)]);
    verify(&case.find().unwrap()).unwrap();
    let mut bytes = [7; 100];
    bytes[50] = 8;
    fs::write(case.path("model/weights"), bytes).unwrap();
    let weights = case.find().unwrap();
    let refused = verify(&weights).unwrap_err().to_string();
    assert!(refused.contains("weights is damaged"), "{refused}");
    assert!(weights.verify(&|| true).is_ok(), "given up");
}

#[test]
fn a_file_that_was_replaced_is_noticed() {
    for name in ["model/weights", "model/model.onnx"] {
        let case = Case::new(&[("location", "weights")]);
        let weights = case.find().unwrap();
        assert!(weights.unchanged());
        fs::copy(case.path(name), case.path("new")).unwrap();
        fs::rename(case.path("new"), case.path(name)).unwrap();
        assert!(!weights.unchanged(), "{name}");
        fs::remove_file(case.path(name)).unwrap();
        assert!(!weights.unchanged(), "{name}");
    }
}

#[test]
fn the_digest_is_of_all_weights_that_no_checksum_stands_for() {
    let digest = |entries: &[(&str, &str)], bytes: [u8; 100]| {
        let case = Case::new(entries);
        fs::write(case.path("model/weights"), bytes).unwrap();
        case.find().unwrap().digest(&mut || {}).unwrap()
    };
    let stated = [("location", "weights"), ("checksum", CHECKSUM)];
    let of_graph = hexadecimal(&Sha256::digest(model(&stated)));
    assert_eq!(digest(&stated, [7; 100]), of_graph);
    let plain = [("location", "weights")];
    let both = [&model(&plain)[..], &[8; 100]].concat();
    assert_eq!(digest(&plain, [8; 100]), hexadecimal(&Sha256::digest(both)));
}
