//! ⚠ A walk over all tasks of a runtime: the slab is the list of them.

use super::cell::{Cookie, Header};
use super::runnable::KeepAlive;
use crate::slab::Slab;

/// Calls `f` with each task that has not ended. Tasks are spawned, run and end meanwhile; one that is spawned after the call may be
/// missed. No lock is held while `f` runs.
pub(crate) fn for_each(slab: &Slab<Cookie>, f: &mut dyn FnMut(&Header)) {
    slab.for_each(&mut |slot| {
        let header = slot.cast::<Header>();
        // SAFETY: each slot of this slab begins with a task's state word, which is valid at any time; the header is not touched unless
        // the reference was granted, which is given away at once.
        let task = unsafe { Header::ref_inc_if_alive(header).then(|| KeepAlive::from_raw(header)) };
        if let Some(task) = task {
            f(task.header());
        }
    });
}
