//! The ONNX model in memory: padded tokens in, vectors out.
//!
//! Promise: one vector a text, of the model's dimension, finite, of length 1 where the model wants that; a run
//! ends soon after its [`RunOptions`] are told to terminate. Must not import other stages.

use std::borrow::Cow;
use std::path::Path;

use fastembed::{OutputKey, Pooling, SingleBatchOutput};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

use super::folder::Folder;
use super::parts::Parts;
use super::runtime::without_panic;
use super::thread::Canceler;
use super::tokens::Tokens;

/// What exports call the output that holds a vector for each token, or for each text; in this order.
const OUTPUTS: [&str; 4] = [
    "last_hidden_state",
    "token_embeddings",
    "sentence_embedding",
    "text_embeds",
];

/// How a session is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Profile {
    /// Threads that compute, that of the caller included.
    pub threads: usize,
    /// Weights are laid out anew for the processor, in memory of this session. Texts of a few tokens are then computed
    /// faster, large steps a little; weights that are mapped as they are cost a session no memory.
    pub prepacked: bool,
}

impl Profile {
    /// For texts that come singly: one thread, and mapped weights stay as they are.
    pub fn search(shared: bool) -> Profile {
        Profile {
            threads: 1,
            prepacked: !shared,
        }
    }

    /// For many texts.
    pub fn batch(threads: usize) -> Profile {
        Profile {
            threads: threads.max(1),
            prepacked: true,
        }
    }
}

/// A loaded model.
pub(super) struct Model {
    session: Session,
    /// The output that is used.
    output: String,
    /// `None`: the model gives finished vectors.
    pooling: Option<Pooling>,
    normalize: bool,
    wants_types: bool,
    pad_id: u32,
    /// Components of every vector; 0 until the first run.
    dimension: usize,
}

impl Model {
    /// Loads the ONNX file of `parts` for this thread and `profile.threads - 1` others, which start here and
    /// compute from then on. `canceler` can give that up.
    pub fn load(parts: &Parts, profile: &Profile, canceler: &Canceler) -> Result<Model, String> {
        let folder = &parts.folder;
        let session = without_panic(|| {
            let words =
                |cause: ort::Error<ort::session::builder::SessionBuilder>| cause.to_string();
            let mut builder = Session::builder(&parts.environment)
                .map_err(|cause| cause.to_string())?
                .with_optimization_level(GraphOptimizationLevel::Level3)
                .map_err(words)?
                .with_intra_threads(profile.threads)
                .map_err(words)?
                // Plans are kept for each shape of input, and every step has another one.
                .with_memory_pattern(false)
                .map_err(words)?
                .with_prepacking(profile.prepacked)
                .map_err(words)?
                // Threads that wait for work must not burn the processors that the server needs.
                .with_intra_op_spinning(false)
                .map_err(words)?;
            canceler.set(Some(builder.canceler()));
            if canceler.cancelled() {
                return Err("loading was cancelled".to_owned());
            }
            let path = parts.weights.onnx();
            builder
                .commit_from_file(path)
                .map_err(|cause| format!("{} {cause}", file_name(path)))
        });
        canceler.set(None);
        let session = session?;
        check_inputs(session.inputs())?;
        let (output, rank) = output(session.outputs())?;
        let pooling = match (rank, &folder.pooling) {
            (2, _) => None,
            (_, Some(pooling)) => Some(pooling.clone()),
            (_, None) => return Err("modules.json has no step \"Pooling\"".to_owned()),
        };
        let wants_types = session
            .inputs()
            .iter()
            .any(|input| input.name() == "token_type_ids");
        Ok(Model {
            session,
            output,
            pooling,
            normalize: folder.normalize,
            wants_types,
            pad_id: parts.tokenizer.pad_id,
            dimension: 0,
        })
    }

    /// Runs one text through, to learn the dimension; it must be what the folder says.
    pub fn probe(&mut self, text: &Tokens, folder: &Folder) -> Result<usize, String> {
        let options = RunOptions::new().map_err(|cause| cause.to_string())?;
        let vectors = self.run(&[text], &options)?;
        let found = vectors.first().map_or(0, Vec::len);
        if found == 0 {
            return Err("it gives vectors without components".to_owned());
        }
        if let Some(said) = folder.dimension.filter(|said| *said != found) {
            return Err(format!(
                "its vectors have {found} components, but 1_Pooling/config.json says {said}"
            ));
        }
        self.dimension = found;
        Ok(found)
    }

    /// How token vectors become one: `mean`, `cls`, or `model` where the model gives finished vectors.
    pub fn pooling(&self) -> &'static str {
        match self.pooling {
            Some(Pooling::Mean) => "mean",
            Some(Pooling::Cls) => "cls",
            None => "model",
        }
    }

    /// The vectors of `texts`, in order.
    pub fn run(
        &mut self,
        texts: &[&Tokens],
        options: &RunOptions,
    ) -> Result<Vec<Vec<f32>>, String> {
        without_panic(|| self.run_padded(texts, options))
    }

    fn run_padded(
        &mut self,
        texts: &[&Tokens],
        options: &RunOptions,
    ) -> Result<Vec<Vec<f32>>, String> {
        let words = |cause: ort::Error| cause.to_string();
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let shape = [texts.len(), longest];
        let padded = |of: &dyn Fn(&Tokens) -> Vec<i64>, pad: i64| {
            let mut all = Vec::with_capacity(texts.len() * longest);
            for text in texts {
                let filled = all.len() + longest;
                all.extend(of(text));
                all.resize(filled, pad);
            }
            Tensor::from_array((shape, all)).map_err(words)
        };
        let wide = |ids: &[u32]| ids.iter().map(|id| i64::from(*id)).collect();
        let ids = padded(&|text| wide(&text.ids), i64::from(self.pad_id))?;
        let mask = padded(&|text| vec![1; text.ids.len()], 0)?;
        let attention_mask_array = mask
            .extract_array()
            .to_owned()
            .into_dimensionality()
            .map_err(|cause| cause.to_string())?;
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![
            ("input_ids".into(), ids.into()),
            ("attention_mask".into(), mask.into()),
        ];
        if self.wants_types {
            let types = padded(&|text| wide(&text.types), 0)?;
            inputs.push(("token_type_ids".into(), types.into()));
        }
        let mut outputs = self
            .session
            .run_with_options(inputs, options)
            .map_err(words)?;
        let value = outputs
            .remove(&self.output)
            .ok_or_else(|| format!("the model gave no output \"{}\"", self.output))?;
        drop(outputs);
        let given = value.dtype().tensor_shape().map(|shape| shape.to_vec());
        let batch = SingleBatchOutput {
            outputs: vec![(self.output.clone(), value)],
            attention_mask_array,
        };
        let pooled = batch
            .select_and_pool_output(&&[OutputKey::OnlyOne][..], self.pooling.clone())
            .map_err(|cause| format!("{cause} (output of shape {given:?})"))?;
        let vectors: Vec<Vec<f32>> = pooled
            .rows()
            .into_iter()
            .map(|row| row.iter().copied().collect())
            .map(|vector| if self.normalize { unit(vector) } else { vector })
            .collect();
        self.check(&vectors, texts.len())?;
        Ok(vectors)
    }

    fn check(&self, vectors: &[Vec<f32>], wanted: usize) -> Result<(), String> {
        if vectors.len() != wanted {
            let found = vectors.len();
            return Err(format!("the model gave {found} vectors for {wanted} texts"));
        }
        for vector in vectors {
            if self.dimension != 0 && vector.len() != self.dimension {
                let found = vector.len();
                return Err(format!("the model gave a vector of {found} components"));
            }
            if !vector.iter().all(|component| component.is_finite()) {
                return Err("the model gave a vector with NaN or an infinity".to_owned());
            }
        }
        Ok(())
    }
}

/// The vector with length 1; a vector of nothing but zeros stays one.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// An input that no text has a value for.
fn check_inputs(inputs: &[Outlet]) -> Result<(), String> {
    let known = ["input_ids", "attention_mask", "token_type_ids"];
    for needed in ["input_ids", "attention_mask"] {
        if !inputs.iter().any(|input| input.name() == needed) {
            return Err(format!("its ONNX file has no input \"{needed}\""));
        }
    }
    match inputs.iter().find(|input| !known.contains(&input.name())) {
        None => Ok(()),
        Some(other) => Err(format!(
            "its ONNX file has an input \"{}\": a text model has input_ids, attention_mask and \
             perhaps token_type_ids",
            other.name()
        )),
    }
}

/// The output to use and its rank: 3 for vectors of tokens, 2 for finished ones.
fn output(outputs: &[Outlet]) -> Result<(String, usize), String> {
    let named = OUTPUTS
        .iter()
        .find_map(|name| outputs.iter().find(|output| output.name() == *name));
    let Some(chosen) = named else {
        let names: Vec<&str> = outputs.iter().map(Outlet::name).collect();
        return Err(format!(
            "its ONNX file has no output that could be the vectors: it has \"{}\", not \"{}\"",
            names.join("\", \""),
            OUTPUTS.join("\", \"")
        ));
    };
    let name = chosen.name().to_owned();
    match chosen.dtype() {
        ValueType::Tensor { ty, shape, .. } if *ty == TensorElementType::Float32 => {
            match shape.len() {
                rank @ (2 | 3) => Ok((name, rank)),
                rank => Err(format!(
                    "its ONNX file's output \"{name}\" has {rank} axes: \
                     vectors of tokens have 3, finished ones 2"
                )),
            }
        }
        _ => Err(format!(
            "its ONNX file's output \"{name}\" is not a tensor of 32-bit floats"
        )),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
