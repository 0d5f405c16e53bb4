//! ⚠ The end of a runtime: its threads end, every task is dropped, nothing is left behind.
//!
//! In this order: workers stop after the poll they are in; timers and reactor take no more waiters,
//! and tell those that they have, since nobody turns them any more; every task that waits is
//! cancelled where it lies, so that its destructors run and its handle learns of it; blocking jobs
//! that have not started are forgotten, those that run are waited for (they may have waited for one
//! of these tasks, or for a timer); what is left is cancelled; timers and reactor are closed; the
//! slab is given up. A task that is woken meanwhile is refused by the queue, and stays where it
//! lies; one that is spawned meanwhile is cancelled by who spawns it ([`refused`](super::refused)).
//! That is waited for, too, so that all destructors have run when the runtime is gone.
//!
//! A poll that does not end soon may be one that blocks, and waits for a timer, a socket or another
//! task itself: after [`PATIENCE`] all that goes on without it. If it only takes long, its task is
//! told nothing ([`current::ends_after_poll`]): it is cancelled right after.
//!
//! With a deadline, threads that are still busy then are left to themselves. What they share stays
//! alive until the last of them ends, and that one does the rest.

use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle as ThreadHandle};
use std::time::{Duration, Instant};

use super::refused::putting_off;
use super::{Scheduler, current};
use crate::deadlock;
use crate::task::{Header, Whom, call_waker, shut_down};

/// So long the end waits for polls before it takes those that are left for ones that block. A
/// guess: many thousand times an ordinary poll; too short to be felt.
const PATIENCE: Duration = Duration::from_millis(100);

/// The book of the workers' threads.
#[derive(Debug)]
pub(crate) struct Ending {
    book: Mutex<Book>,
    ended: Condvar,
    complained: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Book {
    threads: Vec<ThreadHandle<()>>,
    /// The worker's thread that ended last, of those that ended since nobody needed them. It joins
    /// the one before.
    retired: Option<ThreadHandle<()>>,
    running: usize,
    /// The owner has done what it could without the workers that are still there: the last of them
    /// gives the slab up.
    owner_done: bool,
}

impl Ending {
    pub(crate) fn new() -> Self {
        Self {
            book: Mutex::default(),
            ended: Condvar::new(),
            complained: Mutex::new(None),
        }
    }

    pub(crate) fn worker_starts(&self) {
        self.lock().running += 1;
    }

    /// Returns whether this was the last worker, of a runtime whose owner has gone on without it.
    pub(crate) fn worker_ends(&self) -> bool {
        let mut book = self.lock();
        book.running -= 1;
        let last = book.running == 0 && book.owner_done;
        drop(book);
        self.ended.notify_all();
        last
    }

    pub(crate) fn keep(&self, thread: ThreadHandle<()>) {
        self.lock().threads.push(thread);
    }

    /// The calling thread ends before the runtime does. Returns the one that did so last, to be
    /// joined: so one handle at most is kept for all that are gone, and the end of the runtime
    /// waits until the system has taken every thread back.
    fn retires(&self) -> Option<ThreadHandle<()>> {
        let me = thread::current().id();
        let mut book = self.lock();
        let mine = book.threads.iter().position(|t| t.thread().id() == me)?;
        let mine = book.threads.swap_remove(mine);
        book.retired.replace(mine)
    }

    /// Waits for somebody to end a task, or for the deadline, unless `done` says that there is
    /// nothing to wait for; `false`: it has passed.
    fn wait_unless(&self, done: impl FnOnce() -> bool, deadline: Option<Instant>) -> bool {
        // Whoever has ended a task takes this lock next, so that it is either seen by `done` or
        // wakes us.
        let book = self.lock();
        if done() {
            return true;
        }
        match deadline {
            None => drop(
                self.ended
                    .wait(book)
                    .unwrap_or_else(|poisoned| poisoned.into_inner()),
            ),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                drop(
                    self.ended
                        .wait_timeout(book, left)
                        .unwrap_or_else(|poisoned| poisoned.into_inner()),
                );
            }
        }
        true
    }

    /// Waits for the workers; `false`: some are still busy.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut book = self.lock();
        while book.running > 0 {
            let Some(deadline) = deadline else {
                book = self
                    .ended
                    .wait(book)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            book = self
                .ended
                .wait_timeout(book, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
        let mut threads = std::mem::take(&mut book.threads);
        threads.extend(book.retired.take());
        drop(book);
        let me = thread::current().id();
        for thread in threads {
            // They have done their work; this waits for the system to take them back. A panic there
            // has been printed.
            if thread.thread().id() != me {
                let _ = thread.join();
            }
        }
        true
    }

    /// The owner waits no longer. Returns whether no worker is left, so that the rest is the
    /// owner's after all.
    fn owner_is_done(&self) -> bool {
        let mut book = self.lock();
        book.owner_done = true;
        book.running == 0
    }

    /// Says on stderr that the runtime as a whole is in trouble, at most once a second.
    pub(crate) fn complain(&self, trouble: &str) {
        let mut last = self
            .complained
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if last.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
            *last = Some(Instant::now());
            crate::stderr::say(format_args!("{trouble}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Scheduler {
    /// A worker's thread has left its loop.
    pub(crate) fn worker_ended(self: &Arc<Self>) {
        if self.ending.worker_ends() {
            // Whoever shut down has cancelled what it could; what the threads held on to is left.
            let _entered = current::enter(self.clone());
            self.cancel(Whom::All);
            self.give_up();
        }
    }

    /// Ends the runtime. `None`: waits as long as it takes. Returns whether everything ended in
    /// time.
    ///
    /// With the process it ends quietly: threads that wait are told nothing while there is time,
    /// since what they would say (by a panic, say) is of no use any more.
    ///
    /// Called once, by the owner.
    pub(crate) fn shut_down(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        with_process: bool,
    ) -> bool {
        deadlock::leave(self);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.stop();
        self.blocking.close();
        self.monitor.stop();
        let patience = Instant::now() + PATIENCE;
        let patience = deadline.map_or(patience, |deadline| deadline.min(patience));
        let mut workers_ended = self.ending.wait(Some(patience));
        let _entered = current::enter(self.clone());
        if !with_process {
            self.tell_waiters();
        }
        // A blocking job may wait for one of them, or for what one of them holds; and so may a task
        // that blocks.
        self.cancel(Whom::Idle);
        if !workers_ended {
            workers_ended = self.ending.wait(deadline);
            self.cancel(Whom::Idle);
        }
        let jobs_left = self.blocking.wait(deadline);
        let mut tasks_ended = self.cancel(Whom::All);
        if workers_ended && jobs_left == 0 {
            tasks_ended = tasks_ended || self.wait_for_refused(deadline);
        }
        self.driver.shutdown();
        if self.ending.owner_is_done() {
            self.give_up();
        }
        workers_ended && tasks_ended && jobs_left == 0
    }

    /// Nobody fires timers, asks for events or moves the clock from now on: whoever waits for that
    /// is woken, and finds it out, and so does whoever comes later. Jobs and destructors that wait
    /// would hold up the end for ever.
    fn tell_waiters(&self) {
        for slot in self.started_slots() {
            slot.timers.close();
        }
        self.timeline.close().into_iter().for_each(call_waker);
        self.driver.shutdown();
    }

    /// Lets the workers end after the polls they are in, and nobody queue anything. May be called
    /// again.
    pub(crate) fn stop(&self) {
        {
            // Under this lock, so that no worker is started any more.
            let _starting = self.starting();
            self.life.stop();
        }
        self.injector.close();
        self.heavy.close();
        for (index, _) in self.started_slots().enumerate() {
            self.unpark(index);
        }
    }

    /// No worker is left: lets go of the queues, the timers and the slab.
    fn give_up(self: &Arc<Self>) {
        self.close_outside();
        // What was spawned until a moment ago.
        self.cancel(Whom::All);
        self.drain_queues();
        for slot in self.started_slots() {
            // Again, if those who wait have been told: a worker that began late has set its
            // interrupt.
            slot.timers.close();
            slot.poll.preempt.release();
        }
        self.timeline.close().into_iter().for_each(call_waker);
        self.driver.close();
        // SAFETY: no worker is left, and from `close_outside` on nobody else allocates.
        unsafe { self.slab.abandon(self.clone()) };
    }

    /// A task came too late to be run, and was ended, or is to be.
    pub(crate) fn has_refused(&self) {
        drop(self.ending.lock());
        self.ending.ended.notify_all();
    }

    /// Nobody runs tasks any more, and those that are left are being cancelled by others: waits for
    /// that. `false`: not in time.
    fn wait_for_refused(&self, deadline: Option<Instant>) -> bool {
        // Their destructors may have spawned others.
        while !self.cancel(Whom::All) {
            if !self
                .ending
                .wait_unless(|| !self.has_living_tasks(), deadline)
            {
                return false;
            }
        }
        true
    }

    /// Whether a task has not ended.
    pub(crate) fn has_living_tasks(&self) -> bool {
        let mut some = false;
        self.slab.for_each(&mut |slot| {
            // SAFETY: as in `cancel`.
            some |= unsafe { Header::is_alive(slot.cast()) };
        });
        some
    }

    /// Cancels every task that nobody runs. Returns whether none is left.
    fn cancel(&self, whom: Whom) -> bool {
        loop {
            let mut alive: Vec<NonNull<Header>> = Vec::new();
            self.slab.for_each(&mut |slot| {
                let header = slot.cast::<Header>();
                // SAFETY: each slot of this slab begins with a task's state word, which is valid at
                // any time; the header is not touched unless the reference was granted.
                if unsafe { Header::ref_inc_if_alive(header) } {
                    alive.push(header);
                }
            });
            let mut cancelled = 0;
            for &task in &alive {
                // SAFETY: the reference taken above.
                if putting_off(|| unsafe { shut_down(task, whom) }) {
                    cancelled += 1;
                    self.outside_completed.fetch_add(1, SeqCst);
                }
            }
            if alive.is_empty() {
                return true;
            }
            // Destructors may have spawned; what is left otherwise is being run by a thread that
            // will end it itself.
            if cancelled == 0 {
                return false;
            }
        }
    }

    fn drain_queues(&self) {
        while let Some(task) = self.injector.pop().or_else(|| self.heavy.drain()) {
            drop(task);
        }
        for slot in self.started_slots() {
            drop(slot.queue.take_next());
            while let Some(task) = slot.queue.pop() {
                drop(task);
            }
        }
    }
}

/// The last act of a worker's thread that ends since nobody needs it.
pub(super) fn thread_retires(scheduler: Arc<Scheduler>) {
    let before = scheduler.ending.retires();
    // It may be the last count, and must be gone when somebody has joined this thread.
    drop(scheduler);
    if let Some(thread) = before {
        // A panic there has been printed.
        let _ = thread.join();
    }
}
