//! How a task comes into being: on a worker, in its own arena and without touching anything that
//! others write; or elsewhere, under one lock that all threads that are no workers share.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};

use super::blocking::Job;
use super::refused::refuse;
use super::worker::Worker;
use super::{Scheduler, current};
use crate::task::{self, Id, IdBlock, JoinHandle, Named, Runnable};

/// A new task and its handle.
type Created<T> = (Runnable, JoinHandle<T>);

/// What threads that are no workers share to spawn.
#[derive(Debug)]
pub(super) struct Outside {
    ids: IdBlock,
    closed: bool,
}

impl Outside {
    pub(super) fn new() -> Self {
        Self {
            ids: IdBlock::new(),
            closed: false,
        }
    }
}

impl Scheduler {
    /// Spawns a task, from a worker of this scheduler or from anywhere else.
    #[inline]
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        future: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        current::with_worker(|worker| match worker {
            Some(worker) if Arc::ptr_eq(worker.scheduler(), self) => {
                spawn_local(worker, future, place)
            }
            _ => self.spawn_outside(None, future, place),
        })
    }

    fn spawn_outside<F>(
        self: &Arc<Self>,
        id: Option<Id>,
        future: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.create_outside(id, future, place) {
            Ok((task, handle)) => {
                self.outside_spawned.fetch_add(1, Relaxed);
                self.inject_new(task);
                handle
            }
            Err(refused) => refused,
        }
    }

    /// Makes a task on a thread that is no worker. If the runtime has ended, the future is dropped
    /// and the handle says "cancelled".
    fn create_outside<F>(
        &self,
        id: Option<Id>,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<Created<F::Output>, JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.forbid_spawning_in_child(place);
        let parent = current::task_id();
        let mut outside = self.outside();
        let id = id.unwrap_or_else(|| outside.ids.next());
        if outside.closed {
            // The future's destructor is foreign code.
            drop(outside);
            return Err(JoinHandle::refused(id));
        }
        let arena = task::ArenaIndex::outsiders(&outside.ids, self.slots.len());
        Ok(task::create(&self.slab, arena, future, id, parent, place))
    }

    /// Spawns a task that has a name.
    pub(crate) fn spawn_named<F>(
        self: &Arc<Self>,
        name: Arc<str>,
        future: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let entry = self.names.enter(name);
        let id = entry.id();
        let future = Named::new(future, entry);
        current::with_worker(|worker| match worker {
            Some(worker) if Arc::ptr_eq(worker.scheduler(), self) => {
                spawn_local_as(id, worker, future, place)
            }
            _ => self.spawn_outside(Some(id), future, place),
        })
    }

    fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Nobody but workers spawns from now on.
    pub(super) fn close_outside(&self) {
        self.outside().closed = true;
    }

    /// Runs a job on the blocking pool.
    #[track_caller]
    pub(crate) fn spawn_blocking<F, T>(
        self: &Arc<Self>,
        f: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, handle) = match self.create_outside(None, Job::new(f), place) {
            Ok(created) => created,
            Err(refused) => return refused,
        };
        if let Err((job, error)) = self.blocking.submit(self, job) {
            refuse(job);
            if !self.is_stopping() {
                panic!(
                    "spawn_blocking: cannot start a thread: {error}; raise the limit of processes (ulimit -u) or lower Builder::max_blocking_threads"
                );
            }
        }
        handle
    }
}

/// Spawns from a task on the worker that runs it.
#[inline]
fn spawn_local<F>(
    worker: &Worker,
    future: F,
    place: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_local_as(worker.next_id(), worker, future, place)
}

#[inline]
fn spawn_local_as<F>(
    id: Id,
    worker: &Worker,
    future: F,
    place: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let scheduler = worker.scheduler();
    let parent = current::task_id();
    let (task, handle) = task::create(
        &scheduler.slab,
        task::ArenaIndex::worker(worker),
        future,
        id,
        parent,
        place,
    );
    scheduler.slot(worker.index()).counters.count_spawned();
    worker.schedule(task);
    handle
}

/// Spawns on the current runtime; `None` if there is none.
#[inline]
pub(crate) fn spawn<F>(
    future: F,
    place: &'static Location<'static>,
) -> Option<JoinHandle<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    current::with_worker(|worker| match worker {
        Some(worker) => Some(spawn_local(worker, future, place)),
        None => current::scheduler().map(|scheduler| scheduler.spawn_outside(None, future, place)),
    })
}
