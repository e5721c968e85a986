//! How much a thread has allocated at most. SQLite's own memory is not counted; the reader limits it by itself.

#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without; it only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator with a count for every thread.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    let now = NOW.get().wrapping_add_unsigned(bytes);
    NOW.set(now);
    PEAK.set(PEAK.get().max(now));
}

fn subtract(bytes: usize) {
    NOW.set(NOW.get().wrapping_sub_unsigned(bytes));
}

// SAFETY: every call is handed to std's `System` as it came; the counters are plain cells of this thread
// that need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: the caller keeps what std's `GlobalAlloc::alloc` asks for.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: std's `System` asks for what this function asks for.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: the caller keeps what std's `GlobalAlloc::alloc_zeroed` asks for.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: std's `System` asks for what this function asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    // SAFETY: `at` came from this allocator, which is std's `System`, with this layout.
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        subtract(layout.size());
        // SAFETY: std's `System` asks for what this function asks for.
        unsafe { System.dealloc(at, layout) }
    }

    // SAFETY: `at` came from this allocator, which is std's `System`, with this layout, and `size` is not 0.
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both exist for a moment.
        add(size);
        subtract(layout.size());
        // SAFETY: std's `System` asks for what this function asks for.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// The most bytes that this thread held during `work` beyond what it held before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.get();
    PEAK.set(before);
    let result = work();
    let most = PEAK.get().wrapping_sub(before);
    (result, usize::try_from(most).unwrap_or(0))
}
