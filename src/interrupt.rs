//! Cancels, and threads that take no signals.

/// Obeys a pending cancel, terminate or timeout: raises if there is one.
pub fn check() {
    pgrx::check_for_interrupts!();
}

/// Runs `start` with every signal blocked, so that threads it starts never take one: PostgreSQL's signal
/// handlers may run on the backend's thread only.
pub fn without_signals<R>(start: impl FnOnce() -> R) -> R {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: pthread_sigmask (glibc's pthread_sigmask.c) of a set that itself filled in below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: sigfillset (glibc's sigfillset.c) and pthread_sigmask (pthread_sigmask.c) fill in sets of this frame, for which zeros are
    // valid; the mask is put back when the guard drops, also on a panic. A thread inherits it (pthread_create.c).
    let _restore = unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        Restore(before)
    };
    start()
}
