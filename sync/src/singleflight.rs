//! `singleflight`: of several who want the same thing at once, one fetches it, and all get it.
//!
//! [`Group`] shows it in use.
//!
//! # How it works
//!
//! The fetching runs in a task of its own. So whoever asked first may go away, by a timeout for
//! instance, and the others still get their answer; if all go away, it goes on to its end, as in
//! Go.
//!
//! The answer lies in a `OnceLock`, where each clones it for itself, under no lock. A call leaves
//! the map before its answer is there, so that who comes after the answer asks anew.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError, TryLockError};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::blocking;
use crate::primitive::{Mutex, MutexGuard};
use crate::waiters::{Waiter, Waiters};

#[cfg(all(test, loom))]
#[path = "models/singleflight.rs"]
mod models;

/// Calls by key, each of which runs once at a time, however many want its result.
///
/// It keeps no results: who comes when a call has ended starts the next. With a cache in front of
/// it, a hundred requests for what is not there make one query, not a hundred.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use sync::singleflight::Group;
///
/// # runtime::block_on(async {
/// static QUERIES: AtomicUsize = AtomicUsize::new(0);
/// let users = Arc::new(Group::new());
/// let requests: Vec<_> = (0..100)
///     .map(|_| {
///         let users = users.clone();
///         runtime::spawn(async move {
///             let query = || async {
///                 QUERIES.fetch_add(1, Ordering::Relaxed);
///                 runtime::time::sleep(std::time::Duration::from_millis(20)).await;
///                 "Ada".to_string()
///             };
///             users.run(1, query).await
///         })
///     })
///     .collect();
/// for request in requests {
///     assert_eq!(request.await.unwrap(), "Ada");
/// }
/// assert!(QUERIES.load(Ordering::Relaxed) < 100);
/// # });
/// ```
///
/// **Go:** `singleflight.Group` of `golang.org/x/sync`.
pub struct Group<K, V> {
    calls: Arc<Calls<K, V>>,
}

struct Calls<K, V> {
    /// Those that run.
    running: Mutex<HashMap<K, Arc<Call<V>>>>,
}

struct Call<V> {
    outcome: OnceLock<Outcome<V>>,
    waiters: Waiters<(), ()>,
}

enum Outcome<V> {
    Value(V),
    /// The text of the panic.
    Panic(String),
    /// The task was dropped before it ended.
    Lost,
}

impl<K, V> Calls<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Call<V>>>> {
        // A `Hash` or `Eq` that panics leaves the map as it was.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Group<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A group in which nothing runs.
    ///
    /// ```
    /// let group = sync::singleflight::Group::<String, u32>::new();
    /// ```
    ///
    /// **Go:** `var g singleflight.Group`.
    pub fn new() -> Self {
        Self {
            calls: Arc::new(Calls {
                running: Mutex::new(HashMap::new()),
            }),
        }
    }

    /// The result of the call that runs for `key`; if none does, starts it with `f`, in a task of
    /// its own.
    ///
    /// # Panics
    ///
    /// If the call does, in all who wait for it, with its text. And outside a runtime, or if the
    /// runtime of the call shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call goes on, for the others and to its end.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::singleflight::Group::new();
    /// assert_eq!(group.run("answer", || async { 42 }).await, 42);
    /// assert_eq!(group.run("answer", || async { 43 }).await, 43); // the first has ended
    /// # });
    /// ```
    ///
    /// **Go:** `g.Do(key, fn)`.
    #[track_caller]
    pub fn run<F, Fut>(&self, key: K, f: F) -> impl Future<Output = V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let place = Location::caller();
        async move {
            let call = self.join(key, f, place);
            Landed::new(&call, place).await;
            match call.outcome.get().expect("it has landed") {
                Outcome::Value(value) => value.clone(),
                // The panic hook has seen it; this one only carries it on.
                Outcome::Panic(text) => resume_unwind(Box::new(text.clone())),
                Outcome::Lost => {
                    panic!(
                        "singleflight: the call was dropped before it ended, since its runtime shut down: wait for it before the runtime ends"
                    )
                }
            }
        }
    }

    /// Waits like [`run`](Self::run), blocking the thread. For threads outside the runtime's tasks
    /// that have [entered](runtime::Handle::enter) it, as those of `spawn_blocking` have.
    ///
    /// # Panics
    ///
    /// As `run`, and inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::singleflight::Group::new();
    /// let thread = runtime::spawn_blocking(move || group.blocking_run("answer", || async { 42 }));
    /// assert_eq!(thread.await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** `g.Do(key, fn)` on a thread of one's own.
    #[track_caller]
    pub fn blocking_run<F, Fut>(&self, key: K, f: F) -> V
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        blocking::wait(
            self.run(key, f),
            "singleflight::Group::blocking_run",
            "run(..).await",
        )
    }

    /// The call that runs for `key`, or a new one.
    fn join<F, Fut>(&self, key: K, f: F, place: &'static Location<'static>) -> Arc<Call<V>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = V> + Send + 'static,
    {
        let (call, landing) = self.enter(key);
        if let Some(landing) = landing {
            let work = Work {
                future: None,
                f: Some(f),
                landing,
            };
            // If this panics, for want of a runtime, the work is dropped, and with that the call
            // has landed.
            drop(runtime::task::spawn_at(work, place));
        }
        call
    }

    fn running(&self, key: &K) -> Option<Arc<Call<V>>> {
        self.calls.lock().get(key).cloned()
    }

    /// The call that runs for `key`, or a new one and the duty to land it.
    fn enter(&self, key: K) -> (Arc<Call<V>>, Option<Landing<K, V>>) {
        if let Some(call) = self.running(&key) {
            return (call, None);
        }
        // Foreign code, so not under the lock.
        let kept = key.clone();
        let call = Arc::new(Call {
            outcome: OnceLock::new(),
            waiters: Waiters::new(()),
        });
        let mut running = self.calls.lock();
        if let Some(other) = running.get(&key).cloned() {
            // Begun meanwhile. The key that is not needed goes after the lock.
            drop(running);
            return (other, None);
        }
        running.insert(kept, call.clone());
        drop(running);
        let landing = Landing {
            calls: self.calls.clone(),
            call: call.clone(),
            key,
            outcome: Outcome::Lost,
        };
        (call, Some(landing))
    }

    /// Lets the next who asks for `key` start a call of its own, even if one runs. Who waits for
    /// that one still gets its result.
    ///
    /// ```
    /// let group = sync::singleflight::Group::<&str, u32>::new();
    /// group.forget(&"answer");
    /// ```
    ///
    /// **Go:** `g.Forget(key)`.
    pub fn forget(&self, key: &K) {
        let forgotten = self.calls.lock().remove_entry(key);
        drop(forgotten);
    }
}

impl<K, V> Default for Group<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Group<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = f.debug_struct("Group");
        // Never waits: `Hash` and `Eq` of the keys, which run under the lock, are somebody else's
        // code.
        match self.calls.running.try_lock() {
            Ok(running) => group.field("running", &running.len()),
            Err(TryLockError::Poisoned(poisoned)) => {
                group.field("running", &poisoned.into_inner().len())
            }
            Err(TryLockError::WouldBlock) => group.field("running", &format_args!("<locked>")),
        };
        group.finish()
    }
}

pin_project! {
    /// The task of a call. The fields are dropped in this order: what the future owned is gone
    /// before the call has landed.
    struct Work<F, Fut, K, V>
    where
        K: Hash,
        K: Eq,
    {
        #[pin]
        future: Option<Fut>,
        f: Option<F>,
        landing: Landing<K, V>,
    }
}

/// Leaves the outcome when dropped.
struct Landing<K: Hash + Eq, V> {
    calls: Arc<Calls<K, V>>,
    call: Arc<Call<V>>,
    key: K,
    outcome: Outcome<V>,
}

impl<F, Fut, K, V> Future for Work<F, Fut, K, V>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = V>,
    K: Hash + Eq,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // A future that panicked is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Some(f) = this.f.take() {
                this.future.set(Some(f()));
            }
            let future = this.future.as_mut().as_pin_mut();
            future.expect("it is polled until it ends").poll(cx)
        }));
        this.landing.outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Outcome::Value(value),
            Err(payload) => Outcome::Panic(text_of(&*payload)),
        };
        Poll::Ready(())
    }
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "singleflight: the call panicked".to_string())
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut running = self.calls.lock();
        // It may have been forgotten, and another may run under its key.
        let ours = (running.get(&self.key)).is_some_and(|call| Arc::ptr_eq(call, &self.call));
        let entry = if ours {
            running.remove_entry(&self.key)
        } else {
            None
        };
        drop(running);
        drop(entry);
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Lost);
        let set = self.call.outcome.set(outcome);
        debug_assert!(set.is_ok(), "a call lands once");
        self.call.wake_all();
    }
}

impl<V> Call<V> {
    fn wake_all(&self) {
        // Nobody queues up any more, since the outcome is there.
        self.waiters.lock().wake_all();
    }
}

pin_project! {
    /// Ready when the call has its outcome.
    struct Landed<'a, V> {
        #[pin]
        waiter: Waiter<'a, (), ()>,
        call: &'a Call<V>,
        place: &'static Location<'static>,
    }
}

impl<'a, V> Landed<'a, V> {
    fn new(call: &'a Call<V>, place: &'static Location<'static>) -> Self {
        Self {
            waiter: Waiter::new(&call.waiters, ()),
            call,
            place,
        }
    }
}

impl<V> Future for Landed<'_, V> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        if this.waiter.is_idle() {
            let waker = cx.waker().clone();
            let mut locked = this.call.waiters.lock();
            // Under the lock, so that whoever lands either is seen here or finds this waiter.
            if this.call.outcome.get().is_some() {
                drop(locked);
                proceed.made_progress();
                return Poll::Ready(());
            }
            this.waiter.as_mut().enqueue(&mut locked, waker);
        }
        if this.waiter.poll_notified(cx).is_pending() {
            waiting(WaitReason::SingleFlight, this.place);
            return Poll::Pending;
        }
        proceed.made_progress();
        Poll::Ready(())
    }
}
