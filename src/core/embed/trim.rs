//! Memory that was given back to the allocator, given back to the system.
//!
//! Promise: only unused memory. Imports nothing.

/// Makes threads that start from now on share the heap of the process. glibc gives each of them one of its own, and
/// [`trim`] does not reach the free end of such a heap: up to 64 MB (`mtrim` in malloc.c trims the end of the main one
/// only). The model's threads allocate seldom, so they do not wait for each other.
pub(super) fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `__libc_mallopt` in glibc's malloc.c takes the lock of the main heap, so any thread may call it at any
    // time; M_ARENA_MAX is a number that `arena_get2` in arena.c reads when a thread has no heap yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

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
