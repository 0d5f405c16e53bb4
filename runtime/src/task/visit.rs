//! ⚠ A walk over all tasks of a runtime: the slab is the list of them.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::header::{Cookie, Header};
use super::panic::forget;
use super::runnable::KeepAlive;
use crate::leaks::sandbox::Inside;
use crate::scheduler::current;
use crate::slab::Slab;

/// Calls `f` with each task that has not ended. Tasks are spawned, run and end meanwhile; one that
/// is spawned after the call may be missed. No lock is held while `f` runs.
pub(crate) fn for_each(slab: &Slab<Cookie>, f: &mut dyn FnMut(&Header)) {
    visit(slab, &mut |task| f(task.header()));
}

/// The tasks that are wanted, each kept from being freed.
pub(crate) fn keep(slab: &Slab<Cookie>, wanted: &dyn Fn(&Header) -> bool) -> Vec<Kept> {
    let mut kept = Vec::new();
    visit(slab, &mut |task| {
        if wanted(task.header()) {
            kept.push(Kept(task));
        }
    });
    kept
}

fn visit(slab: &Slab<Cookie>, f: &mut dyn FnMut(KeepAlive)) {
    slab.for_each(&mut |slot| {
        let header = slot.cast::<Header>();
        // SAFETY: each slot of this slab begins with a task's state word, which is valid at any
        // time; the header is not touched unless the reference was granted, which is given away at
        // once.
        let task = unsafe { Header::ref_inc_if_alive(header).then(|| KeepAlive::from_raw(header)) };
        if let Some(task) = task {
            f(task);
        }
    });
}

/// A task with a reference of ours.
#[derive(Debug)]
pub(crate) struct Kept(KeepAlive);

impl Kept {
    pub(crate) fn header(&self) -> &Header {
        self.0.header()
    }

    /// Where it lies.
    pub(crate) fn memory(&self) -> Range<usize> {
        let start = self.0.as_ptr().addr().get();
        start..start + self.header().size()
    }

    /// In a trial: if the task is parked nobody will run it from now on. Returns how many
    /// references there are but its own and this one.
    pub(crate) fn stop(&self, _inside: &Inside) -> Option<u64> {
        let state = self.header().state.load();
        (state.is_parked() && self.header().state.start_cancel()).then(|| state.refs() - 2)
    }

    /// In a trial: drops the future of a task that was stopped. To be called once.
    pub(crate) fn rehearse(&self, _inside: &Inside) {
        let task = self.0.as_ptr();
        let _current = current::enter_task(task);
        // SAFETY: `stop` made us the task's runner. This process has one thread, which runs nothing
        // but the trial and then ends it; the trial calls this once a task.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { Header::drop_future(task) }));
        if let Err(panic) = dropped {
            forget(panic);
        }
    }
}
