//! Names of tasks: a table beside the tasks, so that those without a name, nearly all, pay nothing.
//!
//! A named task's future is wrapped in a [`Named`], whose drop takes the name out of the table
//! again. The id is handed out here, under the table's lock, so that the name is there before the
//! task is. A name outlives the future in one case: a task that panicked leaves it to whoever
//! reports the panic.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Release},
};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::id::{Id, IdBlock};

/// The names of one runtime's tasks.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: Mutex<Table>,
    /// Written under the lock. Release and Acquire pair: whoever sees a task that is named sees
    /// that there is a name.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    ids: IdBlock,
    names: HashMap<Id, Arc<str>>,
}

impl Names {
    /// Gives a task, which is yet to be made, an id and a name.
    pub(crate) fn enter(self: &Arc<Self>, name: Arc<str>) -> Entry {
        let mut table = self.lock();
        let id = table.ids.next();
        table.names.insert(id, name);
        self.count.store(table.names.len(), Release);
        Entry {
            names: self.clone(),
            id,
            keep: false,
        }
    }

    pub(crate) fn of(&self, id: Id) -> Option<Arc<str>> {
        if self.count.load(Acquire) == 0 {
            return None;
        }
        self.lock().names.get(&id).cloned()
    }

    /// The name of a task that is about to be gone.
    pub(crate) fn take(&self, id: Id) -> Option<Arc<str>> {
        if self.count.load(Acquire) == 0 {
            return None;
        }
        let mut table = self.lock();
        let name = table.names.remove(&id);
        self.count.store(table.names.len(), Release);
        name
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing is half done where this lock could be poisoned: by an allocation that failed.
        self.table
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A name in the table; its drop takes it out.
#[derive(Debug)]
pub(crate) struct Entry {
    names: Arc<Names>,
    id: Id,
    /// A panic is under way, whose report wants the name.
    keep: bool,
}

impl Entry {
    pub(crate) fn id(&self) -> Id {
        self.id
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.keep {
            drop(self.names.take(self.id));
        }
    }
}

pin_project! {
    /// The future of a task that has a name.
    #[derive(Debug)]
    pub(crate) struct Named<F> {
        #[pin]
        future: F,
        entry: Entry,
    }
}

impl<F> Named<F> {
    pub(crate) fn new(future: F, entry: Entry) -> Self {
        Self { future, entry }
    }
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Stays so if the poll panics.
        this.entry.keep = true;
        let polled = this.future.poll(cx);
        let _ = mem::take(&mut this.entry.keep);
        polled
    }
}
