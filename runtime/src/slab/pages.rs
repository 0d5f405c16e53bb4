//! ⚠ Where chunks come from: blocks of [`CHUNK`] bytes, aligned to their size.
//!
//! On Unix they are mapped and unmapped directly, because only then does memory really go back
//! after a burst: an allocator's heap shrinks no further than its topmost live block, and an
//! aligned block in it wastes nearly its own size again. Elsewhere, and under the checkers, they
//! are ordinary allocations. Contract of both: [`map`] appends at least one block and aborts when
//! there is no memory, [`unmap`] gives one block back or says that it could not.

use std::alloc::Layout;
use std::ptr::NonNull;

pub(super) use os::{map, unmap};

/// Bytes of a chunk, and its alignment.
///
/// 64 KiB hold 340 slots of 192 bytes, so that what happens once a chunk is rare, while a size that
/// is seldom used takes a page or two: memory that no slot was carved from is not resident.
#[cfg(not(loom))]
pub(super) const CHUNK: usize = 64 * 1024;

/// Two or three slots a chunk are what a model can explore.
#[cfg(loom)]
pub(super) const CHUNK: usize = 1024;

const LAYOUT: Layout = match Layout::from_size_align(CHUNK, CHUNK) {
    Ok(layout) => layout,
    Err(_) => panic!("a chunk is a power of two"),
};

#[cfg(all(unix, not(miri), not(loom)))]
mod os {
    use super::{CHUNK, LAYOUT, NonNull};
    use std::alloc::handle_alloc_error;
    use std::ptr;

    /// Appends `blocks` fresh blocks, which lie side by side. Their memory is zero and not
    /// resident.
    pub(in super::super) fn map(blocks: usize, into: &mut Vec<NonNull<u8>>) {
        into.reserve(blocks);
        // One block more than asked for has an aligned run of `blocks` in it wherever it lies.
        let length = (blocks + 1) * CHUNK;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that
        // exists.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            handle_alloc_error(LAYOUT);
        }
        let start = start.cast::<u8>();
        let before = start.align_offset(CHUNK);
        let after = length - before - blocks * CHUNK;
        // SAFETY: both ends lie inside the mapping just made, and nobody uses them.
        unsafe {
            trim(start, before);
            trim(start.add(length - after), after);
        }
        for block in 0..blocks {
            // SAFETY: the run of `blocks` blocks from `before` on lies inside the mapping.
            let block = unsafe { NonNull::new_unchecked(start.add(before + block * CHUNK)) };
            into.push(block);
        }
    }

    /// # Safety
    ///
    /// `start..start + length` is mapped, page-aligned and unused.
    unsafe fn trim(start: *mut u8, length: usize) {
        if length != 0 {
            // SAFETY: by contract. A failure leaves address space unused, and no memory: nothing
            // was ever written there.
            unsafe { libc::munmap(start.cast(), length) };
        }
    }

    /// Gives a block back. `false`: the system refuses (a process may have only so many separate
    /// mappings); the block's memory has been given up all the same, its addresses are still ours.
    ///
    /// # Safety
    ///
    /// `block` is from [`map`], and nobody uses it any more.
    #[must_use]
    pub(in super::super) unsafe fn unmap(block: NonNull<u8>) -> bool {
        let start = block.as_ptr().cast();
        // SAFETY: by contract.
        let unmapped = unsafe { libc::munmap(start, CHUNK) } == 0;
        if !unmapped {
            // SAFETY: by contract; the block is still mapped, and reads as zero from now on.
            unsafe { libc::madvise(start, CHUNK, libc::MADV_DONTNEED) };
        }
        unmapped
    }
}

#[cfg(not(all(unix, not(miri), not(loom))))]
mod os {
    use super::{LAYOUT, NonNull};
    use std::alloc::{alloc, dealloc, handle_alloc_error};

    /// Appends `blocks` fresh blocks.
    pub(in super::super) fn map(blocks: usize, into: &mut Vec<NonNull<u8>>) {
        for _ in 0..blocks {
            // SAFETY: the layout has a size.
            let block = unsafe { alloc(LAYOUT) };
            into.push(NonNull::new(block).unwrap_or_else(|| handle_alloc_error(LAYOUT)));
        }
    }

    /// Gives a block back; always succeeds.
    ///
    /// # Safety
    ///
    /// `block` is from [`map`], and nobody uses it any more.
    #[must_use]
    pub(in super::super) unsafe fn unmap(block: NonNull<u8>) -> bool {
        // SAFETY: by contract.
        unsafe { dealloc(block.as_ptr(), LAYOUT) };
        true
    }
}
