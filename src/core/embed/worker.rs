//! The thread that computes, and the session that it computes with.
//!
//! ```text
//! search:  caller --windows--> [tokens, model] --results--> caller            one thread, its session is kept
//! batch:   caller --windows--> [tokens] --steps--> [model] --results--> caller   two and those of the session, all end
//! ```
//!
//! Promise: queues are bounded; a thread that was given nothing for a while ends, and nothing is lost by that: the
//! next call starts one again. Threads inherit the signal mask of the thread that calls [`Worker::wake`]. Must not
//! import other stages.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, Builder};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::EmbedError;
use super::parts::Parts;
use super::session::{Model, Profile};
use super::thread::{Canceler, Joined, gone};
use super::trim::trim;
use super::work::{Control, Step, Window};

/// Steps that may wait for the model: the tokenizer turns to the next window while these are computed.
const QUEUED_STEPS: usize = 2;

/// Where a session is while no thread has it.
type Kept = Arc<Mutex<Option<Model>>>;

/// A session, and the thread that computes with it while there is something to compute.
pub(super) struct Worker {
    parts: Arc<Parts>,
    profile: Profile,
    /// `None`: the session ends with the thread, and the next thread makes another.
    kept: Option<Kept>,
    windows: Option<Sender<Window>>,
    /// Kept beside the thread's own: what was sent when it was about to end is for the next one.
    inbox: Receiver<Window>,
    canceler: Arc<Canceler>,
    /// The call that was begun last.
    current: Weak<Control>,
    thread: Option<Joined>,
}

impl Worker {
    /// For texts that come singly, with the session that is there.
    pub fn search(parts: Arc<Parts>, model: Model) -> Worker {
        let profile = Profile::search(parts.weights.shared());
        Worker::new(parts, profile, Some(Arc::new(Mutex::new(Some(model)))))
    }

    /// For many texts; its session is made by the thread, which gives the texts back where that fails: the model's files
    /// may have been replaced by now, or there may be too little memory.
    pub fn batch(parts: Arc<Parts>, profile: Profile) -> Worker {
        Worker::new(parts, profile, None)
    }

    fn new(parts: Arc<Parts>, profile: Profile, kept: Option<Kept>) -> Worker {
        let (windows, inbox) = bounded(1);
        Worker {
            parts,
            profile,
            kept,
            windows: Some(windows),
            inbox,
            canceler: Arc::default(),
            current: Weak::new(),
            thread: None,
        }
    }

    /// How its session is made.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Makes `control` the call that is stopped when the thread has to end.
    pub fn begin(&mut self, control: &Arc<Control>) {
        self.current = Arc::downgrade(control);
    }

    /// Whether it has no thread.
    pub fn rests(&self) -> bool {
        self.thread.as_ref().is_none_or(Joined::finished)
    }

    /// Starts the thread if there is none any more. It ends when `idle` passes without a window.
    pub fn wake(&mut self, idle: Option<Duration>) -> io::Result<()> {
        if !self.rests() {
            return Ok(());
        }
        let (parts, inbox) = (self.parts.clone(), self.inbox.clone());
        let windows = Windows { inbox, idle };
        let thread = match &self.kept {
            Some(kept) => {
                let kept = kept.clone();
                let name = Builder::new().name("embed search".into());
                name.spawn(move || search(&parts, &kept, windows))
            }
            None => {
                let (profile, canceler) = (self.profile, self.canceler.clone());
                let name = Builder::new().name("embed batch".into());
                name.spawn(move || batch(&parts, profile, &canceler, windows))
            }
        }?;
        self.thread = Some(Joined::new(thread));
        Ok(())
    }

    /// Ends it; what it was given and has not begun. What it has begun is computed to its end.
    pub fn end(mut self) -> Vec<Window> {
        self.current = Weak::new();
        self.inbox.try_iter().collect()
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

impl Drop for Worker {
    /// Tells the thread to end; `thread` then waits for it.
    fn drop(&mut self) {
        self.canceler.cancel();
        if let Some(current) = self.current.upgrade() {
            current.stop();
        }
        self.windows = None;
    }
}

/// Windows as they come, until none has come for a while.
struct Windows {
    inbox: Receiver<Window>,
    idle: Option<Duration>,
}

impl Iterator for Windows {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        let window = match self.idle {
            Some(idle) => self.inbox.recv_timeout(idle).ok(),
            None => self.inbox.recv().ok(),
        };
        if let Some(window) = &window {
            self.idle = window.idle;
        }
        window
    }
}

/// The thread of [`Worker::search`].
fn search(parts: &Parts, kept: &Kept, windows: Windows) {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut model) = lock().take() else {
        // A panic has ended the thread that had it.
        windows
            .inbox
            .try_iter()
            .for_each(|window| window.fail(gone()));
        return;
    };
    for window in windows {
        window.steps(&parts.tokenizer, &mut |step| {
            step.compute(&mut model);
            true
        });
    }
    *lock() = Some(model);
    trim();
}

/// The thread of [`Worker::batch`].
fn batch(parts: &Parts, profile: Profile, canceler: &Canceler, windows: Windows) {
    let inbox = windows.inbox.clone();
    let ended = load(parts, profile, canceler).and_then(|mut model| {
        thread::scope(|scope| {
            let (sender, steps) = bounded::<Step>(QUEUED_STEPS);
            let tokens = Builder::new().name("embed tokens".into());
            tokens
                .spawn_scoped(scope, move || {
                    for window in windows {
                        let mut send = |step| sender.send(step).is_ok();
                        window.steps(&parts.tokenizer, &mut send);
                    }
                })
                .map_err(|cause| format!("no thread: {cause}"))?;
            for step in steps {
                step.compute(&mut model);
            }
            Ok(())
        })
    });
    if ended.is_err() {
        // The session for searches is there in any case.
        inbox.try_iter().for_each(Window::give_back);
    }
    trim();
}

/// A session of the same weights as the first.
fn load(parts: &Parts, profile: Profile, canceler: &Canceler) -> Result<Model, String> {
    let model = Model::load(parts, &profile, canceler)?;
    match parts.weights.unchanged() {
        true => Ok(model),
        false => Err("the model's files were replaced meanwhile".to_owned()),
    }
}
