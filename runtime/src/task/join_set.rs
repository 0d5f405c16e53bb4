//! `JoinSet`: many tasks, their results in the order in which they end.
//!
//! Each member's join waker is a [`Notice`]: the set it belongs to and its key there. When a member
//! ends, the runtime calls that waker, which puts the key at the end of the set's queue and wakes
//! whoever waits in `join_next`. So a result costs the same among ten members and among ten
//! thousand; nobody polls the members.
//!
//! Invariants:
//!
//! 1. A member's key is queued exactly once, after its output is stored: a task calls its join
//!    waker once, and a member that has ended before its waker could be left with it is queued by
//!    `insert`.
//! 2. A key is used again only after it came out of the queue. Members that leave the set
//!    otherwise, by `detach_all`, take their queue with them: the set starts a new one.
//! 3. Wakers are called, cloned and dropped outside the queue's lock.
//!
//! Rejected: wrapping each member's future, to report from inside. The report would come before the
//! task has ended, and an aborted task had to report from a destructor. Rejected too: waking the
//! set's owner directly and asking all members, which is quadratic.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker, ready};

use ::slab::Slab;

use super::{AbortHandle, JoinError, JoinHandle, WaitReason, coop, waiting};
use crate::handle::{Handle, NO_RUNTIME};
use crate::scheduler;

/// A set of tasks whose results are taken in the order in which the tasks end.
///
/// Dropping the set aborts its members; [`detach_all`](Self::detach_all) lets them go on. Members
/// need not all be on one runtime.
///
/// ```
/// use runtime::task::JoinSet;
///
/// # runtime::block_on(async {
/// let mut set = JoinSet::new();
/// for i in 0..10 {
///     set.spawn(async move { i * i });
/// }
/// let mut sum = 0;
/// while let Some(result) = set.join_next().await {
///     sum += result.unwrap();
/// }
/// assert_eq!(sum, 285);
/// # });
/// ```
///
/// **Go:** a `sync.WaitGroup` with a channel of results.
#[must_use = "dropping a JoinSet aborts its members"]
pub struct JoinSet<T> {
    members: Slab<JoinHandle<T>>,
    ended: Arc<Queue>,
}

/// The keys of members that have ended, and who waits for one.
#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    keys: VecDeque<usize>,
    waiter: Option<Waker>,
}

/// What a member tells when it ends: the waker that it is joined with.
struct Notice {
    ended: Arc<Queue>,
    key: usize,
}

impl<T> JoinSet<T> {
    /// An empty set. It allocates nothing for members before the first one.
    ///
    /// ```
    /// let set = runtime::task::JoinSet::<u32>::new();
    /// assert!(set.is_empty());
    /// ```
    ///
    /// **Go:** none; `var wg sync.WaitGroup`.
    pub fn new() -> Self {
        Self {
            members: Slab::new(),
            ended: Arc::default(),
        }
    }

    /// Members whose result has not been taken, whether they have ended or not.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut set = runtime::task::JoinSet::new();
    /// set.spawn(async {});
    /// assert_eq!(set.len(), 1); // also when it has ended, until it is taken out
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether every result has been taken.
    ///
    /// ```
    /// assert!(runtime::task::JoinSet::<u32>::new().is_empty());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Waits until a member has ended, takes it out of the set and returns its result; `None` at
    /// once if the set is empty.
    ///
    /// Results come in the order in which the tasks end, those that ended before the call first.
    ///
    /// # Errors
    ///
    /// The inner result is a [`JoinError`] if the member panicked or was aborted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a result is taken only by the poll that returns it.
    ///
    /// # Memory ordering
    ///
    /// What the member did happens before this returns its result.
    ///
    /// ```
    /// # use runtime::task::JoinSet;
    /// # runtime::block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(std::future::pending());
    /// set.spawn(async { "first" });
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), "first");
    /// assert_eq!(set.len(), 1);
    /// # });
    /// ```
    ///
    /// **Go:** a receive from the channel that the goroutines send their results to.
    #[track_caller]
    pub fn join_next(&mut self) -> JoinNext<'_, T> {
        JoinNext(self.next(Location::caller()))
    }

    /// Takes the result of a member that has ended; `None` if none has, or if the set is empty.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    ///
    /// ```
    /// # use runtime::task::JoinSet;
    /// # runtime::block_on(async {
    /// let mut set = JoinSet::<()>::new();
    /// set.spawn(std::future::pending());
    /// assert!(set.try_join_next().is_none());
    /// # });
    /// ```
    ///
    /// **Go:** `select` with a receive and a `default`.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let key = self.ended.lock().keys.pop_front()?;
        Some(self.members.remove(key).take())
    }

    /// Aborts every member: see [`JoinHandle::abort`]. They stay in the set, and `join_next`
    /// delivers how each ended.
    ///
    /// ```
    /// # use runtime::task::JoinSet;
    /// # runtime::block_on(async {
    /// let mut set = JoinSet::<()>::new();
    /// set.spawn(std::future::pending());
    /// set.abort_all();
    /// assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    /// # });
    /// ```
    ///
    /// **Go:** the `CancelFunc` of a context that they share.
    pub fn abort_all(&mut self) {
        for (_, member) in &self.members {
            member.abort();
        }
    }

    /// Empties the set and lets its members go on, as if their handles had been dropped; results
    /// not yet taken are dropped.
    ///
    /// ```
    /// # use runtime::task::JoinSet;
    /// # runtime::block_on(async {
    /// let mut set = JoinSet::new();
    /// set.spawn(async { println!("goes on") });
    /// set.detach_all();
    /// assert!(set.is_empty());
    /// # });
    /// ```
    ///
    /// **Go:** what every `go` statement does.
    pub fn detach_all(&mut self) {
        // Invariant 2. First, so that a destructor of a result that panics leaves an empty set.
        self.ended = Arc::default();
        drop(std::mem::take(&mut self.members));
    }

    /// Aborts every member and waits until all have ended, their destructors included.
    ///
    /// Results are dropped. The panic of a member is reported as that of a detached task is.
    /// Nothing happens before the first poll.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the members stay aborted, and those that have not ended stay in the set; call
    /// it again to wait for them.
    ///
    /// ```
    /// # use runtime::task::JoinSet;
    /// # runtime::block_on(async {
    /// let mut set = JoinSet::<()>::new();
    /// set.spawn(std::future::pending());
    /// set.shutdown().await;
    /// assert!(set.is_empty());
    /// # });
    /// ```
    ///
    /// **Go:** `cancel(); wg.Wait()`.
    #[track_caller]
    pub fn shutdown(&mut self) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            self.abort_all();
            while let Some(member) = self.next(place).await {
                // Dropped untaken, so that a panic in it is reported.
                drop(member);
            }
        }
    }

    fn next(&mut self, place: &'static Location<'static>) -> Next<'_, T> {
        Next {
            set: self,
            registered: false,
            place,
        }
    }

    fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let member = self.members.vacant_entry();
        let notice = Arc::new(Notice {
            ended: self.ended.clone(),
            key: member.key(),
        });
        // In the set first: the other way round a member may be queued that is not there.
        let member = member.insert(handle);
        let waker = Waker::from(notice);
        if member.watch(&waker) {
            // It has ended already and will not tell (invariant 1).
            waker.wake();
        }
        abort
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Spawns a member on the current runtime: see [`spawn`](crate::spawn()).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut set = runtime::task::JoinSet::new();
    /// let abort = set.spawn(async { 42 });
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 42);
    /// assert!(abort.is_finished());
    /// # });
    /// ```
    ///
    /// **Go:** `go f()`.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        match scheduler::spawn(future, Location::caller()) {
            Some(handle) => self.insert(handle),
            None => panic!("JoinSet::spawn: {NO_RUNTIME}"),
        }
    }

    /// Spawns a member on the runtime of `handle`. If that has ended, the member is dropped unrun
    /// and delivers "cancelled".
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let mut set = runtime::task::JoinSet::new();
    /// set.spawn_on(async { 42 }, rt.handle());
    /// assert_eq!(rt.block_on(set.join_next()).unwrap().unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: a program has one runtime.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        let handle = handle.spawn(future);
        self.insert(handle)
    }

    /// Runs blocking code as a member: see [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// An abort forgets a job that has not started; one that runs goes on to its end.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if not even one thread can be started.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut set = runtime::task::JoinSet::new();
    /// set.spawn_blocking(|| std::thread::available_parallelism().is_ok());
    /// set.join_next().await.unwrap().unwrap();
    /// # });
    /// ```
    ///
    /// **Go:** `go f()`: there every call may block.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
    {
        match Handle::try_current() {
            Ok(handle) => self.insert(handle.spawn_blocking(f)),
            Err(_) => panic!("JoinSet::spawn_blocking: {NO_RUNTIME}"),
        }
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .field("ended", &self.ended.lock().keys.len())
            .finish()
    }
}

/// Future of [`JoinSet::join_next`].
///
/// ```
/// # runtime::block_on(async {
/// let mut set = runtime::task::JoinSet::new();
/// set.spawn(async { 42 });
/// let next: runtime::task::JoinNext<'_, u32> = set.join_next();
/// assert_eq!(next.await.unwrap().unwrap(), 42);
/// # });
/// ```
///
/// **Go:** none.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinNext<'a, T>(Next<'a, T>);

impl<T> Future for JoinNext<'_, T> {
    type Output = Option<Result<T, JoinError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let member = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(member.map(|mut member| member.take()))
    }
}

impl<T> fmt::Debug for JoinNext<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinNext").field(&*self.0.set).finish()
    }
}

/// Takes the next member that has ended out of the set.
struct Next<'a, T> {
    set: &'a mut JoinSet<T>,
    registered: bool,
    place: &'static Location<'static>,
}

impl<T> Future for Next<'_, T> {
    type Output = Option<JoinHandle<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.set.is_empty() {
            return Poll::Ready(None);
        }
        let proceed = ready!(coop::poll_proceed(cx));
        this.registered = true;
        match this.set.ended.poll_pop(cx.waker()) {
            Poll::Ready(key) => {
                proceed.made_progress();
                Poll::Ready(Some(this.set.members.remove(key)))
            }
            Poll::Pending => {
                waiting(WaitReason::Join, this.place);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Next<'_, T> {
    /// Nobody waits any more, and the task's waker is not to be kept.
    fn drop(&mut self) {
        if self.registered {
            let waiter = self.set.ended.lock().waiter.take();
            drop(waiter);
        }
    }
}

impl Queue {
    /// No code that may panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The first key; if there is none, the next one will call `waker`.
    fn poll_pop(&self, waker: &Waker) -> Poll<usize> {
        let mut queue = self.lock();
        if let Some(key) = queue.keys.pop_front() {
            return Poll::Ready(key);
        }
        if queue.waiter.as_ref().is_some_and(|w| w.will_wake(waker)) {
            return Poll::Pending;
        }
        drop(queue);
        // Invariant 3: the clone is made outside, so a key may have come meanwhile.
        let waker = waker.clone();
        let mut queue = self.lock();
        let key = queue.keys.pop_front();
        let unused = match key {
            Some(_) => Some(waker),
            None => queue.waiter.replace(waker),
        };
        drop(queue);
        drop(unused);
        key.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// Called once, by the end of the member (invariant 1).
    fn wake_by_ref(self: &Arc<Self>) {
        let mut queue = self.ended.lock();
        queue.keys.push_back(self.key);
        let waiter = queue.waiter.take();
        drop(queue);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}
