//! Memory that was given back to the allocator, given back to the system.
//!
//! Promise: only unused memory. Imports nothing.

/// From here on memory that is freed in large pieces goes back to the system at once, whatever was freed before.
/// By itself glibc raises both limits with every large piece that is freed, up to 32 and 64 MB, and then keeps so much in the
/// heap of each thread, where [`trim`] does not reach it (`free` and `mtrim` in malloc.c, `heap_trim` in arena.c).
pub(super) fn keep_little() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `__libc_mallopt` in glibc's malloc.c takes the lock of the main heap, so any thread may call it at any
    // time; both are numbers that later calls of malloc and free compare with.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE);
    }
}

/// Bytes of a piece that is mapped by itself: more than the buffers of a run (2 MB), less than those of long texts.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 4 << 20;

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
