//! Two threads of a model: one tokenises the next texts while the other computes.
//!
//! ```text
//! caller --windows--> tokenizer --steps--> model --results--> caller
//! ```
//!
//! Promise: both queues are bounded; a call that is stopped costs no more than the operation of the graph that is
//! being computed; dropping [`Threads`] ends both. They inherit the signal mask of the thread that calls
//! [`Threads::start`]. Must not import other stages.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use ort::session::RunOptions;
use ort::session::builder::LoadCanceler;

use super::folder::Folder;
use super::session::Model;
use super::steps::plan;
use super::tokens::{TextTokenizer, Tokens};
use super::{About, EmbedError, runtime};

/// How long the end of a process waits for its threads.
const FAREWELL: Duration = Duration::from_secs(5);

/// Steps that may wait for the model: the tokenizer turns to the next window while these are computed.
const QUEUED_STEPS: usize = 2;

/// Stops one call.
pub(super) struct Control {
    stopped: AtomicBool,
    options: RunOptions,
}

impl Control {
    pub fn new() -> Result<Control, EmbedError> {
        let options =
            RunOptions::new().map_err(|cause| EmbedError::Inference(cause.to_string()))?;
        Ok(Control {
            stopped: AtomicBool::new(false),
            options,
        })
    }

    /// Makes the threads forget the call; the runtime gives up between two operations of the graph.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It can only fail for want of memory; then the step is computed to its end.
        let _ = self.options.terminate();
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// A text of a call.
pub(super) struct Text {
    /// Which one.
    pub index: usize,
    /// Prompt and text.
    pub text: String,
    /// Nothing was cut from its end.
    pub whole: bool,
}

/// Texts that are sorted and computed together.
pub(super) struct Window {
    pub control: Arc<Control>,
    pub results: Sender<Done>,
    pub texts: Vec<Text>,
    /// Padded tokens of a step.
    pub budget: usize,
}

/// A text's vector.
pub(super) struct Vectored {
    pub index: usize,
    pub vector: Vec<f32>,
    pub truncated: bool,
}

/// What comes back of a step.
pub(super) type Done = Result<Vec<Vectored>, EmbedError>;

struct Step {
    control: Arc<Control>,
    results: Sender<Done>,
    texts: Vec<(usize, Tokens)>,
}

/// What the threads share with their owner.
#[derive(Default)]
struct Shared {
    /// Set while the model is being loaded.
    canceler: Mutex<Option<LoadCanceler>>,
    /// The call that was begun last.
    current: Mutex<Weak<Control>>,
}

/// The two threads.
pub(super) struct Threads {
    windows: Option<Sender<Window>>,
    ready: Receiver<Result<About, EmbedError>>,
    handles: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Threads {
    /// Starts both; the model is loaded on its own thread.
    pub fn start(directory: &Path, library: &Path, threads: usize) -> io::Result<Threads> {
        let (windows, windows_in) = bounded::<Window>(1);
        let (steps, steps_in) = bounded::<Step>(QUEUED_STEPS);
        let (tokenizer, tokenizer_in) = bounded::<TextTokenizer>(1);
        let (ready, ready_in) = bounded(1);
        let shared = Arc::new(Shared::default());
        let (directory, library) = (directory.to_owned(), library.to_owned());
        let for_model = shared.clone();
        let model = Builder::new().name("embed model".into()).spawn(move || {
            match load(&directory, &library, threads, &for_model) {
                Ok((model, texts, about)) => {
                    if tokenizer.send(texts).is_ok() && ready.send(Ok(about)).is_ok() {
                        compute(model, &steps_in);
                    }
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
        let mut started = Threads {
            windows: Some(windows),
            ready: ready_in,
            handles: vec![model],
            shared,
        };
        let second = Builder::new().name("embed tokens".into()).spawn(move || {
            if let Ok(tokenizer) = tokenizer_in.recv() {
                tokenize(&tokenizer, &windows_in, &steps);
            }
        })?;
        started.handles.push(second);
        Ok(started)
    }

    /// What the model is, once it is loaded; `None` if it is not yet after `patience`.
    pub fn loaded(&self, patience: Duration) -> Option<Result<About, EmbedError>> {
        use crossbeam_channel::RecvTimeoutError::{Disconnected, Timeout};
        match self.ready.recv_timeout(patience) {
            Ok(result) => Some(result),
            Err(Timeout) => None,
            Err(Disconnected) => Some(Err(gone())),
        }
    }

    /// Makes `control` the call that is stopped when the threads have to end.
    pub fn begin(&self, control: &Arc<Control>) {
        *self
            .shared
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(control);
    }

    /// Hands a window over; gives it back if there is no room yet.
    pub fn offer(&self, window: Window) -> Result<Option<Window>, EmbedError> {
        use crossbeam_channel::TrySendError::{Disconnected, Full};
        let windows = self.windows.as_ref().ok_or_else(gone)?;
        match windows.try_send(window) {
            Ok(()) => Ok(None),
            Err(Full(window)) => Ok(Some(window)),
            Err(Disconnected(_)) => Err(gone()),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let shared = &self.shared;
        let lock = |canceler: &Mutex<Option<LoadCanceler>>| {
            canceler
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        if let Some(canceler) = lock(&shared.canceler) {
            let _ = canceler.cancel();
        }
        let current = shared
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade();
        if let Some(current) = current {
            current.stop();
        }
        // Without windows the tokenizer ends, and without steps the model.
        self.windows = None;
        let deadline = Instant::now() + FAREWELL;
        for handle in self.handles.drain(..) {
            while !handle.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            if handle.is_finished() {
                let _ = handle.join();
            }
        }
    }
}

fn gone() -> EmbedError {
    EmbedError::Inference("a thread of the model has ended".to_owned())
}

fn load(
    directory: &Path,
    library: &Path,
    threads: usize,
    shared: &Shared,
) -> Result<(Model, TextTokenizer, About), EmbedError> {
    let failed = |cause| EmbedError::Model {
        path: directory.display().to_string(),
        cause,
    };
    let before = resident_bytes();
    let mut folder = Folder::read(directory)?;
    let tokenizer = TextTokenizer::new(&folder).map_err(failed)?;
    // Parsed: it need not be kept beside what was made of it.
    folder.tokenizer = Vec::new();
    let environment = runtime::environment(library)?;
    let mut model = Model::load(
        &folder,
        &environment,
        threads,
        tokenizer.pad_id,
        &shared.canceler,
    )
    .map_err(failed)?;
    let probe = tokenizer.tokens("dimension", true).map_err(failed)?;
    let dimension = model.probe(&probe, &folder).map_err(failed)?;
    let about = About {
        name: folder.name,
        file: folder.onnx,
        pooling: model.pooling(),
        dimension,
        max_tokens: folder.max_tokens,
        query_prompt: folder.query_prompt,
        passage_prompt: folder.passage_prompt,
        memory_bytes: resident_bytes().saturating_sub(before),
    };
    Ok((model, tokenizer, about))
}

fn tokenize(tokenizer: &TextTokenizer, windows: &Receiver<Window>, steps: &Sender<Step>) {
    for window in windows {
        if let Err(cause) = send_steps(tokenizer, &window, steps) {
            let _ = window.results.send(Err(EmbedError::Inference(cause)));
        }
    }
}

/// Sorts a window into steps and hands them to the model, unless the call is stopped.
fn send_steps(
    tokenizer: &TextTokenizer,
    window: &Window,
    steps: &Sender<Step>,
) -> Result<(), String> {
    let mut tokens = Vec::with_capacity(window.texts.len());
    for text in &window.texts {
        if window.control.stopped() {
            return Ok(());
        }
        tokens.push(Some((
            text.index,
            tokenizer.tokens(&text.text, text.whole)?,
        )));
    }
    let length = |text: &Option<(usize, Tokens)>| text.as_ref().map_or(0, |it| it.1.ids.len());
    let lengths: Vec<usize> = tokens.iter().map(length).collect();
    for step in plan(&lengths, window.budget) {
        let take = |index| tokens.get_mut(index).and_then(Option::take);
        let step = Step {
            control: window.control.clone(),
            results: window.results.clone(),
            texts: step.into_iter().filter_map(take).collect(),
        };
        if window.control.stopped() || steps.send(step).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn compute(mut model: Model, steps: &Receiver<Step>) {
    for step in steps {
        if step.control.stopped() {
            continue;
        }
        let tokens: Vec<&Tokens> = step.texts.iter().map(|(_, tokens)| tokens).collect();
        let vectors = model.run(&tokens, &step.control.options);
        let done = vectors.map_err(EmbedError::Inference).map(|vectors| {
            let texts = step.texts.iter().zip(vectors);
            texts
                .map(|((index, tokens), vector)| Vectored {
                    index: *index,
                    vector,
                    truncated: tokens.truncated,
                })
                .collect()
        });
        // Nobody waits for a call that was stopped.
        let _ = step.results.send(done);
    }
}

/// Memory of this process that is in RAM, as Linux counts it; 0 where it does not.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}
