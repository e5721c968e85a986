//! Embedding against the bare runtime and against plain batches, side by side in one process:
//! `bench_embed MODEL_DIR SINGLE_FILE_DIR ONNXRUNTIME OUT.json [ROUNDS [THREADS]]`. See `pgrx-tests/bench/embed.sh`.
//!
//! Sets of texts: of equal length (32 x 64, 8 x 256 and 1 x 16 tokens), and of lengths spread evenly from 8 to 256 tokens. In
//! each round every way has its turn, each time after another one:
//!
//! - `ours`: [`OnnxEmbedder`] from text to vector, as `embed_text` and `migrate_chroma` use it; 1 x 16: a call for each text;
//! - `before`, `light`, `no arena`, `raw`: a bare session with the options of that name ([`Options`]) on token arrays made
//!   beforehand; `before` with the model whose weights are inside its file;
//! - `plain`: fastembed's own `embed` in batches of 32 in the given order.

mod bare;
mod sets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastembed::{
    InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel,
};
use ort::environment::Environment;
use serde_json::{Value, json};
use tokenizers::Tokenizer;
use vector_migrate_core::embed::onnx::{OnnxEmbedder, Request, environment};

use bare::{Bare, Options};
use sets::Set;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BUDGET: usize = 2048;
const PATIENCE: Duration = Duration::from_millis(50);

/// What embeds texts.
enum Way {
    /// With the threads of a batch.
    Ours(Box<OnnxEmbedder>, usize),
    Bare(Box<Bare>),
    Plain(Box<TextEmbedding>),
}

impl Way {
    fn run(&mut self, set: &Set) -> Result<(), Failure> {
        match self {
            Way::Ours(embedder, threads) => {
                // Texts that come singly are searches.
                let batch = (set.call > 1).then_some(*threads);
                for texts in set.texts.chunks(set.call) {
                    ours(embedder, texts, batch)?;
                }
                embedder.rest();
                Ok(())
            }
            Way::Bare(session) => session.run(&set.batches),
            Way::Plain(model) => Ok(model.embed(&set.texts, Some(32)).map(drop)?),
        }
    }
}

/// What one way takes for one set, round by round.
struct Took {
    set: usize,
    way: usize,
    seconds: Vec<f64>,
    /// Processor time of all threads, in seconds.
    processor: Vec<f64>,
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

fn ours(
    embedder: &mut OnnxEmbedder,
    texts: &[String],
    batch: Option<usize>,
) -> Result<(), Failure> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let request = Request {
        prompt: "",
        budget: BUDGET,
        idle: None,
        batch,
    };
    let mut call = embedder.begin(&texts, &request)?;
    loop {
        call.wake()?;
        if call.poll(PATIENCE)? {
            break;
        }
    }
    assert_eq!(call.finish()?.vectors.len(), texts.len());
    Ok(())
}

/// Seconds of processor time that all threads of this process have had, also those that have ended: user and system time of
/// `/proc/self/stat`, in hundredths on every Linux.
fn processor_time() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: Result<Vec<u32>, _> = fields.map(str::parse).collect();
    Ok(f64::from(ticks?.iter().sum::<u32>()) / 100.0)
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let usage = "bench_embed MODEL_DIR SINGLE_FILE_DIR ONNXRUNTIME OUT.json [ROUNDS [THREADS]]";
    let mut path = || arguments.next().map(PathBuf::from).ok_or(usage);
    let (directory, single, library, out) = (path()?, path()?, path()?, path()?);
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let threads: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;

    let mut tokenizer = Tokenizer::from_file(directory.join("tokenizer.json"))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None)?;
    let sets = [
        Set::equal("32 x 64", &tokenizer, (32, 64), 256)?,
        Set::equal("8 x 256", &tokenizer, (8, 256), 64)?,
        Set::equal("1 x 16", &tokenizer, (1, 16), 128)?,
        Set::mixed(&tokenizer, 256)?,
    ];
    let embedder = OnnxEmbedder::load(&directory, &library)?;
    let (runtime, model) = (embedder.runtime_version(), embedder.about().name.clone());
    let environment = environment(&library)?;
    let bare = |directory: &Path, options| -> Result<Way, Failure> {
        let session = Bare::new(
            &environment,
            &directory.join("model.onnx"),
            threads,
            options,
        )?;
        Ok(Way::Bare(Box::new(session)))
    };
    let mut ways = [
        ("ours", Way::Ours(Box::new(embedder), threads)),
        ("before", bare(&single, Options::Before)?),
        ("light", bare(&directory, Options::Light)?),
        ("no arena", bare(&directory, Options::NoArena)?),
        ("raw", bare(&directory, Options::Plain)?),
        (
            "plain",
            Way::Plain(Box::new(plain(&single, &environment, threads)?)),
        ),
    ];
    // Sets, and the ways that are compared on each.
    let compared: [(usize, &[usize]); 4] = [
        (0, &[0, 1, 2, 3, 4]),
        (1, &[0, 1, 2, 3]),
        (2, &[0, 1, 2, 3]),
        (3, &[0, 5]),
    ];
    let mut took: Vec<Took> = Vec::new();
    for (set, ways) in compared {
        took.extend(ways.iter().map(|way| Took {
            set,
            way: *way,
            seconds: Vec::new(),
            processor: Vec::new(),
        }));
    }
    // One round before the count: memory is taken, pages are read.
    for round in 0..=rounds {
        for one in 0..sets.len() {
            let mut turns: Vec<&mut Took> = took.iter_mut().filter(|it| it.set == one).collect();
            let first = round % turns.len();
            turns.rotate_left(first);
            if round / turns.len() % 2 == 1 {
                turns.reverse();
            }
            for turn in turns {
                let (start, before) = (Instant::now(), processor_time()?);
                ways[turn.way].1.run(&sets[turn.set])?;
                if round > 0 {
                    turn.seconds.push(start.elapsed().as_secs_f64());
                    turn.processor.push(processor_time()? - before);
                }
            }
        }
    }
    let measured: Vec<Value> = took
        .iter()
        .map(|one| {
            json!({
                "set": sets[one.set].name, "way": ways[one.way].0,
                "seconds": one.seconds, "processor": one.processor,
            })
        })
        .collect();
    let result = json!({
        "rounds": rounds, "threads": threads, "budget": BUDGET, "onnxruntime": runtime, "model": model,
        "sets": sets.iter().map(Set::about).collect::<Vec<Value>>(), "ways": measured,
    });
    std::fs::write(out, serde_json::to_string_pretty(&result)?)?;
    Ok(())
}
