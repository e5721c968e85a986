//! A model's directory, as sentence-transformers lays it out: what its files say, checked before anything is
//! loaded.
//!
//! Promise: every file is bounded before it is read, and the file that is missing or wrong is named. Nothing
//! outside the directory is read. Must not import other stages.

use std::fs;
use std::path::{Component, Path, PathBuf};

use fastembed::Pooling;
use serde_json::Value as Json;

use super::EmbedError;
use super::runtime::unreadable;

/// Tokens of a text that count, where no file of the model says it: Chroma's own default.
const MAX_TOKENS: usize = 256;

/// More tokens than any model of this kind takes; `model_max_length` has huge numbers for "not known".
const MOST_TOKENS: usize = 32_768;

/// Size limits. The largest vocabularies in use (250,000 entries) make tokenizer files of 17 to 35 MB.
const TOKENIZER_BYTES: u64 = 64 << 20;
const CONFIG_BYTES: u64 = 16 << 20;

/// A prompt is a few words.
const PROMPT_BYTES: usize = 4096;

/// What a model's directory says.
#[derive(Debug)]
pub(super) struct Folder {
    /// What the model is called.
    pub name: String,
    /// How token vectors become one; `None`: no file says.
    pub pooling: Option<Pooling>,
    /// Vectors get length 1.
    pub normalize: bool,
    /// Tokens of a text that count, special ones included.
    pub max_tokens: usize,
    /// Texts are lowercased before they are tokenised.
    pub lowercase: bool,
    /// Components of a vector, where `1_Pooling/config.json` says.
    pub dimension: Option<usize>,
    /// What the model wants before a query.
    pub query_prompt: String,
    /// What the model wants before a stored text.
    pub passage_prompt: String,
    /// The tokens of `special_tokens_map.json`.
    pub special_tokens: Vec<String>,
    /// The id that shorter texts of a batch are filled with.
    pub pad_id: Option<u32>,
    /// The token of that id, for a directory that has no number.
    pub pad_token: Option<String>,
}

impl Folder {
    /// Reads every small file of `directory`. `called` is a path to it that may be over links: the model has its name.
    pub fn read(directory: &Path, called: &Path) -> Result<Folder, EmbedError> {
        let mistake = |cause: String| EmbedError::Model {
            path: directory.display().to_string(),
            cause,
        };
        fs::read_dir(directory).map_err(|cause| unreadable(directory, &cause))?;
        let config = json(&directory.join("config.json"))?;
        let special = json(&directory.join("special_tokens_map.json"))?;
        let tokens = json(&directory.join("tokenizer_config.json"))?;
        let sentence = optional_json(&directory.join("sentence_bert_config.json"))?;
        let prompts = optional_json(&directory.join("config_sentence_transformers.json"))?;
        let modules = Modules::read(directory)?;
        let (pooling, dimension) = match &modules.pooling {
            Some(file) => pooling(directory, file)?,
            None => (None, None),
        };
        let max_tokens = max_tokens(&sentence, &tokens, &config).map_err(mistake)?;
        let (query_prompt, passage_prompt) = prompts_of(&prompts).map_err(mistake)?;
        let pad_id = config.get("pad_token_id").and_then(Json::as_u64);
        Ok(Folder {
            name: name(called, &config),
            pooling,
            normalize: modules.normalize,
            max_tokens,
            lowercase: sentence.get("do_lower_case") == Some(&Json::Bool(true)),
            dimension,
            query_prompt,
            passage_prompt,
            special_tokens: special_tokens(&special),
            pad_id: pad_id.and_then(|id| u32::try_from(id).ok()),
            pad_token: tokens.get("pad_token").and_then(token).map(str::to_owned),
        })
    }
}

/// What `modules.json` says: the steps from text to vector.
struct Modules {
    /// The configuration file of the pooling, if there is such a step.
    pooling: Option<PathBuf>,
    normalize: bool,
}

impl Modules {
    /// Without the file, mean pooling and length 1 are what Chroma and fastembed take for granted.
    fn read(directory: &Path) -> Result<Modules, EmbedError> {
        let file = directory.join("modules.json");
        let wrong = |cause: String| EmbedError::Model {
            path: directory.display().to_string(),
            cause: format!("modules.json {cause}"),
        };
        let default = directory.join("1_Pooling/config.json");
        if !file.exists() {
            return Ok(Modules {
                pooling: Some(default),
                normalize: true,
            });
        }
        let steps = json(&file)?;
        let steps = steps
            .as_array()
            .ok_or_else(|| wrong("is not a list".to_owned()))?;
        let mut modules = Modules {
            pooling: None,
            normalize: false,
        };
        for step in steps {
            let kind = step.get("type").and_then(Json::as_str).unwrap_or_default();
            let path = step.get("path").and_then(Json::as_str).unwrap_or_default();
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" => {}
                "Normalize" => modules.normalize = true,
                "Pooling" => {
                    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
                    if !Path::new(path).components().all(inside) {
                        return Err(wrong(format!(
                            "names \"{path}\", which is outside the directory"
                        )));
                    }
                    let config = directory.join(path).join("config.json");
                    if !config.exists() {
                        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                        return Err(unreadable(&config, &missing));
                    }
                    modules.pooling = Some(config);
                }
                _ => {
                    return Err(wrong(format!(
                        "has a step \"{kind}\", which is not supported: \
                         Transformer, Pooling and Normalize are"
                    )));
                }
            }
        }
        Ok(modules)
    }
}

/// Pooling and dimension of a `1_Pooling/config.json`; mean where there is none.
fn pooling(directory: &Path, file: &Path) -> Result<(Option<Pooling>, Option<usize>), EmbedError> {
    if !file.exists() {
        return Ok((Some(Pooling::Mean), None));
    }
    let wrong = |cause: String| EmbedError::Model {
        path: directory.display().to_string(),
        cause: format!(
            "{} {cause}",
            file.strip_prefix(directory).unwrap_or(file).display()
        ),
    };
    let config = json(file)?;
    let object = config
        .as_object()
        .ok_or_else(|| wrong("is not an object".to_owned()))?;
    let mut modes: Vec<&str> = object
        .iter()
        .filter(|(_, value)| **value == Json::Bool(true))
        .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
        .collect();
    // Later releases of sentence-transformers write one word instead of a switch for each.
    modes.extend(config.get("pooling_mode").and_then(Json::as_str));
    let pooling = match modes.as_slice() {
        [] | ["mean_tokens" | "mean"] => Pooling::Mean,
        ["cls_token" | "cls"] => Pooling::Cls,
        [other] => {
            let other = other.trim_end_matches("_tokens");
            return Err(wrong(format!(
                "asks for pooling \"{other}\", which is not supported: mean and cls are"
            )));
        }
        several => {
            return Err(wrong(format!(
                "asks for several poolings at once ({}), which is not supported",
                several.join(", ")
            )));
        }
    };
    if config.get("include_prompt") == Some(&Json::Bool(false)) {
        let cause = "leaves prompts out of the pooling (include_prompt), which is not supported";
        return Err(wrong(cause.to_owned()));
    }
    let dimension = ["word_embedding_dimension", "embedding_dimension"]
        .iter()
        .find_map(|key| config.get(*key).and_then(Json::as_u64))
        .and_then(|dimension| usize::try_from(dimension).ok());
    Ok((Some(pooling), dimension))
}

/// The token limit: `max_seq_length`, else `model_max_length`, else Chroma's 256; and never more than the
/// model has positions.
fn max_tokens(sentence: &Json, tokens: &Json, config: &Json) -> Result<usize, String> {
    let positions = whole(config.get("max_position_embeddings"))
        .filter(|positions| (1..=MOST_TOKENS).contains(positions));
    let said = match sentence.get("max_seq_length") {
        None | Some(Json::Null) => None,
        Some(value) => Some(
            whole(Some(value))
                .filter(|tokens| (1..=MOST_TOKENS).contains(tokens))
                .ok_or_else(|| {
                    format!(
                        "sentence_bert_config.json has max_seq_length {value}: \
                         it can be 1 to {MOST_TOKENS}"
                    )
                })?,
        ),
    };
    let fallback = || {
        whole(tokens.get("model_max_length")).filter(|tokens| (1..=MOST_TOKENS).contains(tokens))
    };
    let limit = said.or_else(fallback).unwrap_or(MAX_TOKENS);
    Ok(positions.map_or(limit, |positions| limit.min(positions)))
}

fn whole(value: Option<&Json>) -> Option<usize> {
    value?
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
}

/// What the model wants before queries and before stored texts, as sentence-transformers takes it from
/// `prompts`: by these names, else the default one for both.
fn prompts_of(config: &Json) -> Result<(String, String), String> {
    let prompts = config.get("prompts");
    let prompt = |name: &str| prompts.and_then(|all| all.get(name)).and_then(Json::as_str);
    let default = config
        .get("default_prompt_name")
        .and_then(Json::as_str)
        .and_then(prompt);
    let query = prompt("query").or(default);
    let passage = ["document", "passage", "corpus"]
        .into_iter()
        .find_map(prompt)
        .or(default);
    let bounded = |text: Option<&str>| match text.unwrap_or_default() {
        long if long.len() > PROMPT_BYTES => Err(format!(
            "config_sentence_transformers.json has a prompt of more than {PROMPT_BYTES} bytes"
        )),
        text => Ok(text.to_owned()),
    };
    Ok((bounded(query)?, bounded(passage)?))
}

/// A token in a tokenizer's configuration: its text, or an object that has it.
fn token(value: &Json) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value.get("content").and_then(Json::as_str))
}

fn special_tokens(map: &Json) -> Vec<String> {
    let Some(map) = map.as_object() else {
        return Vec::new();
    };
    map.values().filter_map(token).map(str::to_owned).collect()
}

/// `tokenizer.json`.
pub(super) fn tokenizer_file(directory: &Path) -> Result<Vec<u8>, EmbedError> {
    read(&directory.join("tokenizer.json"), TOKENIZER_BYTES)
}

/// The path of `model.onnx`, here or in the folder `onnx`, as exports put it.
pub(super) fn onnx_file(directory: &Path) -> Result<PathBuf, EmbedError> {
    let (here, below) = (
        directory.join("model.onnx"),
        directory.join("onnx/model.onnx"),
    );
    let path = if !here.exists() && below.exists() {
        below
    } else {
        here
    };
    fs::metadata(&path).map_err(|cause| unreadable(&path, &cause))?;
    Ok(path)
}

/// Reads a file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, EmbedError> {
    use std::io::Read;
    let failed = |cause: std::io::Error| unreadable(path, &cause);
    let wrong = |cause: &str| EmbedError::Model {
        path: path.display().to_string(),
        cause: cause.to_owned(),
    };
    // A pipe would never end, and opening one would wait for its writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(wrong("not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(wrong(&format!("larger than {} MB", limit >> 20)));
    }
    Ok(bytes)
}

fn json(path: &Path) -> Result<Json, EmbedError> {
    serde_json::from_slice(&read(path, CONFIG_BYTES)?).map_err(|cause| EmbedError::Model {
        path: path.display().to_string(),
        cause: format!("not valid JSON: {cause}"),
    })
}

/// A JSON file that need not be there; `Null` if it is not.
fn optional_json(path: &Path) -> Result<Json, EmbedError> {
    if path.exists() {
        json(path)
    } else {
        Ok(Json::Null)
    }
}

/// The directory's name; where that is just `model` or `onnx`, what `config.json` calls the model.
fn name(directory: &Path, config: &Json) -> String {
    let folder = directory
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let folder = folder.filter(|name| !matches!(name.as_str(), "model" | "onnx"));
    let own = config
        .get("_name_or_path")
        .and_then(Json::as_str)
        .filter(|name| !name.is_empty());
    folder
        .or(own.map(str::to_string))
        .unwrap_or_else(|| "model".to_string())
}

#[cfg(test)]
#[path = "folder_tests.rs"]
pub(super) mod tests;
