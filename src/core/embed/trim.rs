//! Memory that was given back to the allocator, given back to the system.
//!
//! Promise: only unused memory. Imports nothing.

/// glibc keeps what large texts took, up to twice 32 MB a heap (`M_MMAP_THRESHOLD` of mallopt(3)); no other allocator is
/// known to have the call.
pub(super) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `__malloc_trim` in glibc's malloc.c takes the lock of each heap in turn, so any thread may call it at any
    // time, and it gives back whole pages within free chunks only.
    unsafe {
        libc::malloc_trim(0);
    }
}
