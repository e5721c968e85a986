//! Tests of [`super::Folder`]: what a directory's files say. Wrong files are tested through SQL, too.

use super::*;

/// A directory with every file that a model needs; the ONNX file is none.
pub(crate) fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let tokenizer = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{"[UNK]":0,"[PAD]":1,"word":2}}}"#;
    for (file, text) in [
        ("tokenizer.json", tokenizer),
        ("config.json", "{}"),
        (
            "special_tokens_map.json",
            r#"{"pad_token":{"content":"[PAD]"},"mask_token":"[MASK]"}"#,
        ),
        (
            "tokenizer_config.json",
            r#"{"model_max_length":512,"pad_token":"[PAD]"}"#,
        ),
        ("model.onnx", "not a model"),
    ] {
        fs::write(directory.path().join(file), text).unwrap();
    }
    directory
}

fn with(files: &[(&str, &str)]) -> Result<Folder, EmbedError> {
    let directory = directory();
    for (file, text) in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Folder::read(directory.path(), directory.path())
}

fn refused(files: &[(&str, &str)]) -> String {
    with(files).unwrap_err().to_string()
}

#[test]
fn without_other_files_texts_are_pooled_by_the_mean_and_normalised() {
    let folder = with(&[]).unwrap();
    assert_eq!(folder.pooling, Some(Pooling::Mean));
    assert!(folder.normalize);
    assert_eq!(folder.max_tokens, 512);
    assert_eq!(folder.special_tokens, ["[PAD]", "[MASK]"]);
    assert_eq!(
        (folder.pad_id, folder.pad_token.as_deref()),
        (None, Some("[PAD]"))
    );
    assert_eq!(
        (folder.query_prompt.as_str(), folder.passage_prompt.as_str()),
        ("", "")
    );
}

#[test]
fn the_steps_of_a_model_are_those_of_modules_json() {
    let step = |kind: &str, path: &str| {
        format!(r#"{{"type":"sentence_transformers.models.{kind}","path":"{path}"}}"#)
    };
    let transformer = step("Transformer", "");
    let two = format!("[{transformer},{}]", step("Pooling", "2_P"));
    let cls = r#"{"pooling_mode_cls_token":true}"#;
    let folder = with(&[
        ("modules.json", &two),
        ("2_P/config.json", cls),
        ("1_Pooling/config.json", "no"),
    ])
    .unwrap();
    assert_eq!(folder.pooling, Some(Pooling::Cls));
    assert!(!folder.normalize);
    let three = format!(
        "[{transformer},{},{}]",
        step("Pooling", "2_P"),
        step("Normalize", "3")
    );
    assert!(
        with(&[("modules.json", &three), ("2_P/config.json", cls)])
            .unwrap()
            .normalize
    );
    assert!(refused(&[("modules.json", &two)]).contains("2_P/config.json"));
    for path in ["../2_P", "/2_P", "a/../../b"] {
        let outside = format!("[{}]", step("Pooling", path));
        assert!(
            refused(&[("modules.json", &outside)]).contains("outside"),
            "{path}"
        );
    }
    let dense = format!("[{transformer},{}]", step("Dense", "4"));
    assert!(refused(&[("modules.json", &dense)]).contains("models.Dense"));
    assert!(refused(&[("modules.json", "{}")]).contains("not a list"));
}

#[test]
fn a_pooling_is_followed_or_refused_by_name() {
    let file = "1_Pooling/config.json";
    for (text, pooling) in [
        ("{}", Pooling::Mean),
        (
            r#"{"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":false}"#,
            Pooling::Mean,
        ),
        (r#"{"pooling_mode":"cls"}"#, Pooling::Cls),
    ] {
        assert_eq!(with(&[(file, text)]).unwrap().pooling, Some(pooling));
    }
    for (mode, name) in [
        ("max_tokens", "max"),
        ("lasttoken", "lasttoken"),
        ("weightedmean_tokens", "weightedmean"),
    ] {
        let words = refused(&[(file, &format!(r#"{{"pooling_mode_{mode}":true}}"#))]);
        assert!(
            words.contains(&format!("pooling \"{name}\"")) && words.contains(file),
            "{words}"
        );
    }
    assert!(refused(&[(file, r#"{"include_prompt":false}"#)]).contains("include_prompt"));
    let dimension = r#"{"word_embedding_dimension":384}"#;
    assert_eq!(with(&[(file, dimension)]).unwrap().dimension, Some(384));
}

#[test]
fn the_token_limit_is_the_first_that_is_said() {
    let limit = |sentence: &str, tokens: &str, config: &str| {
        let tokens = format!(r#"{{"model_max_length":{tokens}}}"#);
        with(&[
            ("sentence_bert_config.json", sentence),
            ("tokenizer_config.json", &tokens),
            ("config.json", config),
        ])
        .map(|folder| folder.max_tokens)
    };
    assert_eq!(
        limit(r#"{"max_seq_length":128}"#, "512", "{}").unwrap(),
        128
    );
    assert_eq!(
        limit(r#"{"max_seq_length":null}"#, "512", "{}").unwrap(),
        512
    );
    assert_eq!(
        limit("{}", "1000000000000000019884624838656", "{}").unwrap(),
        256
    );
    assert_eq!(limit("{}", "-1", "{}").unwrap(), 256);
    assert_eq!(
        limit("{}", "1024", r#"{"max_position_embeddings":512}"#).unwrap(),
        512
    );
    for wrong in ["0", "-5", "1.5", "\"many\"", "100000"] {
        let sentence = format!(r#"{{"max_seq_length":{wrong}}}"#);
        let error = limit(&sentence, "512", "{}").unwrap_err().to_string();
        assert!(error.contains("max_seq_length"), "{error}");
    }
}

#[test]
fn prompts_are_found_by_name_or_by_default() {
    let prompts = |text: &str| {
        let folder = with(&[("config_sentence_transformers.json", text)]).unwrap();
        (folder.query_prompt, folder.passage_prompt)
    };
    let both = |query: &str, passage: &str| (query.to_owned(), passage.to_owned());
    assert_eq!(
        prompts(r#"{"prompts":{"query":"q: ","passage":"p: "}}"#),
        both("q: ", "p: ")
    );
    assert_eq!(
        prompts(r#"{"prompts":{"query":"q: ","document":"d: "}}"#),
        both("q: ", "d: ")
    );
    assert_eq!(prompts(r#"{"prompts":{"query":"q: "}}"#), both("q: ", ""));
    assert_eq!(
        prompts(r#"{"prompts":{"a":"a: "},"default_prompt_name":"a"}"#),
        both("a: ", "a: ")
    );
    let long = format!(r#"{{"prompts":{{"query":"{}"}}}}"#, "q".repeat(5000));
    assert!(refused(&[("config_sentence_transformers.json", &long)]).contains("prompt"));
}

#[test]
fn a_file_is_bounded_and_must_be_one() {
    let directory = directory();
    let file = directory.path().join("tokenizer.json");
    fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
    assert!(
        tokenizer_file(directory.path())
            .unwrap_err()
            .to_string()
            .contains("larger than 64 MB")
    );
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(
        tokenizer_file(directory.path())
            .unwrap_err()
            .to_string()
            .contains("regular file")
    );
}

#[test]
fn a_model_is_called_by_its_folder_or_by_its_configuration() {
    let config = serde_json::json!({"_name_or_path": "org/base"});
    assert_eq!(
        name(Path::new("/m/all-MiniLM-L6-v2"), &config),
        "all-MiniLM-L6-v2"
    );
    assert_eq!(name(Path::new("/m/model"), &config), "org/base");
    assert_eq!(name(Path::new("/m/model"), &Json::Null), "model");
}
