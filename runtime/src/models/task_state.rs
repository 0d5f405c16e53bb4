//! The task's word: wakes, polls, aborts, the handle's polls and drop, and the shutdown's cancel,
//! in every order.
//!
//! The word is the real one. Round it is what `runnable.rs`, `waker.rs` and `join.rs` do with it,
//! function by function under the same names, on a task whose parts are loom cells: whoever touches
//! future, output or join waker without the right to, or the task after its last reference is gone,
//! is found. A wake that is lost leaves the task incomplete; a join waker that is lost is a
//! deadlock, and one that is not dropped is a leak, both of which loom reports.
//!
//! Killed by: `publish` relaxed. Not by `start_poll` without its release half, on which nothing
//! rides.

use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::task::{Poll, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::task::state::{EndPoll, StartPoll, State, Wake};

/// What the future is ready with.
const OUTPUT: u32 = 42;

struct Task {
    state: State,
    /// Polls so far; `None` once it is dropped. Guarded by `RUNNING`.
    future: UnsafeCell<Option<usize>>,
    /// `Err`: aborted. Invariant 2.
    output: UnsafeCell<Option<Result<u32, ()>>>,
    /// Invariant 3. The slot is freed without dropping it.
    join_waker: UnsafeCell<ManuallyDrop<Option<Waker>>>,
    /// Read by whoever has a reference, written by whoever frees the slot.
    freed: UnsafeCell<bool>,
    /// Runnables that wait to be run.
    queue: Mutex<usize>,
    /// What the future waits for. Relaxed, so that only the wakes order it.
    events: AtomicUsize,
    wanted: usize,
}

// SAFETY: that the cells are not touched by two at once is what the models check.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

impl Task {
    /// A task whose future is ready after `wanted` events; it is queued.
    fn new(wanted: usize) -> Arc<Self> {
        Arc::new(Self {
            state: State::new(),
            future: UnsafeCell::new(Some(0)),
            output: UnsafeCell::new(None),
            join_waker: UnsafeCell::new(ManuallyDrop::new(None)),
            freed: UnsafeCell::new(false),
            queue: Mutex::new(1),
            events: AtomicUsize::new(0),
            wanted,
        })
    }

    /// Whoever calls this claims to have a reference.
    fn touch(&self) {
        // SAFETY: checked by loom.
        self.freed.with(|freed| unsafe { assert!(!*freed) });
    }

    fn free(&self) {
        // SAFETY: checked by loom.
        self.freed.with_mut(|freed| unsafe {
            assert!(!std::mem::replace(&mut *freed, true), "freed twice");
        });
    }

    fn release(&self, n: u64) {
        self.touch();
        if self.state.ref_dec(n) {
            self.free();
        }
    }

    // ---- runnable.rs ----

    /// Runs it if it is queued.
    fn run_one(&self) -> bool {
        let queued = {
            let mut queue = self.queue.lock().unwrap();
            let queued = *queue > 0;
            *queue -= usize::from(queued);
            queued
        };
        if queued {
            self.run();
        }
        queued
    }

    fn run(&self) {
        self.touch();
        match self.state.start_poll() {
            StartPoll::Poll | StartPoll::PollStamped => {}
            StartPoll::Cancel => return self.cancel(),
            StartPoll::Gone => return self.release(1),
        }
        if self.poll() {
            self.finish(Ok(OUTPUT));
            return self.complete();
        }
        match self.state.end_poll() {
            EndPoll::Idle => {}
            EndPoll::Requeue => self.submit(),
            EndPoll::Cancel => self.cancel(),
        }
    }

    fn poll(&self) -> bool {
        // SAFETY: checked by loom.
        self.future.with_mut(|future| unsafe {
            *(*future).as_mut().expect("a future that is there") += 1;
        });
        self.events.load(Relaxed) >= self.wanted
    }

    fn finish(&self, output: Result<u32, ()>) {
        // SAFETY: checked by loom, here and below.
        self.future.with_mut(|future| unsafe {
            assert!((*future).take().is_some(), "dropped once");
        });
        self.output
            .with_mut(|place| unsafe { *place = Some(output) });
    }

    fn cancel(&self) {
        self.finish(Err(()));
        self.complete();
    }

    fn complete(&self) {
        let done = self.state.complete();
        if !done.join_interest {
            let _ = self.take_output();
        } else if done.join_waker {
            // SAFETY: checked by loom; the bits stay where they are, and are nobody's from now on.
            let waker = self.join_waker.with(|waker| unsafe { waker.read() });
            ManuallyDrop::into_inner(waker)
                .expect("the bit says that it is there")
                .wake();
        }
        self.release(2);
    }

    fn take_output(&self) -> Result<u32, ()> {
        // SAFETY: checked by loom.
        let output = self.output.with_mut(|output| unsafe { (*output).take() });
        output.expect("an output that nobody has taken")
    }

    /// What the shutdown's walk does.
    fn shut_down(&self) {
        if !self.state.ref_inc_if_alive() {
            return;
        }
        if self.state.start_cancel() {
            self.cancel();
        } else {
            self.release(1);
        }
    }

    fn submit(&self) {
        *self.queue.lock().unwrap() += 1;
    }

    // ---- waker.rs ----

    /// An event happens, and the waker that is in hand is used up.
    fn event_and_wake(&self) {
        self.touch();
        self.events.fetch_add(1, Relaxed);
        match self.state.wake_by_value() {
            Wake::Submit => self.submit(),
            Wake::Done => {}
            Wake::Free => self.free(),
        }
    }

    fn event_and_wake_by_ref(&self) {
        self.touch();
        self.events.fetch_add(1, Relaxed);
        match self.state.wake_by_ref() {
            Wake::Submit => self.submit(),
            Wake::Done => {}
            Wake::Free => unreachable!("the waker keeps its reference"),
        }
    }

    fn abort(&self) {
        self.touch();
        if self.state.abort() == Wake::Submit {
            self.submit();
        }
    }

    // ---- join.rs ----

    fn replace_join_waker(&self, waker: Option<Waker>) {
        // SAFETY: checked by loom.
        let old = self
            .join_waker
            .with_mut(|current| unsafe { std::mem::replace(&mut **current, waker) });
        drop(old);
    }

    fn is_ready(&self, waker: &Waker) -> bool {
        self.touch();
        let now = self.state.load();
        if now.is_complete() {
            return true;
        }
        if now.has_join_waker() {
            // SAFETY: checked by loom. Two pointers are compared, and neither is followed.
            let same = self.join_waker.with(|current| unsafe {
                (*current)
                    .as_ref()
                    .is_some_and(|current| current.will_wake(waker))
            });
            if same {
                return false;
            }
            if !self.state.unset_join_waker() {
                return true;
            }
        }
        self.replace_join_waker(Some(waker.clone()));
        if self.state.set_join_waker() {
            return false;
        }
        self.replace_join_waker(None);
        true
    }

    /// The handle is awaited to the end.
    fn join(&self) -> Result<u32, ()> {
        block_on(poll_fn(|cx| {
            if self.is_ready(cx.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let output = self.take_output();
        self.drop_joined();
        output
    }

    /// `JoinHandle::let_go`.
    fn drop_joined(&self) {
        if self.state.drop_join_interest().waker {
            self.replace_join_waker(None);
        }
        self.release(1);
    }

    /// The handle is dropped unawaited.
    fn drop_handle(&self) {
        self.touch();
        if self.state.drop_handle_fast() {
            return;
        }
        let dropped = self.state.drop_join_interest();
        if dropped.waker {
            self.replace_join_waker(None);
        }
        if dropped.output {
            self.take_output().ok();
        }
        self.release(1);
    }
}

/// Runs in a thread of its own.
fn go(task: &Arc<Task>, f: impl FnOnce(&Task) + 'static) -> thread::JoinHandle<()> {
    let task = task.clone();
    thread::spawn(move || f(&task))
}

/// A worker, as long as there is something to run.
fn work(task: &Task) {
    while task.run_one() {}
}

fn assert_freed(task: &Task) {
    // SAFETY: no other thread is left.
    task.freed
        .with(|freed| unsafe { assert!(*freed, "a reference is left: {:?}", task.state) });
}

#[test]
fn no_wake_is_lost_and_what_came_before_it_is_seen() {
    loom::model(|| {
        let task = Task::new(2);
        // The wakers that the future would have left somewhere.
        task.state.ref_inc();
        task.state.ref_inc();
        let one = go(&task, Task::event_and_wake);
        let other = go(&task, Task::event_and_wake);
        work(&task);
        one.join().unwrap();
        other.join().unwrap();
        work(&task);
        assert!(task.state.load().is_complete(), "a wake was lost");
        task.drop_handle();
        assert_freed(&task);
    });
}

#[test]
fn a_wake_by_reference_counts_as_much() {
    loom::model(|| {
        let task = Task::new(2);
        task.state.ref_inc();
        let one = go(&task, |task| {
            task.event_and_wake_by_ref();
            task.event_and_wake();
        });
        let worker = go(&task, work);
        work(&task);
        one.join().unwrap();
        worker.join().unwrap();
        work(&task);
        assert!(task.state.load().is_complete(), "a wake was lost");
        task.drop_handle();
        assert_freed(&task);
    });
}

#[test]
fn the_join_is_woken_by_the_end() {
    loom::model(|| {
        let task = Task::new(0);
        let worker = go(&task, work);
        assert_eq!(task.join(), Ok(OUTPUT));
        worker.join().unwrap();
        assert_freed(&task);
    });
}

#[test]
fn a_join_that_changes_its_waker_is_woken_through_the_last() {
    loom::model(|| {
        let task = Task::new(0);
        let worker = go(&task, work);
        // Another task polled the handle first, and lost interest.
        let _ = task.is_ready(Waker::noop());
        assert_eq!(task.join(), Ok(OUTPUT));
        worker.join().unwrap();
        assert_freed(&task);
    });
}

#[test]
fn a_handle_dropped_with_a_waker_takes_it_along() {
    loom::model(|| {
        let task = Task::new(0);
        let worker = go(&task, work);
        // A waker that loom would find leaked: its count is an `Arc` of loom's.
        let waker = block_on(poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        let _ = task.is_ready(&waker);
        drop(waker);
        task.drop_handle();
        worker.join().unwrap();
        work(&task);
        assert_freed(&task);
    });
}

#[test]
fn the_output_goes_to_the_handle_or_is_dropped_by_the_worker() {
    loom::model(|| {
        let task = Task::new(0);
        let worker = go(&task, work);
        task.drop_handle();
        worker.join().unwrap();
        assert_freed(&task);
        // SAFETY: no other thread is left.
        task.output
            .with(|output| unsafe { assert!((*output).is_none()) });
    });
}

#[test]
fn an_abort_ends_the_task_once() {
    loom::model(|| {
        let task = Task::new(1);
        task.state.ref_inc();
        let waker = go(&task, Task::event_and_wake);
        let worker = go(&task, work);
        task.abort();
        waker.join().unwrap();
        worker.join().unwrap();
        work(&task);
        assert!(task.state.load().is_complete());
        assert!(matches!(task.join(), Ok(OUTPUT) | Err(())));
        assert_freed(&task);
    });
}

#[test]
fn an_aborted_task_that_nobody_wakes_is_cancelled() {
    loom::model(|| {
        let task = Task::new(usize::MAX);
        let worker = go(&task, work);
        task.abort();
        worker.join().unwrap();
        work(&task);
        assert_eq!(task.join(), Err(()));
        assert_freed(&task);
    });
}

#[test]
fn the_shutdown_cancels_what_nobody_runs_and_the_runner_the_rest() {
    loom::model(|| {
        let task = Task::new(1);
        task.state.ref_inc();
        let waker = go(&task, Task::event_and_wake);
        let worker = go(&task, work);
        task.shut_down();
        waker.join().unwrap();
        worker.join().unwrap();
        // The queue is given up: each runnable drops its reference.
        let left = std::mem::take(&mut *task.queue.lock().unwrap());
        for _ in 0..left {
            task.release(1);
        }
        assert!(task.state.load().is_complete());
        task.drop_handle();
        assert_freed(&task);
    });
}

#[test]
fn the_shutdown_against_a_join_and_a_worker() {
    loom::model(|| {
        let task = Task::new(0);
        let worker = go(&task, work);
        let ending = go(&task, Task::shut_down);
        let _ = task.join();
        worker.join().unwrap();
        ending.join().unwrap();
        assert_freed(&task);
    });
}

/// As a dump meets it: the word is all that tells the visitor whether there is a header.
#[test]
fn a_visitor_of_the_slab_finds_a_task_whole_or_not_at_all() {
    loom::model(|| {
        let slot = Arc::new((State::vacant(), UnsafeCell::new(0)));
        let spawner = {
            let slot = slot.clone();
            thread::spawn(move || {
                // SAFETY: nobody looks before the word says that there is something.
                slot.1.with_mut(|header| unsafe { *header = 1 });
                slot.0.publish();
            })
        };
        if slot.0.ref_inc_if_alive() {
            // SAFETY: published, and not written again.
            slot.1.with(|header| assert_eq!(unsafe { *header }, 1));
            assert!(!slot.0.ref_dec(1), "the scheduler has one, too");
        }
        spawner.join().unwrap();
    });
}
