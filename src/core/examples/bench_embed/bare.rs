//! Sessions of ONNX Runtime on token arrays that were made beforehand: neither tokenising nor pooling is in their time.

use std::path::Path;

use ort::environment::Environment;
use ort::ep::CPU;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::Tensor;

use crate::Failure;

/// What a session is told when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Options {
    /// Nothing but the number of threads.
    Plain,
    /// What version 0.1.0 told it (`src/core/embed/session.rs` of that version).
    Before,
    /// As `Before`, and that weights are used as they lie in the file.
    Light,
    /// As `Light`, and that memory is given back after each run.
    NoArena,
}

/// A bare session.
pub struct Bare(Session);

/// The inputs of one run.
pub struct Batch {
    rows: usize,
    columns: usize,
    ids: Vec<i64>,
}

impl Batch {
    /// Texts of equal length.
    pub fn new(texts: &[Vec<i64>]) -> Result<Batch, Failure> {
        let columns = texts.first().map_or(0, Vec::len);
        if texts.iter().any(|text| text.len() != columns) {
            return Err("a batch has texts of different lengths".into());
        }
        let (rows, ids) = (texts.len(), texts.concat());
        Ok(Batch { rows, columns, ids })
    }
}

impl Bare {
    pub fn new(
        environment: &Environment,
        model: &Path,
        threads: usize,
        options: Options,
    ) -> Result<Bare, Failure> {
        let words = |cause: ort::Error<SessionBuilder>| cause.to_string();
        let mut builder = Session::builder(environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(words)?
            .with_intra_threads(threads)
            .map_err(words)?;
        if options != Options::Plain {
            builder = builder
                .with_memory_pattern(false)
                .map_err(words)?
                .with_config_entry("session.intra_op.allow_spinning", "0")
                .map_err(words)?;
        }
        if matches!(options, Options::Light | Options::NoArena) {
            builder = builder
                .with_config_entry("session.disable_prepacking", "1")
                .map_err(words)?;
        }
        if options == Options::NoArena {
            builder = builder
                .with_execution_providers([CPU::default().with_arena_allocator(false).build()])
                .map_err(words)?;
        }
        Ok(Bare(builder.commit_from_file(model)?))
    }

    /// Runs the batches, one after the other.
    pub fn run(&mut self, batches: &[Batch]) -> Result<(), Failure> {
        for Batch { rows, columns, ids } in batches {
            let shape = [*rows, *columns];
            let (ones, zeros) = (vec![1_i64; ids.len()], vec![0_i64; ids.len()]);
            let outputs = self.0.run(ort::inputs![
                "input_ids" => Tensor::from_array((shape, ids.clone()))?,
                "attention_mask" => Tensor::from_array((shape, ones))?,
                "token_type_ids" => Tensor::from_array((shape, zeros))?,
            ])?;
            assert_eq!(outputs.len(), 1);
        }
        Ok(())
    }
}
