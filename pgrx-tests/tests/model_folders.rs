//! What a model's directory says is followed; what is wrong with it is named, and the backend lives on.

use std::process::Command;

use serde_json::json;
use vector_migrate_tests::models::{ModelFolder, TINY_DATA, cosine, embed, reference};
use vector_migrate_tests::{Db, Session, Store, store};

/// The error of embedding with `folder`; the backend is the same one before and after.
fn refused(folder: &ModelFolder, code: &str) -> vector_migrate_tests::Failure {
    let db = Db::new();
    folder.set(&db);
    alive(&db, || {
        db.error("SELECT embed_text('one two')").expect(code)
    })
}

fn alive<R>(session: &Session, work: impl FnOnce() -> R) -> R {
    let pid = session.line("SELECT pg_backend_pid()");
    let result = work();
    assert_eq!(session.line("SELECT pg_backend_pid()"), pid);
    result
}

const CLS: &str = r#"{"word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;

#[test]
fn a_folder_of_the_bge_kind_is_pooled_by_its_first_token() {
    let (db, folder) = (Db::new(), ModelFolder::real());
    folder.write("1_Pooling/config.json", CLS.as_bytes());
    folder.set(&db);
    assert_eq!(db.line("SELECT pooling FROM model_info()"), "cls");
    for one in reference() {
        let same = cosine(&embed(&db, &one.text), &one.cls);
        assert!(same > 0.9999, "{:.40}: {same}", one.text);
    }
}

#[test]
fn without_a_normalize_step_vectors_keep_their_length() {
    let (db, folder) = (Db::new(), ModelFolder::real());
    folder.json(
        "modules.json",
        &json!([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "pool", "type": "sentence_transformers.models.Pooling"},
        ]),
    );
    folder.write("pool/config.json", &folder.bytes("1_Pooling/config.json"));
    folder.set(&db);
    for one in reference().iter().take(5) {
        let vector = embed(&db, &one.text);
        let length = vector
            .iter()
            .map(|x| f64::from(*x).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!(
            (length - one.length).abs() < 1e-3,
            "{length} is not {}",
            one.length
        );
        assert!(cosine(&vector, &one.mean) > 0.9999);
    }
}

#[test]
fn prefixes_of_the_e5_kind_come_from_settings_or_from_the_folder() {
    let (db, plain) = (Db::new(), Db::new());
    let folder = ModelFolder::real();
    folder.json(
        "config_sentence_transformers.json",
        &json!({"prompts": {"query": "query: ", "passage": "passage: "}}),
    );
    folder.set(&db);
    let text = "how much protein should a female eat";
    let passage = embed(&plain, &format!("passage: {text}"));
    assert!(
        cosine(&embed(&db, text), &passage) > 0.99999,
        "the folder's own"
    );
    plain.run("SET vector_migrate.passage_prefix = 'passage: '");
    assert!(
        cosine(&embed(&plain, text), &passage) > 0.99999,
        "the setting"
    );
    // A setting wins over the folder.
    db.run("SET vector_migrate.passage_prefix = 'text: '");
    assert!(cosine(&embed(&db, text), &passage) < 0.9999);
    db.run("RESET vector_migrate.passage_prefix");

    // A search looks for its text as a query.
    db.run(&format!(
        "CREATE TABLE content_vectors (id text, user_id bigint, title text, full_content jsonb, searchable_text text, embedding vector(384));
         SET vector_migrate.passage_prefix = 'query: ';
         INSERT INTO content_vectors SELECT 'as a query', 1, '', '{{}}', '', embed_text('{text}');
         SET vector_migrate.passage_prefix = 'passage: ';
         INSERT INTO content_vectors SELECT 'as a passage', 1, '', '{{}}', '', embed_text('{text}');
         RESET vector_migrate.passage_prefix"
    ));
    let found = db.lines(&format!(
        "SELECT id, similarity > 0.99999 FROM search_content('{text}')"
    ));
    assert_eq!(found, ["as a query|t", "as a passage|f"]);
    db.run("SET vector_migrate.query_prefix = 'passage: '");
    let found = db.lines(&format!(
        "SELECT id, similarity > 0.99999 FROM search_content('{text}')"
    ));
    assert_eq!(found, ["as a passage|t", "as a query|f"]);
}

#[test]
fn the_token_limit_is_the_folders() {
    let db = Db::new();
    let folder = ModelFolder::tiny("good");
    let limit = |json: Option<serde_json::Value>, expected: &str| {
        if let Some(json) = json {
            folder.json("sentence_bert_config.json", &json);
        }
        let session = db.session();
        folder.set(&session);
        assert_eq!(
            session.line("SELECT max_tokens FROM model_info()"),
            expected
        );
    };
    limit(None, "8");
    limit(Some(json!({"max_seq_length": 5})), "5");
    folder.json(
        "config.json",
        &json!({"pad_token_id": 0, "max_position_embeddings": 4}),
    );
    limit(None, "4");
    folder.remove("sentence_bert_config.json");
    folder.json("config.json", &json!({}));
    folder.write(
        "tokenizer_config.json",
        br#"{"model_max_length": 1000000000000000019884624838656}"#,
    );
    limit(None, "256");
}

#[test]
fn a_missing_file_is_named() {
    for file in [
        "tokenizer.json",
        "config.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "model.onnx",
        TINY_DATA,
    ] {
        let folder = ModelFolder::tiny("shared");
        folder.remove(file);
        refused(&folder, "55000").names(file);
    }
    let folder = ModelFolder::tiny("good");
    folder.json(
        "modules.json",
        &json!([{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]),
    );
    refused(&folder, "55000").names("1_Pooling/config.json");
}

#[test]
fn a_file_that_is_wrong_is_named() {
    for file in [
        "tokenizer.json",
        "config.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
    ] {
        for bytes in [&b"{"[..], b"\xff\xfe", b"", &b"[".repeat(100_000)] {
            let folder = ModelFolder::tiny("good");
            folder.write(file, bytes);
            refused(&folder, "55000").names(file);
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let pooling = |mode: &str| {
        let folder = ModelFolder::tiny("good");
        folder.write(
            "1_Pooling/config.json",
            format!("{{\"pooling_mode_{mode}\": true}}").as_bytes(),
        );
        folder
    };
    refused(&pooling("max_tokens"), "55000")
        .names("pooling \"max\"")
        .names("1_Pooling/config.json");
    refused(&pooling("lasttoken"), "55000").names("pooling \"lasttoken\"");
    let folder = ModelFolder::tiny("good");
    folder.json(
        "1_Pooling/config.json",
        &json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}),
    );
    refused(&folder, "55000").names("several poolings");
    folder.remove("1_Pooling/config.json");
    folder.json(
        "modules.json",
        &json!([{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]),
    );
    refused(&folder, "55000").names("Dense");
    folder.json(
        "modules.json",
        &json!([{"type": "sentence_transformers.models.Pooling", "path": "../elsewhere"}]),
    );
    refused(&folder, "55000").names("outside the directory");
    folder.json(
        "modules.json",
        &json!([{"type": "sentence_transformers.models.Transformer", "path": ""}]),
    );
    refused(&folder, "55000").names("Pooling");
    folder.remove("modules.json");
    folder.json(
        "sentence_bert_config.json",
        &json!({"max_seq_length": 1_000_000_000}),
    );
    refused(&folder, "55000").names("max_seq_length");
    folder.json("sentence_bert_config.json", &json!({"max_seq_length": 2}));
    refused(&folder, "55000").names("no room");
}

#[test]
fn an_onnx_file_that_is_cut_or_another_kind_of_model_is_refused() {
    let folder = ModelFolder::tiny("good");
    let whole = folder.bytes("model.onnx");
    for size in [0, 1, whole.len() / 2, whole.len() - 1] {
        folder.write("model.onnx", &whole[..size]);
        refused(&folder, "55000").names("model.onnx");
    }
    let real = ModelFolder::real();
    let whole = real.bytes("model.onnx");
    real.write("model.onnx", &whole[..whole.len() / 3]);
    refused(&real, "55000").names("model.onnx");
    refused(&ModelFolder::tiny("other_name"), "55000").names("logits");
    refused(&ModelFolder::tiny("rank4"), "55000").names("4 axes");
    refused(&ModelFolder::tiny("integers"), "55000").names("32-bit floats");
    refused(&ModelFolder::tiny("not_a_number"), "55000").names("NaN");
    refused(&ModelFolder::tiny("extra_input"), "55000").names("pixel_values");
    let folder = ModelFolder::tiny("good");
    folder.json(
        "1_Pooling/config.json",
        &json!({"pooling_mode_mean_tokens": true, "word_embedding_dimension": 16}),
    );
    refused(&folder, "55000").names("16").names("8 components");
}

#[test]
fn a_model_that_gives_finished_vectors_is_used() {
    let (db, folder) = (Db::new(), ModelFolder::tiny("finished"));
    folder.set(&db);
    assert_eq!(
        db.line("SELECT pooling, dimension FROM model_info()"),
        "model|8"
    );
    let (finished, other) = (embed(&db, "one two"), Db::new());
    let good = ModelFolder::tiny("good");
    good.set(&other);
    assert!(cosine(&finished, &embed(&other, "one two")) > 0.99999);
}

#[test]
fn a_hostile_tokenizer_is_an_error() {
    // Larger than any vocabulary, without taking room on the disk.
    let folder = ModelFolder::tiny("good");
    let file = std::fs::File::create(folder.path().join("tokenizer.json")).expect("creates");
    file.set_len(3 << 30).expect("a sparse file");
    refused(&folder, "55000")
        .names("tokenizer.json")
        .names("larger than");
    // Ids that the model's table does not have.
    let folder = ModelFolder::tiny("good");
    let text = String::from_utf8(folder.bytes("tokenizer.json")).expect("UTF-8");
    folder.write(
        "tokenizer.json",
        text.replace("\"two\":5", "\"two\":4000000000").as_bytes(),
    );
    refused(&folder, "38000").names("could not embed");
    // A pattern that takes forever.
    let folder = ModelFolder::tiny("good");
    let slow =
        r#"{"type":"Split","pattern":{"Regex":"(a|a|aa)+$"},"behavior":"Isolated","invert":false}"#;
    folder.write(
        "tokenizer.json",
        text.replace(r#"{"type":"WhitespaceSplit"}"#, slow)
            .as_bytes(),
    );
    let db = Db::new();
    folder.set(&db);
    db.run("SET statement_timeout = '2s'");
    alive(&db, || {
        let answer = db.attempt(&format!("SELECT embed_text('{}b')", "a".repeat(5000)));
        if let Err(failure) = answer {
            assert!(
                ["57014", "38000"].contains(&failure.code.as_str()),
                "{failure:?}"
            );
        }
    });
}

#[test]
fn the_dimension_must_be_the_targets() {
    let (db, source, folder) = (
        Db::new(),
        store("special/no-vector"),
        ModelFolder::tiny("good"),
    );
    db.migrate(&source, "entity_target => NULL");
    folder.set(&db);
    alive(&db, || {
        db.migrate_error(
            &source,
            "embeddings => 'generate', entity_target => NULL, on_conflict => 'update'",
        )
        .expect("22000")
        .names("8 dimensions");
    });
}

/// A library of C source, built where the server can read it.
fn library(source: &str) -> Option<(Store, String)> {
    let place = Store::empty();
    let (c, so) = (place.path().join("it.c"), place.path().join("libit.so"));
    std::fs::write(&c, source).expect("writes");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&so)
        .arg(&c)
        .status();
    let Ok(true) = built.map(|status| status.success()) else {
        println!("skipped: no C compiler");
        return None;
    };
    let literal = place.sql_of("libit.so");
    Some((place, literal))
}

#[test]
fn a_runtime_that_is_too_old_or_none_is_refused() {
    let error = |path: &str| {
        let db = Db::new();
        db.run(&format!("SET vector_migrate.onnxruntime_path = {path}"));
        alive(&db, || db.error("SELECT embed_text('x')").expect("55000"))
    };
    let old = "static const void *get(unsigned version) { return version > 10 ? 0 : (void *) get; }
               static const char *name(void) { return \"1.10.0\"; }
               static struct { const void *(*get)(unsigned); const char *(*name)(void); } base = { get, name };
               void *OrtGetApiBase(void) { return &base; }";
    if let Some((_place, path)) = library(old) {
        error(&path).names("1.10.0").names("too old");
    }
    if let Some((_place, path)) = library("int nothing;") {
        error(&path).names("not ONNX Runtime");
    }
    let place = Store::empty();
    for bytes in [&b""[..], b"not a library", b"\x7fELF\x02\x01\x01"] {
        std::fs::write(place.path().join("text.so"), bytes).expect("writes");
        error(&place.sql_of("text.so")).names("could not load ONNX Runtime");
    }
    let missing = place.sql_of("nothing.so");
    error(&missing).names("nothing.so");
}

#[test]
fn without_a_model_what_needs_one_says_so() {
    let (db, source) = (Db::new(), store("special/no-vector"));
    db.run("SET vector_migrate.model_path = '/no/such/model'");
    db.error("SELECT embed_text('x')")
        .expect("55000")
        .details("/no/such/model");
    db.migrate_error(&source, "embeddings => 'generate'")
        .expect("55000");
    assert_eq!(
        db.line("SELECT path, name, dimension, loaded, memory_bytes FROM model_info()"),
        "/no/such/model|∅|∅|f|∅"
    );
    assert_eq!(
        db.migrate(&source, "entity_target => NULL").total().reused,
        5
    );
}
