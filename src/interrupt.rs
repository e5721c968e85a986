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
            // SAFETY: the set was filled in by pthread_sigmask below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        }
    }
    // SAFETY: plain calls on local sets; the mask is put back when the guard drops, also on a panic.
    let _restore = unsafe {
        let mut all = std::mem::zeroed();
        let mut before = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        Restore(before)
    };
    start()
}
