//! `watch`: one value that changes, and tasks that want to know the newest.
//!
//! The value lies under std's `RwLock`, held only while it is looked at or replaced. Beside it a word counts its versions and says whether all
//! senders are gone. A receiver remembers the version that it saw last, so that "is there anything new?" is one load.
//!
//! Invariants:
//!
//! 1. The version is raised after the value has changed and before those who wait are woken; who queues up looks at it again under the
//!    queue's lock. So nobody waits for a version that is there. A waking may come late, to one who has seen its version already and waits
//!    for the next; it queues up again.
//! 2. Old values are dropped, and wakers called, under no lock.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::{consume_budget, poll_proceed};
use runtime::task::{WaitReason, waiting};

use crate::SendError;
use crate::blocking;
use crate::gone::{Gone, UntilGone};
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Waiter, Waiters};

struct Shared<T> {
    value: RwLock<T>,
    /// Atomic: CLOSED, and the version above.
    state: AtomicUsize,
    /// How many there are.
    senders: AtomicUsize,
    /// How many there are.
    receivers: AtomicUsize,
    waiters: Waiters<(), ()>,
    /// Senders that wait until there are no receivers.
    gone: Gone,
}

/// All senders are gone.
const CLOSED: usize = 1;
/// One version, in the word.
const VERSION: usize = 2;

/// A channel that keeps the newest value only; it starts with `initial`.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, mut rx) = sync::watch::channel("starting");
/// runtime::spawn(async move { tx.send("running") });
/// assert!(rx.changed().await);
/// assert_eq!(*rx.borrow(), "running");
/// # });
/// ```
///
/// **Go:** none; a mutex, and a channel that is closed at each change.
pub fn channel<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(initial),
        state: AtomicUsize::new(0),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        waiters: Waiters::new(()),
        gone: Gone::new(),
    });
    let receiver = Receiver {
        shared: shared.clone(),
        seen: 0,
    };
    (Sender { shared }, receiver)
}

/// Changes the value. Clones change the same; when the last is dropped, receivers are told.
///
/// ```
/// let (tx, rx) = sync::watch::channel(1);
/// tx.send(2).unwrap();
/// assert_eq!(*rx.borrow(), 2);
/// ```
///
/// **Go:** none.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Replaces the value and wakes all who wait for a change. Never waits for receivers, only, shortly, for one that
    /// [looks](Receiver::borrow) just now.
    ///
    /// # Errors
    ///
    /// The value, if there is no receiver; then nothing has changed.
    ///
    /// # Memory ordering
    ///
    /// What happened before is visible to whom [`changed`](Receiver::changed) tells of this value.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// assert!(tx.send(2).is_ok());
    /// drop(rx);
    /// assert_eq!(tx.send(3).unwrap_err().0, 3);
    /// ```
    ///
    /// **Go:** none.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        // Relaxed: a receiver that goes away or is made at this moment may be counted or not.
        if self.shared.receivers.load(Ordering::Relaxed) == 0 {
            return Err(SendError(value));
        }
        drop(self.replace(value));
        Ok(())
    }

    /// Replaces the value also when there is no receiver, and returns the old one.
    ///
    /// ```
    /// let (tx, _) = sync::watch::channel(1);
    /// assert_eq!(tx.replace(2), 1);
    /// ```
    ///
    /// **Go:** none.
    pub fn replace(&self, value: T) -> T {
        let mut slot = self
            .shared
            .value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *slot, value);
        // Release: pairs with the `Acquire` in `Receiver::look`. Under the value's lock, so that versions rise in the order of the values.
        self.shared.state.fetch_add(VERSION, Ordering::Release);
        drop(slot);
        self.shared.wake_all();
        old
    }

    /// Changes the value in place by `change`, which says whether it did; wakes all who wait if so. Receivers and other senders wait
    /// meanwhile, so it should be short.
    ///
    /// # Panics
    ///
    /// If `change` does; then nobody is woken, and the value is as the panic left it.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(vec![1]);
    /// tx.modify(|list| { list.push(2); true });
    /// assert_eq!(*rx.borrow(), [1, 2]);
    /// ```
    ///
    /// **Go:** none.
    pub fn modify(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut slot = self
            .shared
            .value
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut slot);
        if changed {
            // Release: as in `replace`.
            self.shared.state.fetch_add(VERSION, Ordering::Release);
        }
        drop(slot);
        if changed {
            self.shared.wake_all();
        }
        changed
    }

    /// Looks at the value; see [`Receiver::borrow`].
    ///
    /// ```
    /// let (tx, _rx) = sync::watch::channel(1);
    /// assert_eq!(*tx.borrow(), 1);
    /// ```
    ///
    /// **Go:** none.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow()
    }

    /// A receiver that has seen the value as it is now.
    ///
    /// ```
    /// let (tx, _) = sync::watch::channel(1);
    /// let mut rx = tx.subscribe();
    /// assert!(!rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    pub fn subscribe(&self) -> Receiver<T> {
        // Relaxed: see `send`.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver {
            seen: self.shared.look() / VERSION,
            shared: self.shared.clone(),
        }
    }

    /// How many receivers there are.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// let _other = rx.clone();
    /// assert_eq!(tx.receivers(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn receivers(&self) -> usize {
        // Acquire: pairs with the `Release` of the last receiver, whose end is what `closed` waits for.
        self.shared.receivers.load(Ordering::Acquire)
    }

    /// Whether there is no receiver. There may be one again, see [`subscribe`](Self::subscribe).
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_closed(&self) -> bool {
        self.receivers() == 0
    }

    /// Waits until there is no receiver: nobody wants to know the value any more. By the time that one looks, there may be one again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: there is nothing to lose.
    ///
    /// # Memory ordering
    ///
    /// What the receivers did before they were dropped is visible.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::watch::channel(1);
    /// runtime::spawn(async move { drop(rx) });
    /// tx.closed().await;
    /// assert!(tx.send(2).is_err());
    /// # });
    /// ```
    ///
    /// **Go:** `<-ctx.Done()`, with a context that the receivers cancel.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> + use<'_, T> {
        let until = UntilGone::new(&self.shared.gone, Location::caller());
        until.wait(|| self.is_closed())
    }

    /// Whether both handles are of the same channel.
    ///
    /// ```
    /// let (tx, _rx) = sync::watch::channel(1);
    /// assert!(tx.same_channel(&tx.clone()));
    /// ```
    ///
    /// **Go:** `c1 == c2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // Relaxed: the one that is cloned keeps the count above zero.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // AcqRel: what the other senders did comes before the closing by the last.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.state.fetch_or(CLOSED, Ordering::Release);
            self.shared.wake_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("receivers", &self.receivers())
            .finish_non_exhaustive()
    }
}

impl<T> Shared<T> {
    /// Acquire: pairs with the `Release` of whoever raised the version, or closed.
    fn look(&self) -> usize {
        self.state.load(Ordering::Acquire)
    }

    fn borrow(&self) -> Ref<'_, T> {
        Ref {
            guard: self.value.read().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn wake_all(&self) {
        self.waiters.lock().wake_all();
    }

    #[cold]
    fn all_receivers_are_gone(&self) {
        let mut batch = Batch::default();
        self.gone.tell(&mut batch);
        batch.finish();
    }
}

/// Sees the newest value, and waits for the next. A clone has seen what this one has.
///
/// ```
/// let (_tx, rx) = sync::watch::channel(1);
/// assert_eq!(*rx.borrow(), 1);
/// ```
///
/// **Go:** none.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that it saw last.
    seen: usize,
}

impl<T> Receiver<T> {
    /// Looks at the newest value, without taking note of having seen it.
    ///
    /// Senders wait as long as the guard lives: look, or clone, and let go. It cannot be held across an `.await` in a task.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// tx.send(2).unwrap();
    /// assert_eq!(*rx.borrow(), 2);
    /// assert!(rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow()
    }

    /// Whether both handles are of the same channel.
    ///
    /// ```
    /// let (_tx, rx) = sync::watch::channel(1);
    /// assert!(rx.same_channel(&rx.clone()));
    /// ```
    ///
    /// **Go:** `c1 == c2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Looks at the newest value, and counts it as seen.
    ///
    /// ```
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// tx.send(2).unwrap();
    /// assert_eq!(*rx.borrow_and_update(), 2);
    /// assert!(!rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.borrow();
        // Under the value's lock, so that this is the version of this value.
        self.seen = self.shared.look() / VERSION;
        value
    }

    /// Whether there is a value that has not been seen: one load.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// assert!(!rx.has_changed());
    /// tx.send(1).unwrap(); // what counts is the sending
    /// assert!(rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    pub fn has_changed(&self) -> bool {
        self.shared.look() / VERSION != self.seen
    }

    /// Waits until there is a value that has not been seen, and counts it as seen. `false` if there is none and all senders are gone.
    ///
    /// Values between may be missed; the newest never is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, it has counted nothing as seen.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// tx.send(2).unwrap();
    /// drop(tx);
    /// assert!(rx.changed().await);
    /// assert!(!rx.changed().await);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed {
            waiter: Waiter::new(&self.shared.waiters, ()),
            shared: &self.shared,
            seen: &mut self.seen,
            place: Location::caller(),
        }
    }

    /// Waits until the value, as it is or as it becomes, is one that `accepts` says yes to. `false` if all senders are gone before.
    ///
    /// By the time that one looks, it may have changed again; `accepts` can keep what it needs.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what `accepts` has looked at counts as seen.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// runtime::spawn(async move { for n in 2..10 { tx.replace(n); } });
    /// assert!(rx.wait_for(|&n| n >= 5).await);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub async fn wait_for(&mut self, mut accepts: impl FnMut(&T) -> bool) -> bool {
        // Also where it need not wait: a loop of these lets others run.
        consume_budget().await;
        loop {
            // Not in the condition, where the guard would live on.
            let accepted = accepts(&self.borrow_and_update());
            if accepted {
                return true;
            }
            if !self.changed().await {
                return false;
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Waits like [`changed`](Self::changed), blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task, whose worker it would block.
    ///
    /// ```
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// std::thread::spawn(move || tx.send(2));
    /// assert!(rx.blocking_changed());
    /// assert_eq!(*rx.borrow(), 2);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_changed(&mut self) -> bool {
        blocking::wait(
            self.changed(),
            "watch::Receiver::blocking_changed",
            "changed().await",
        )
    }

    /// Waits like [`wait_for`](Self::wait_for), blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task, whose worker it would block.
    ///
    /// ```
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// std::thread::spawn(move || for n in 2..10 { tx.replace(n); });
    /// assert!(rx.blocking_wait_for(|&n| n >= 5));
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_wait_for(&mut self, accepts: impl FnMut(&T) -> bool) -> bool {
        blocking::wait(
            self.wait_for(accepts),
            "watch::Receiver::blocking_wait_for",
            "wait_for(..).await",
        )
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        // Relaxed: see `Sender::send`.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // AcqRel: what the other receivers did comes before the end of the last.
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.all_receivers_are_gone();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("has_changed", &self.has_changed())
            .finish_non_exhaustive()
    }
}

/// A look at the value, which cannot change meanwhile.
///
/// ```
/// let (_tx, rx) = sync::watch::channel(1);
/// let value: sync::watch::Ref<'_, i32> = rx.borrow();
/// assert_eq!(*value, 1);
/// ```
///
/// **Go:** `defer mu.RUnlock()`.
#[must_use = "dropped at once, it shows nothing"]
pub struct Ref<'a, T> {
    guard: RwLockReadGuard<'a, T>,
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

pin_project! {
    /// Future of [`Receiver::changed`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// let changed: sync::watch::Changed<'_, i32> = rx.changed();
    /// tx.send(2).unwrap();
    /// assert!(changed.await);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Changed<'a, T> {
        #[pin]
        waiter: Waiter<'a, (), ()>,
        shared: &'a Shared<T>,
        seen: &'a mut usize,
        place: &'static Location<'static>,
    }
}

impl<T> Future for Changed<'_, T> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let news = (this.shared.news(this.seen))
            .or_else(|| queue_up(this.shared, this.seen, this.waiter.as_mut(), cx));
        match news {
            Some(changed) => {
                proceed.made_progress();
                Poll::Ready(changed)
            }
            None => {
                waiting(WaitReason::WatchChanged, this.place);
                Poll::Pending
            }
        }
    }
}

/// Into the queue, unless it is there, or there are news after all.
fn queue_up<T>(
    shared: &Shared<T>,
    seen: &mut usize,
    mut waiter: Pin<&mut Waiter<'_, (), ()>>,
    cx: &mut Context<'_>,
) -> Option<bool> {
    if !waiter.is_idle() {
        ready_or_none(waiter.as_mut().poll_notified(cx))?;
        if let Some(changed) = shared.news(seen) {
            return Some(changed);
        }
        // Woken for a version that it had seen before it queued up: the sender had raised it, but not come to the queue yet.
        waiter.as_mut().reset();
    }
    let waker = cx.waker().clone();
    let mut locked = shared.waiters.lock();
    // Under the lock: see (1).
    if let Some(changed) = shared.news(seen) {
        drop(locked);
        return Some(changed);
    }
    waiter.enqueue(&mut locked, waker);
    None
}

fn ready_or_none(poll: Poll<()>) -> Option<()> {
    match poll {
        Poll::Ready(()) => Some(()),
        Poll::Pending => None,
    }
}

impl<T> Shared<T> {
    /// Whether there is a new version, which then counts as seen, or there never will be one.
    fn news(&self, seen: &mut usize) -> Option<bool> {
        let state = self.look();
        if state / VERSION != *seen {
            *seen = state / VERSION;
            return Some(true);
        }
        (state & CLOSED != 0).then_some(false)
    }
}

impl<T> fmt::Debug for Changed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}
