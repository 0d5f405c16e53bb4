//! `Cond`: waiting under a lock until another says that something has changed.
//!
//! A waiter queues up while it holds the lock, then gives the lock up: so a change made under the
//! lock, and the signal after it, come either before it looked or after it queued up. Waiters are
//! called in the order in which they came, and only by a signal.
//!
//! A broadcast lets the lock go to wake those whom it has called. Until it comes to them they stay
//! in the queue, and the queue's state is the ticket before which they are: no signal is spent on
//! one of them, which would be one less for those who came after the broadcast.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::blocking;
use crate::mutex::{Mutex, MutexGuard, MutexLock};
use crate::waiters::{Batch, Locked, Ticket, Waiter, Waiters, Withdrawn};

/// Who called a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    One,
    All,
}

/// A place to wait for a change of what a [`Mutex`] protects.
///
/// ```
/// use std::collections::VecDeque;
/// use std::sync::Arc;
/// use sync::{Cond, Mutex};
///
/// # runtime::block_on(async {
/// let shared = Arc::new((Mutex::new(VecDeque::new()), Cond::new()));
/// let producer = shared.clone();
/// runtime::spawn(async move {
///     producer.0.lock().await.push_back("a job");
///     producer.1.signal();
/// });
/// let (queue, changed) = &*shared;
/// let mut jobs = queue.lock().await;
/// while jobs.is_empty() {
///     jobs = changed.wait(jobs).await;
/// }
/// assert_eq!(jobs.pop_front(), Some("a job"));
/// # });
/// ```
///
/// The tempting wrong way is `if jobs.is_empty()`: between the signal and the waking another may
/// have taken the job.
///
/// **Go:** `sync.Cond`.
pub struct Cond {
    waiters: Waiters<Ticket, Call>,
}

impl Cond {
    constant! {
        /// Nobody waits yet. It can be a `static`.
        ///
        /// ```
        /// static CHANGED: sync::Cond = sync::Cond::new();
        /// ```
        ///
        /// **Go:** `sync.NewCond(&mu)`; here the guard brings the lock.
        pub const fn new() -> Self {
            Self {
                waiters: Waiters::new(Ticket::FIRST),
            }
        }
    }

    /// Gives the lock up, waits for a signal, and locks again. It queues up at its first poll,
    /// before it gives the lock up.
    ///
    /// Never returns without a signal; but another may have had the lock in between, so look again,
    /// in a loop.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, without the lock: dropped while it waits, the lock is not held any more. A
    /// [`signal`](Self::signal) that it had been given and not returned with goes to the next.
    ///
    /// # Memory ordering
    ///
    /// What happened before the signal is visible.
    ///
    /// ```
    /// # use sync::{Cond, Mutex};
    /// # let (ready, changed) = (Mutex::new(true), Cond::new());
    /// # runtime::block_on(async {
    /// let mut guard = ready.lock().await;
    /// while !*guard {
    ///     guard = changed.wait(guard).await;
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** `c.Wait()`.
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> CondWait<'a, T> {
        CondWait {
            cond: self,
            mutex: MutexGuard::mutex(&guard),
            guard: Some(guard),
            waiter: Waiter::new(&self.waiters, Call::All),
            lock: None,
            finished: false,
            place: Location::caller(),
        }
    }

    /// Waits like [`wait`](Self::wait), blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// # use sync::{Cond, Mutex};
    /// static READY: Mutex<bool> = Mutex::new(false);
    /// static CHANGED: Cond = Cond::new();
    ///
    /// let thread = std::thread::spawn(|| {
    ///     let mut ready = READY.blocking_lock();
    ///     while !*ready {
    ///         ready = CHANGED.blocking_wait(ready);
    ///     }
    /// });
    /// *READY.blocking_lock() = true;
    /// CHANGED.signal();
    /// thread.join().unwrap();
    /// ```
    ///
    /// **Go:** `c.Wait()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        blocking::wait(self.wait(guard), "Cond::blocking_wait", "wait(guard).await")
    }

    /// Wakes the one that has waited longest, if anyone waits. The lock may be held or not.
    ///
    /// ```
    /// sync::Cond::new().signal(); // nobody waits: nothing happens
    /// ```
    ///
    /// **Go:** `c.Signal()`.
    pub fn signal(&self) {
        let mut locked = self.waiters.lock();
        if locked.is_called() {
            return signal_behind(locked);
        }
        let waker = call_one(&mut locked);
        drop(locked);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Wakes all that wait now.
    ///
    /// ```
    /// sync::Cond::new().broadcast();
    /// ```
    ///
    /// **Go:** `c.Broadcast()`.
    pub fn broadcast(&self) {
        let mut locked = self.waiters.lock();
        let until = locked.ticket();
        *locked = until;
        locked.wake_until(until, |_| {}, |_| {});
    }
}

/// Calls the first in the queue, who has not been called with others.
fn call_one(locked: &mut Locked<'_, Ticket, Call>) -> Option<Waker> {
    *locked.front_mut()? = Call::One;
    locked.take_front()
}

/// A broadcast is under way, and those in front are its own.
#[cold]
fn signal_behind(locked: Locked<'_, Ticket, Call>) {
    let mut batch = Batch::default();
    let mut locked = locked.pass_called(&mut batch);
    batch.extend(call_one(&mut locked));
    drop(locked);
    batch.wake();
    batch.finish();
}

impl Default for Cond {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cond").finish_non_exhaustive()
    }
}

pin_project! {
    /// Future of [`Cond::wait`].
    ///
    /// ```
    /// # use sync::{Cond, CondWait, Mutex};
    /// # runtime::block_on(async {
    /// let (mutex, changed) = (Mutex::new(1), Cond::new());
    /// let wait: CondWait<'_, i32> = changed.wait(mutex.lock().await);
    /// drop(wait);
    /// assert!(!mutex.is_locked());
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `c.Wait()`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct CondWait<'a, T: ?Sized> {
        cond: &'a Cond,
        mutex: &'a Mutex<T>,
        // Until it has queued up.
        guard: Option<MutexGuard<'a, T>>,
        #[pin]
        waiter: Waiter<'a, Ticket, Call>,
        // Once it has been called.
        #[pin]
        lock: Option<MutexLock<'a, T>>,
        finished: bool,
        place: &'static Location<'static>,
    }

    impl<T: ?Sized> PinnedDrop for CondWait<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.finished && !this.waiter.is_idle() {
                give_up(this.cond, this.waiter);
            }
        }
    }
}

impl<'a, T: ?Sized> Future for CondWait<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        assert!(
            !*this.finished,
            "CondWait polled after it returned: await it once"
        );
        if this.waiter.is_idle() {
            let waker = cx.waker().clone();
            (this.waiter.as_mut()).enqueue(&mut this.cond.waiters.lock(), waker);
            *this.guard = None;
        }
        if this.waiter.as_mut().poll_notified(cx).is_pending() {
            waiting(WaitReason::CondWait, this.place);
            return Poll::Pending;
        }
        if this.lock.is_none() {
            this.lock.set(Some(this.mutex.lock_at(this.place)));
        }
        let lock = this
            .lock
            .as_mut()
            .as_pin_mut()
            .expect("it has just been set");
        let guard = ready!(lock.poll(cx));
        *this.finished = true;
        proceed.made_progress();
        Poll::Ready(guard)
    }
}

/// Takes a waiter back that is dropped before it returned; a signal that was meant for one goes to
/// the next.
#[cold]
fn give_up(cond: &Cond, waiter: Pin<&mut Waiter<'_, Ticket, Call>>) {
    let mut locked = cond.waiters.lock();
    let note = waiter.note();
    let withdrawn = waiter.withdraw(&mut locked);
    drop(locked);
    if let (Withdrawn::Notified, Some(Call::One)) = (&withdrawn, note) {
        cond.signal();
    }
    drop(withdrawn);
}

impl<T: ?Sized> fmt::Debug for CondWait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CondWait")
            .field("called", &self.lock.is_some())
            .finish_non_exhaustive()
    }
}
