//! A producer thread and the bounded queue between it and its consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, bounded};

/// Batches that may wait between the threads.
pub const QUEUED: usize = 1;
/// How long a thread that was told to stop is waited for. It looks after that every few milliseconds, unless the
/// system does not come back from a read.
const LAST: Duration = Duration::from_secs(1);

/// The producer's end.
#[derive(Debug)]
pub struct Sender<T> {
    channel: crossbeam_channel::Sender<T>,
}

impl<T> Sender<T> {
    /// Hands a batch over, waiting for room; `false` once the consumer is gone.
    pub fn send(&self, batch: T) -> bool {
        self.channel.send(batch).is_ok()
    }
}

/// How long [`Outbox::ready`] waits for room.
const MOMENT: Duration = Duration::from_millis(20);

/// A batch on its way out, for a producer that has something else to do while it waits for room.
#[derive(Debug)]
pub struct Outbox<'a, T> {
    sender: &'a Sender<T>,
    waiting: Option<T>,
    gone: bool,
}

impl<'a, T> Outbox<'a, T> {
    /// An empty one.
    pub fn new(sender: &'a Sender<T>) -> Outbox<'a, T> {
        Outbox {
            sender,
            waiting: None,
            gone: false,
        }
    }

    /// Puts a batch in; to be called while [`Outbox::ready`], else it waits for room first.
    pub fn put(&mut self, batch: T) {
        if let Some(before) = self.waiting.replace(batch) {
            self.gone |= !self.sender.send(before);
        }
    }

    /// Whether nothing is left in it, after waiting a moment for room.
    pub fn ready(&mut self) -> bool {
        let Some(batch) = self.waiting.take() else {
            return true;
        };
        match self.sender.channel.send_timeout(batch, MOMENT) {
            Ok(()) => true,
            Err(SendTimeoutError::Timeout(batch)) => {
                self.waiting = Some(batch);
                false
            }
            Err(SendTimeoutError::Disconnected(_)) => {
                self.gone = true;
                true
            }
        }
    }

    /// Whether the consumer is gone: nothing that is put in will arrive.
    pub fn gone(&self) -> bool {
        self.gone
    }
}

/// What the consumer got.
#[derive(Debug)]
pub enum Next<T, E> {
    /// A batch.
    Batch(T),
    /// Nothing yet: look after interrupts and ask again.
    Waiting,
    /// The producer has finished.
    Done(Result<(), E>),
    /// The producer panicked: a bug of ours.
    Panicked,
}

/// The consumer's end: owns the thread and stops it when dropped.
///
/// Nothing here waits for the thread without an end. A thread that does not stop within a second is left behind: it
/// ends by itself when the system lets it go on, and only then gives up what it holds.
#[derive(Debug)]
pub struct Worker<T, E> {
    channel: Option<Receiver<T>>,
    stop: Arc<AtomicBool>,
    /// Closed when the thread has given up everything but its result.
    end: Receiver<()>,
    thread: Option<JoinHandle<Result<(), E>>>,
}

impl<T: Send + 'static, E: Send + 'static> Worker<T, E> {
    /// Starts `produce` on a new thread. `stop` is raised when the worker is dropped before the
    /// end; `produce` polls it.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn spawn(
        stop: Arc<AtomicBool>,
        produce: impl FnOnce(Sender<T>) -> Result<(), E> + Send + 'static,
    ) -> std::io::Result<Worker<T, E>> {
        let (sender, receiver) = bounded(QUEUED);
        let (open, end) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("vector_migrate".into())
            .spawn(move || {
                let _open: crossbeam_channel::Sender<()> = open;
                produce(Sender { channel: sender })
            })?;
        Ok(Worker {
            channel: Some(receiver),
            stop,
            end,
            thread: Some(thread),
        })
    }

    /// The next batch, waiting at most `patience`.
    pub fn next(&mut self, patience: Duration) -> Next<T, E> {
        if let Some(channel) = &self.channel {
            match channel.recv_timeout(patience) {
                Ok(batch) => return Next::Batch(batch),
                Err(RecvTimeoutError::Timeout) => return Next::Waiting,
                Err(RecvTimeoutError::Disconnected) => self.channel = None,
            }
        }
        if !self.ended(patience) {
            return Next::Waiting;
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => Next::Done(result),
            Some(Err(_)) => Next::Panicked,
            None => Next::Done(Ok(())),
        }
    }
}

impl<T, E> Worker<T, E> {
    /// Whether the thread has ended, after waiting for it at most `patience`.
    fn ended(&self, patience: Duration) -> bool {
        self.end.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

impl<T, E> Drop for Worker<T, E> {
    fn drop(&mut self) {
        // A producer waiting for room sees a closed channel.
        self.channel = None;
        if let Some(thread) = self.thread.take() {
            self.stop.store(true, Ordering::Relaxed);
            if self.ended(LAST) {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_consumer_ends_an_endless_producer() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut worker = Worker::spawn(stop, |sender: Sender<u32>| {
            while sender.send(1) {}
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(matches!(
            worker.next(Duration::from_secs(5)),
            Next::Batch(1)
        ));
        drop(worker);
    }

    #[test]
    fn a_producer_that_hangs_is_left_behind_and_gives_up_what_it_holds_when_it_ends() {
        let stop = Arc::new(AtomicBool::new(false));
        let (go_on, blocked) = bounded::<()>(0);
        let held = Arc::new(());
        let (its, told) = (held.clone(), stop.clone());
        let mut worker = Worker::spawn(stop, move |sender: Sender<u32>| {
            // As a read of a disk that does not answer; the consumer's end of the channel is no help.
            drop(sender);
            let _ = blocked.recv();
            assert!(told.load(Ordering::Relaxed));
            drop(its);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(matches!(
            worker.next(Duration::from_millis(50)),
            Next::Waiting
        ));
        drop(worker);
        assert_eq!(Arc::strong_count(&held), 2);
        drop(go_on);
        while Arc::strong_count(&held) > 1 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn an_outbox_waits_without_blocking() {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, full) = bounded(1);
        let mut worker = Worker::spawn(stop, move |sender: Sender<u32>| {
            let mut outbox = Outbox::new(&sender);
            outbox.put(1);
            assert!(outbox.ready());
            outbox.put(2);
            assert!(!outbox.ready() && !outbox.gone());
            told.send(()).unwrap();
            while !outbox.ready() {}
            outbox.put(3);
            while !outbox.ready() {}
            assert!(outbox.gone());
            Ok::<(), ()>(())
        })
        .unwrap();
        full.recv().unwrap();
        for batch in [1, 2] {
            let next = worker.next(Duration::from_secs(5));
            assert!(matches!(next, Next::Batch(found) if found == batch));
        }
        drop(worker);
    }

    #[test]
    fn the_end_and_a_panic_are_told_apart() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut good = Worker::spawn(stop.clone(), |_: Sender<u32>| Err::<(), _>("no")).unwrap();
        assert!(matches!(
            good.next(Duration::from_secs(5)),
            Next::Done(Err("no"))
        ));
        let mut bad =
            Worker::spawn(stop, |_: Sender<u32>| -> Result<(), ()> { panic!("told") }).unwrap();
        assert!(matches!(bad.next(Duration::from_secs(5)), Next::Panicked));
    }
}
