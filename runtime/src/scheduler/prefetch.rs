//! ⚠ A hint to the processor that memory will be needed soon. It is never wrong, at worst useless.
//!
//! Tasks are run in the order in which they were queued, and the next one's memory was touched last
//! when it was spawned or parked, long ago for a full queue. Asking for it while the one before
//! runs hides most of that cache miss.

/// Asks for the first two cache lines of what `pointer` leads to: a task's header and the beginning
/// of its future.
#[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
#[inline]
pub(crate) fn prefetch<T>(pointer: *const T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let line: *const i8 = pointer.cast();
    // SAFETY: the instruction is part of every x86-64, and reads nothing: any address will do.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(line);
        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(64));
    }
}

/// There is no stable way to ask here.
#[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
#[inline]
pub(crate) fn prefetch<T>(_pointer: *const T) {}
