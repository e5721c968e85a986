//! Tests of [`super::OnnxEmbedder`]. Those that need a model and a runtime take them from the environment
//! variables `VECTOR_MIGRATE_MODEL` (all-MiniLM-L6-v2) and `VECTOR_MIGRATE_ORT`, and are skipped without;
//! `ORT_DISABLE_TELEMETRY=1` goes with them.

use std::fs;
use std::path::PathBuf;

use super::super::folder::tests::directory;
use super::*;
use crate::compare;

const SENTENCES: [&str; 3] = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
];

fn installed() -> Option<(PathBuf, PathBuf)> {
    let path = |name| {
        std::env::var_os(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let both = path("VECTOR_MIGRATE_MODEL").zip(path("VECTOR_MIGRATE_ORT"));
    if both.is_none() {
        println!("skipped: VECTOR_MIGRATE_MODEL and VECTOR_MIGRATE_ORT are not set");
    }
    both
}

fn loaded() -> Option<OnnxEmbedder> {
    let (model, library) = installed()?;
    Some(OnnxEmbedder::load(&model, &library).unwrap())
}

const BATCH: Request<'_> = Request {
    prompt: "",
    budget: 2048,
    idle: None,
    batch: Some(2),
};

/// The vectors of `texts`.
fn all(embedder: &mut OnnxEmbedder, texts: &[&str], request: &Request<'_>) -> Embedded {
    let mut call = embedder.begin(texts, request).unwrap();
    loop {
        call.wake().unwrap();
        if call.poll(PATIENCE).unwrap() {
            return call.finish().unwrap();
        }
    }
}

fn failure(directory: &Path, library: &Path) -> EmbedError {
    match OnnxEmbedder::load(directory, library) {
        Ok(_) => panic!("loaded {}", directory.display()),
        Err(error) => error,
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    compare::cosine(a, b).unwrap()
}

#[test]
fn the_reference_values_of_the_model_are_met() {
    let Some(mut embedder) = loaded() else { return };
    assert_eq!(embedder.dimension(), 384);
    let vectors = embedder.embed(&SENTENCES).unwrap();
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-3, "{found}");
    near(cosine(&vectors[0], &vectors[1]), 0.6660);
    near(cosine(&vectors[0], &vectors[2]), 0.1046);
    near(cosine(&vectors[1], &vectors[2]), 0.1411);
    for (found, expected) in
        vectors[0]
            .iter()
            .zip([0.019_195_73, 0.120_085_4, 0.159_598_33, 0.067_065_92])
    {
        near(f64::from(*found), expected);
    }
}

#[test]
fn vectors_have_length_one() {
    let Some(mut embedder) = loaded() else { return };
    for vector in embedder.embed(&["", "one", &"long ".repeat(2000)]).unwrap() {
        let length: f64 = vector
            .iter()
            .map(|c| f64::from(*c).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
}

#[test]
fn a_text_has_the_same_vector_alone_and_in_a_batch() {
    let Some(mut embedder) = loaded() else { return };
    let long = "A much longer text in the same batch. ".repeat(40);
    let batch = [SENTENCES[0], &long, "", SENTENCES[1], SENTENCES[2]];
    let together = embedder.embed(&batch).unwrap();
    for (text, vector) in batch.iter().zip(&together) {
        let alone = embedder.embed(&[text]).unwrap();
        assert!(cosine(&alone[0], vector) >= 0.999_99, "{text:.40}");
    }
}

#[test]
fn only_the_first_tokens_of_a_text_count() {
    let Some(mut embedder) = loaded() else { return };
    assert_eq!(embedder.about().max_tokens, 256);
    let long = "word ".repeat(300);
    let longer = format!("{long} and something else");
    let vectors = embedder.embed(&[&long, &longer]).unwrap();
    assert!(cosine(&vectors[0], &vectors[1]) >= 0.999_99);
}

#[test]
fn no_text_is_no_vector() {
    let Some(mut embedder) = loaded() else { return };
    assert!(embedder.embed(&[]).unwrap().is_empty());
}

#[test]
fn the_loaded_model_says_what_it_is() {
    let Some(embedder) = loaded() else { return };
    assert!(!embedder.name().is_empty());
    assert_eq!(embedder.about().pooling, "mean");
    assert!(embedder.about().file.ends_with("model.onnx"));
    assert!(
        embedder
            .runtime_version()
            .is_some_and(|version| version.starts_with("1."))
    );
}

#[test]
fn the_runtime_opens_no_database_for_usage_data() {
    let Some(_embedder) = loaded() else { return };
    for file in fs::read_dir("/proc/self/fd").unwrap() {
        let target = fs::read_link(file.unwrap().path()).unwrap_or_default();
        assert!(
            !target.to_string_lossy().contains("onnxruntime.db"),
            "{}",
            target.display()
        );
    }
}

#[test]
fn a_file_that_is_no_model_is_an_error_of_the_model() {
    let Some((_, library)) = installed() else {
        return;
    };
    let error = failure(directory().path(), &library);
    assert!(matches!(error, EmbedError::Model { .. }), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let files = [
        "tokenizer.json",
        "config.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "model.onnx",
    ];
    for file in files {
        let directory = directory();
        let path = directory.path().join(file);
        fs::remove_file(&path).unwrap();
        let EmbedError::Unreadable { path: named, cause } =
            failure(directory.path(), Path::new("/none"))
        else {
            panic!("another error for {file}")
        };
        assert_eq!(named, path.display().to_string());
        assert!(cause.contains("No such file"), "{cause}");
    }
    let error = failure(Path::new("/no/such/model"), Path::new("/none"));
    assert!(matches!(error, EmbedError::Unreadable { path, .. } if path == "/no/such/model"));
}

#[test]
fn a_missing_library_is_named() {
    let error = failure(directory().path(), Path::new("/no/such/libonnxruntime.so"));
    assert!(
        matches!(error, EmbedError::Unreadable { path, .. } if path == "/no/such/libonnxruntime.so")
    );
}

#[test]
fn a_library_that_is_none_is_an_error_of_the_runtime() {
    let directory = directory();
    let library = directory.path().join("libonnxruntime.so");
    for bytes in [&b""[..], b"not a library", b"\x7fELF\x02\x01\x01"] {
        fs::write(&library, bytes).unwrap();
        let error = failure(directory.path(), &library);
        assert!(matches!(error, EmbedError::Runtime { .. }), "{error}");
    }
    let error = failure(directory.path(), directory.path());
    assert!(matches!(error, EmbedError::Runtime { .. }), "{error}");
}

#[test]
fn texts_that_come_again_are_given_the_same_vector() {
    let Some(mut embedder) = loaded() else { return };
    let texts = ["a", "b", "a", "a", "b"];
    let vectors = embedder.embed(&texts).unwrap();
    assert_eq!(vectors[0], vectors[2]);
    assert_eq!(vectors[1], vectors[4]);
    assert_ne!(vectors[0], vectors[1]);
    assert_eq!(embedder.remembered_bytes(), 0);
    embedder.remember(1 << 20);
    let first = embedder.embed(&texts).unwrap();
    let bytes = embedder.remembered_bytes();
    assert!((2 * 1536..4096).contains(&bytes), "{bytes}");
    assert_eq!(embedder.embed(&texts).unwrap(), first);
    assert_eq!(embedder.remembered_bytes(), bytes);
}

#[test]
fn many_windows_keep_the_order_and_count_what_was_cut() {
    let Some(mut embedder) = loaded() else { return };
    let texts: Vec<String> = (0..700)
        .map(|n| format!("{n}{}", " w".repeat(if n % 100 == 7 { 300 } else { n % 5 })))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let all = all(&mut embedder, &texts, &BATCH);
    assert_eq!((all.vectors.len(), all.truncated), (700, 7));
    for at in [0, 7, 127, 128, 699] {
        let alone = embedder.embed(&[texts[at]]).unwrap();
        assert!(cosine(&alone[0], &all.vectors[at]) >= 0.999_99, "{at}");
    }
}

#[test]
fn a_call_that_is_dropped_is_stopped_and_the_next_one_goes_on() {
    let Some(mut embedder) = loaded() else { return };
    let texts: Vec<String> = (0..5000)
        .map(|n| format!("{n}{}", " w".repeat(300)))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let budget = 1 << 14;
    let mut call = embedder
        .begin(&texts, &Request { budget, ..BATCH })
        .unwrap();
    // Begins, and then computes.
    for _ in 0..2 {
        call.wake().unwrap();
        assert!(!call.poll(PATIENCE).unwrap());
    }
    drop(call);
    assert_eq!(embedder.embed(&["after it"]).unwrap().len(), 1);
}

#[test]
fn a_prompt_stands_before_every_text() {
    let Some(mut embedder) = loaded() else { return };
    let expected = embedder.embed(&["query: a", "query: b"]).unwrap();
    let prompt = "query: ";
    let found = all(&mut embedder, &["a", "b"], &Request { prompt, ..BATCH });
    for (found, expected) in found.vectors.iter().zip(&expected) {
        assert!(cosine(found, expected) >= 0.999_99);
    }
}

#[test]
fn many_texts_have_a_session_of_their_own_until_the_rest() {
    let Some(mut embedder) = loaded() else { return };
    let texts: Vec<String> = (0..40).map(|n| format!("text {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let batch = None;
    let singly = all(&mut embedder, &texts, &Request { batch, ..BATCH });
    assert!(embedder.batch.is_none(), "searches have none");
    all(&mut embedder, &texts[..20], &BATCH);
    assert!(embedder.batch.is_none(), "20 texts are not worth one");
    let together = all(&mut embedder, &texts[20..], &BATCH);
    let profile = embedder.batch.as_ref().map(Worker::profile);
    assert_eq!(profile, Some(Profile::batch(2)));
    for (one, other) in singly.vectors[20..].iter().zip(&together.vectors) {
        assert!(cosine(one, other) >= 0.999_99);
    }
    embedder.rest();
    assert!(embedder.batch.is_none());
    all(&mut embedder, &texts[..1], &BATCH);
    assert!(embedder.batch.is_none(), "it begins to count anew");
}

#[test]
fn a_thread_that_ended_for_want_of_texts_is_started_again() {
    let Some(mut embedder) = loaded() else { return };
    let idle = Some(Duration::from_millis(1));
    let texts: Vec<String> = (0..40).map(|n| format!("text {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for batch in [None, Some(1), Some(2)] {
        let request = Request {
            idle,
            batch,
            ..BATCH
        };
        let first = all(&mut embedder, &texts, &request);
        for batch in [false, true] {
            // What has no thread yet has none to wait for.
            while !embedder.worker(batch).rests() {
                std::thread::yield_now();
            }
        }
        let again = all(&mut embedder, &texts, &request);
        for (first, again) in first.vectors.iter().zip(&again.vectors) {
            assert!(cosine(first, again) >= 0.999_99);
        }
    }
}

#[test]
fn after_the_files_were_replaced_the_first_session_goes_on_alone() {
    let Some((model, library)) = installed() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    copy(&model, &folder);
    let mut embedder = OnnxEmbedder::load(&folder, &library).unwrap();
    let before = embedder.embed(&SENTENCES).unwrap();
    fs::rename(&folder, place.path().join("old")).unwrap();
    copy(&model, &folder);
    let many = [SENTENCES[0]; 40];
    all(&mut embedder, &many, &BATCH);
    assert!(embedder.batch.is_none());
    fs::remove_dir_all(place.path()).unwrap();
    assert_eq!(embedder.embed(&SENTENCES).unwrap(), before);
}

/// A directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => fs::copy(entry.path(), target).map(drop).unwrap(),
        }
    }
}
