//! Work shared out to threads for a moment.
//!
//! Promise: all of it is done when [`each`] returns, by as many threads as the system gives. Imports nothing.

use std::thread;

/// Does `work` on every piece, the first on this thread, each other one on a thread of its own. Threads are started in
/// `quietly`, which is to block signals: those of a server's process are for its main thread.
pub(super) fn each<T: Send>(
    pieces: Vec<T>,
    quietly: &dyn Fn(&mut dyn FnMut()),
    work: impl Fn(T) + Sync,
) {
    let work = &work;
    let mut pieces = pieces.into_iter();
    let Some(ours) = pieces.next() else { return };
    thread::scope(|scope| {
        if pieces.len() > 0 {
            quietly(&mut || {
                for piece in pieces.by_ref() {
                    // A thread that cannot be started takes its piece with it, so it is put where we can get it back.
                    let piece = std::sync::Mutex::new(Some(piece));
                    let piece = std::sync::Arc::new(piece);
                    let theirs = piece.clone();
                    let take = move || theirs.lock().ok().and_then(|mut piece| piece.take());
                    let started = thread::Builder::new().spawn_scoped(scope, move || {
                        if let Some(piece) = take() {
                            work(piece);
                        }
                    });
                    if started.is_err()
                        && let Some(piece) = piece.lock().ok().and_then(|mut piece| piece.take())
                    {
                        work(piece);
                    }
                }
            });
        }
        work(ours);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        for pieces in [0, 1, 2, 7] {
            let (sum, quiet) = (AtomicU32::new(0), AtomicU32::new(0));
            let quietly = |start: &mut dyn FnMut()| {
                quiet.fetch_add(1, Ordering::Relaxed);
                start();
            };
            each((0..pieces).collect(), &quietly, |piece: u32| {
                sum.fetch_add(piece + 1, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), pieces * (pieces + 1) / 2);
            assert_eq!(quiet.into_inner(), u32::from(pieces > 1));
        }
    }
}
