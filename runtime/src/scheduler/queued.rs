//! ⚠ What run queues hold: something owned that can be reduced to a pointer and made of it again.
//!
//! In the runtime that is a [`Runnable`](crate::task::Runnable) and the header of its task. The
//! models put small boxes in its place, so that loom explores the very queues that ship without a
//! slab, a future and a scheduler behind each element.

use std::ptr::NonNull;

/// See the module.
pub(crate) trait Queued: Sized {
    /// What the pointer leads to.
    type Node;

    /// Gives up the element for a pointer that owns it.
    fn into_node(self) -> NonNull<Self::Node>;

    /// The element again.
    ///
    /// # Safety
    ///
    /// The pointer comes from [`into_node`](Self::into_node), and nobody uses it again.
    unsafe fn from_node(node: NonNull<Self::Node>) -> Self;
}
