//! Embedding against the bare runtime and against plain batches, side by side in one process:
//! `bench_embed MODEL_DIR ONNXRUNTIME OUT.json [ROUNDS [THREADS]]`. See `pgrx-tests/bench/embed.sh`.
//!
//! Two sets of texts: one of equal length, one of lengths spread evenly from 8 to 256 tokens. In each round every
//! way has its turn, in another order each time:
//!
//! - `ours`: [`OnnxEmbedder`] from text to vector, as `embed_text` and `migrate_chroma` use it;
//! - `raw`: a bare ONNX Runtime session on token arrays made beforehand, in batches of the same tokens; neither
//!   tokenising nor pooling is in its time;
//! - `plain`: fastembed's own `embed` in batches of 32 in the given order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastembed::{
    InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel,
};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use serde_json::{Value, json};
use tokenizers::Tokenizer;
use vector_migrate_core::embed::onnx::{OnnxEmbedder, environment};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BUDGET: usize = 2048;
const EQUAL_TOKENS: usize = 64;
const EQUAL_TEXTS: usize = 256;
const MIXED_TEXTS: usize = 256;
const PATIENCE: Duration = Duration::from_millis(50);

/// Texts and the number of tokens of each.
struct Set {
    name: &'static str,
    texts: Vec<String>,
    lengths: Vec<usize>,
}

/// A text of so many tokens, its number first so that no two are equal: common words are one token each.
fn text(number: usize, tokens: usize, tokenizer: &Tokenizer) -> Result<(String, usize), Failure> {
    const WORDS: [&str; 8] = [
        "the", "river", "runs", "under", "stone", "bridge", "every", "morning",
    ];
    let mut text = format!("{number}");
    let mut next = number;
    loop {
        let found = tokenizer.encode(text.as_str(), true)?.len();
        if found >= tokens {
            return Ok((text, found));
        }
        text.push(' ');
        text.push_str(WORDS[next % WORDS.len()]);
        next += 1;
    }
}

fn set(
    name: &'static str,
    tokenizer: &Tokenizer,
    wanted: impl Iterator<Item = usize>,
) -> Result<Set, Failure> {
    let mut set = Set {
        name,
        texts: Vec::new(),
        lengths: Vec::new(),
    };
    for (number, tokens) in wanted.enumerate() {
        let (text, found) = text(1000 + number, tokens, tokenizer)?;
        set.texts.push(text);
        set.lengths.push(found);
    }
    Ok(set)
}

/// A bare session and the batches it is given.
struct Raw {
    session: Session,
    /// Rows, columns, ids.
    batches: Vec<(usize, usize, Vec<i64>)>,
}

impl Raw {
    fn new(
        environment: &Environment,
        model: &Path,
        threads: usize,
        tokenizer: &Tokenizer,
        texts: &[String],
    ) -> Result<Raw, Failure> {
        let session = Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(|cause| cause.to_string())?
            .with_intra_threads(threads)
            .map_err(|cause| cause.to_string())?
            .commit_from_file(model)?;
        let mut batches = Vec::new();
        for batch in texts.chunks(BUDGET / EQUAL_TOKENS) {
            let mut ids = Vec::new();
            let mut columns = 0;
            for text in batch {
                let encoding = tokenizer.encode(text.as_str(), true)?;
                columns = encoding.len();
                ids.extend(encoding.get_ids().iter().map(|id| i64::from(*id)));
            }
            assert_eq!(ids.len(), batch.len() * columns, "texts of equal length");
            batches.push((batch.len(), columns, ids));
        }
        Ok(Raw { session, batches })
    }

    fn run(&mut self) -> Result<(), Failure> {
        for (rows, columns, ids) in &self.batches {
            let shape = [*rows, *columns];
            let (ones, zeros) = (vec![1_i64; ids.len()], vec![0_i64; ids.len()]);
            let outputs = self.session.run(ort::inputs![
                "input_ids" => Tensor::from_array((shape, ids.clone()))?,
                "attention_mask" => Tensor::from_array((shape, ones))?,
                "token_type_ids" => Tensor::from_array((shape, zeros))?,
            ])?;
            assert_eq!(outputs.len(), 1);
        }
        Ok(())
    }
}

fn plain(
    directory: &Path,
    environment: &Environment,
    threads: usize,
) -> Result<TextEmbedding, Failure> {
    let read = |file: &str| std::fs::read(directory.join(file));
    let files = TokenizerFiles {
        tokenizer_file: read("tokenizer.json")?,
        config_file: read("config.json")?,
        special_tokens_map_file: read("special_tokens_map.json")?,
        tokenizer_config_file: read("tokenizer_config.json")?,
    };
    let model =
        UserDefinedEmbeddingModel::new(read("model.onnx")?, files).with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment.clone())
        .with_max_length(256)
        .with_intra_threads(threads);
    Ok(TextEmbedding::try_new_from_user_defined(model, options)?)
}

fn ours(embedder: &mut OnnxEmbedder, texts: &[String]) -> Result<(), Failure> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut call = embedder.begin(&texts, "", BUDGET)?;
    while !call.poll(PATIENCE)? {}
    assert_eq!(call.finish()?.vectors.len(), texts.len());
    Ok(())
}

fn seconds(work: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "bench_embed MODEL_DIR ONNXRUNTIME OUT.json [ROUNDS [THREADS]]";
    let mut path = || arguments.next().map(PathBuf::from).ok_or(usage);
    let (directory, library, out) = (path()?, path()?, path()?);
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let threads: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;

    let mut embedder = OnnxEmbedder::load(&directory, &library, threads)?;
    let environment = environment(&library)?;
    let mut tokenizer = Tokenizer::from_file(directory.join("tokenizer.json"))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None)?;
    let equal = set(
        "equal",
        &tokenizer,
        std::iter::repeat_n(EQUAL_TOKENS, EQUAL_TEXTS),
    )?;
    // In an order without any: 97 and the number of texts have no common divisor.
    let spread = (0..MIXED_TEXTS).map(|n| 8 + (n * 97 % MIXED_TEXTS) * 248 / (MIXED_TEXTS - 1));
    let mixed = set("mixed", &tokenizer, spread)?;
    let model = directory.join("model.onnx");
    let mut raw = Raw::new(&environment, &model, threads, &tokenizer, &equal.texts)?;
    let mut plain = plain(&directory, &environment, threads)?;

    let mut took: Vec<(&str, &str, Vec<f64>)> = [
        ("equal", "ours"),
        ("equal", "raw"),
        ("mixed", "ours"),
        ("mixed", "plain"),
    ]
    .map(|(set, way)| (set, way, Vec::new()))
    .into();
    // One round before the count: memory is taken, pages are read.
    for round in 0..=rounds {
        let order: Vec<usize> = match round % 2 {
            0 => vec![0, 1, 2, 3],
            _ => vec![1, 0, 3, 2],
        };
        for at in order {
            let (set, way, _) = took[at];
            let texts = if set == "equal" {
                &equal.texts
            } else {
                &mixed.texts
            };
            let time = seconds(|| match way {
                "ours" => ours(&mut embedder, texts),
                "raw" => raw.run(),
                _ => plain.embed(texts, Some(32)).map(drop).map_err(Into::into),
            })?;
            if round > 0 {
                took[at].2.push(time);
            }
        }
    }
    let sets: Vec<Value> = [&equal, &mixed]
        .iter()
        .map(|set| {
            let lengths = &set.lengths;
            json!({
                "set": set.name, "texts": set.texts.len(), "tokens": lengths.iter().sum::<usize>(),
                "shortest": lengths.iter().min(), "longest": lengths.iter().max(),
            })
        })
        .collect();
    let ways: Vec<Value> = took
        .iter()
        .map(|(set, way, seconds)| json!({"set": set, "way": way, "seconds": seconds}))
        .collect();
    let result = json!({
        "rounds": rounds, "threads": threads, "budget": BUDGET,
        "onnxruntime": embedder.runtime_version(), "model": embedder.about().name,
        "sets": sets, "ways": ways,
    });
    std::fs::write(out, serde_json::to_string_pretty(&result)?)?;
    Ok(())
}
