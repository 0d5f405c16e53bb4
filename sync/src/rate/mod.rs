//! `rate`: so many events a second, and a burst.
//!
//! [`Limiter`] shows it in use.
//!
//! # How it works
//!
//! Here is what its users see; `bucket` has the arithmetic, under one lock that is held for a few
//! dozen instructions, and `wait` the line of those who wait.
//!
//! *Rejected*: a task that puts tokens into a channel now and then. It costs a timer while nobody
//! wants anything, and its ticks are the precision. Tokens are reckoned from the clock when
//! somebody asks.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};
use std::thread;

use runtime::time::Instant;

mod bucket;
mod limit;
mod reservation;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;

pub use limit::Limit;
pub use reservation::Reservation;
pub use wait::WaitError;

use crate::context::Context;
use crate::{Notify, Semaphore, blocking};
use bucket::Bucket;

/// Lets events happen at a rate: a bucket of `burst` tokens, full at first, which is filled evenly.
/// An event takes one, or several, and waits until they are there.
///
/// Who [waits](Self::wait) is served in the order in which they came, and who goes away before it
/// is served has taken nothing. [`allow`](Self::allow) does not wait, and says no;
/// [`reserve`](Self::reserve) does not wait either, and says for when. All three keep the order:
/// none overtakes one that came before it.
///
/// ```
/// use std::time::Duration;
/// use sync::rate::{Limit, Limiter};
///
/// # runtime::block_on(async {
/// let limiter = Limiter::new(Limit::every(Duration::from_millis(1)), 5);
/// for n in 0..8 {
///     limiter.wait().await; // the first five at once, then one a millisecond
///     println!("request {n}");
/// }
/// # });
/// ```
///
/// It is shared by reference, in a `static LazyLock` or an `Arc`. Under a time limit:
///
/// ```
/// # use std::time::Duration;
/// # use sync::rate::{Limit, Limiter};
/// # runtime::block_on(async {
/// let limiter = Limiter::new(Limit::every(Duration::from_secs(3600)), 1);
/// assert!(limiter.allow());
/// let waited = runtime::time::timeout(Duration::from_millis(5), limiter.wait()).await;
/// assert!(waited.is_err()); // and the next does not wait for that one
/// # });
/// ```
///
/// **Go:** `rate.Limiter` of `golang.org/x/time`. There one that waits and gives up takes with it
/// the tokens that later ones count on.
pub struct Limiter {
    bucket: Mutex<Bucket>,
    /// Its one permit is the front of the line.
    turn: Semaphore,
    /// Tells the one at the front to look again.
    changed: Notify,
}

impl Limiter {
    /// A limiter with a full bucket of `burst` tokens. With a burst of zero nothing ever goes,
    /// unless the limit is [infinite](Limit::INFINITE).
    ///
    /// ```
    /// use sync::rate::{Limit, Limiter};
    ///
    /// let limiter = Limiter::new(Limit::per_second(0.01), 3);
    /// assert!(limiter.allow_n(3));
    /// assert!(!limiter.allow_n(3));
    /// ```
    ///
    /// **Go:** `rate.NewLimiter(limit, burst)`.
    pub fn new(limit: Limit, burst: usize) -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(limit, burst, Instant::now())),
            turn: Semaphore::new(1),
            changed: Notify::new(),
        }
    }

    /// Whether an event may happen now; if so, it has taken its token.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(0.01), 1);
    /// assert!(limiter.allow());
    /// assert!(!limiter.allow()); // drop the request
    /// ```
    ///
    /// **Go:** `lim.Allow()`.
    #[must_use = "`false`: it may not"]
    pub fn allow(&self) -> bool {
        self.allow_n(1)
    }

    /// As [`allow`](Self::allow), for `n` tokens at once, all or none.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(0.01), 10);
    /// assert!(limiter.allow_n(8));
    /// assert!(!limiter.allow_n(3));
    /// assert!(limiter.allow_n(2));
    /// ```
    ///
    /// **Go:** `lim.AllowN(time.Now(), n)`.
    #[must_use = "`false`: they may not"]
    pub fn allow_n(&self, n: usize) -> bool {
        self.with(|bucket| bucket.take(n))
    }

    /// Waits until it is its turn and there is a token, and takes it.
    ///
    /// # Panics
    ///
    /// If the burst is zero and the limit not infinite: it would wait for ever. The future panics
    /// where it has to wait and there is no runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place up; nothing was taken, and those behind
    /// move up.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// # runtime::block_on(async {
    /// let limiter = Limiter::new(Limit::per_second(1000.0), 1);
    /// limiter.wait().await;
    /// limiter.wait().await; // a millisecond later
    /// # });
    /// ```
    ///
    /// **Go:** `lim.Wait(context.Background())`.
    #[track_caller]
    pub fn wait(&self) -> impl Future<Output = ()> + Send + '_ {
        self.wait_n(1)
    }

    /// As [`wait`](Self::wait), for `n` tokens at once: nobody who comes later gets any before. If
    /// the burst is made less than `n` meanwhile, it is served when the bucket is full.
    ///
    /// # Panics
    ///
    /// If `n` is more than the burst and the limit not infinite: it would wait for ever. And as
    /// `wait`.
    ///
    /// # Cancel safety
    ///
    /// As `wait`.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// # runtime::block_on(async {
    /// let bytes = Limiter::new(Limit::per_second(1e6), 4096);
    /// for chunk in vec![0; 10_000].chunks(4096) {
    ///     bytes.wait_n(chunk.len()).await;
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** `lim.WaitN(context.Background(), n)`, where too large an `n` is an error.
    #[track_caller]
    pub fn wait_n(&self, n: usize) -> impl Future<Output = ()> + Send + '_ {
        self.check_burst(n, "Limiter::wait_n");
        wait::wait(self, n, Location::caller())
    }

    /// As [`wait`](Self::wait), under a context: gives up when that ends, and does not even begin
    /// if the token would come after its deadline.
    ///
    /// # Errors
    ///
    /// See [`WaitError`]; nothing was taken.
    ///
    /// # Cancel safety
    ///
    /// As `wait`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sync::{context::Context, rate::{Limit, Limiter, WaitError}};
    /// # runtime::block_on(async {
    /// let limiter = Limiter::new(Limit::every(Duration::from_secs(3600)), 1);
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(60));
    /// assert_eq!(limiter.wait_with(&ctx).await, Ok(()));
    /// assert_eq!(limiter.wait_with(&ctx).await, Err(WaitError::DeadlineTooClose)); // said at once
    /// # });
    /// ```
    ///
    /// **Go:** `lim.Wait(ctx)`.
    #[track_caller]
    pub fn wait_with<'a>(
        &'a self,
        ctx: &'a Context,
    ) -> impl Future<Output = Result<(), WaitError>> + Send + 'a {
        self.wait_n_with(1, ctx)
    }

    /// As [`wait_with`](Self::wait_with), for `n` tokens at once.
    ///
    /// # Errors
    ///
    /// As `wait_with`.
    ///
    /// # Cancel safety
    ///
    /// As `wait`.
    ///
    /// ```
    /// # use sync::{context::Context, rate::{Limit, Limiter, WaitError}};
    /// # runtime::block_on(async {
    /// let limiter = Limiter::new(Limit::per_second(1.0), 5);
    /// let ctx = Context::background();
    /// assert_eq!(limiter.wait_n_with(6, &ctx).await, Err(WaitError::ExceedsBurst));
    /// # });
    /// ```
    ///
    /// **Go:** `lim.WaitN(ctx, n)`.
    #[track_caller]
    pub fn wait_n_with<'a>(
        &'a self,
        n: usize,
        ctx: &'a Context,
    ) -> impl Future<Output = Result<(), WaitError>> + Send + 'a {
        wait::wait_with(self, n, ctx, Location::caller())
    }

    /// Waits like [`wait`](Self::wait), blocking the thread. For threads outside the runtime. As
    /// these have no timers, its time is fixed by the limit as it is now.
    ///
    /// # Panics
    ///
    /// If the burst or the limit is zero: it would wait for ever. Inside a task or the body of
    /// `block_on`, which it would hold up.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(1000.0), 1);
    /// limiter.blocking_wait();
    /// limiter.blocking_wait();
    /// ```
    ///
    /// **Go:** `lim.Wait(context.Background())` on a thread of one's own.
    #[track_caller]
    pub fn blocking_wait(&self) {
        let reserved = async { self.reserve() };
        let reserved = blocking::wait(reserved, "Limiter::blocking_wait", "wait().await");
        let Some(reservation) = reserved else {
            panic!(
                "Limiter::blocking_wait: with a limit or a burst of zero it would wait for ever"
            );
        };
        thread::sleep(reservation.delay());
    }

    /// Takes a token that has not come yet, and says when it will be there: for who has something
    /// else to do until then. `None` if that is never.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(100.0), 1);
    /// assert!(limiter.allow());
    /// let reservation = limiter.reserve().unwrap();
    /// println!("come back in {:?}", reservation.delay());
    /// ```
    ///
    /// **Go:** `lim.Reserve()`.
    pub fn reserve(&self) -> Option<Reservation<'_>> {
        self.reserve_n(1)
    }

    /// As [`reserve`](Self::reserve), for `n` tokens at once; `None` also if they are more than the
    /// burst.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(100.0), 5);
    /// assert!(limiter.reserve_n(5).is_some());
    /// assert!(limiter.reserve_n(6).is_none());
    /// ```
    ///
    /// **Go:** `lim.ReserveN(time.Now(), n)`.
    pub fn reserve_n(&self, n: usize) -> Option<Reservation<'_>> {
        let booking = self.with(|bucket| bucket.book(n))?;
        Some(Reservation::new(self, booking))
    }

    /// How many tokens there are, less those that are owed to who waits or has reserved: less than
    /// zero, if these are more.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(0.001), 5);
    /// assert!(limiter.allow_n(2));
    /// assert_eq!(limiter.tokens().round(), 3.0);
    /// ```
    ///
    /// **Go:** `lim.Tokens()`.
    pub fn tokens(&self) -> f64 {
        self.with(|bucket| bucket.level())
    }

    /// How fast the tokens come.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(2.0), 5);
    /// assert_eq!(limiter.limit().events_per_second(), 2.0);
    /// ```
    ///
    /// **Go:** `lim.Limit()`.
    pub fn limit(&self) -> Limit {
        self.with(|bucket| bucket.limit)
    }

    /// Changes how fast the tokens come, from now on, also for those who wait. The times of
    /// reservations stay.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(2.0), 5);
    /// limiter.set_limit(Limit::INFINITE);
    /// assert!(limiter.allow_n(100));
    /// ```
    ///
    /// **Go:** `lim.SetLimit(limit)`, by which those who wait already are not concerned.
    pub fn set_limit(&self, limit: Limit) {
        self.with(|bucket| bucket.limit = limit);
        self.changed.notify_waiters();
    }

    /// How many tokens the bucket holds at most.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// assert_eq!(Limiter::new(Limit::per_second(2.0), 5).burst(), 5);
    /// ```
    ///
    /// **Go:** `lim.Burst()`.
    pub fn burst(&self) -> usize {
        self.with(|bucket| bucket.burst)
    }

    /// Changes how many tokens the bucket holds at most; what is there beyond is lost.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(2.0), 5);
    /// limiter.set_burst(1);
    /// assert!(!limiter.allow_n(2));
    /// ```
    ///
    /// **Go:** `lim.SetBurst(n)`.
    pub fn set_burst(&self, burst: usize) {
        self.with(|bucket| bucket.set_burst(burst));
        self.changed.notify_waiters();
    }

    /// The bucket as it is now. Nothing foreign runs under the lock, so that a poisoned one has all
    /// its invariants.
    fn with<R>(&self, look: impl FnOnce(&mut Bucket) -> R) -> R {
        let now = Instant::now();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.advance(now);
        look(&mut bucket)
    }

    #[track_caller]
    fn check_burst(&self, n: usize, name: &str) {
        let (limit, burst) = self.with(|bucket| (bucket.limit, bucket.burst));
        assert!(
            n <= burst || limit.is_infinite(),
            "{name}: {n} tokens are more than the burst of {burst}, so that it would wait for ever; \
             take them in parts, or make the burst larger"
        );
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, burst, tokens) =
            self.with(|bucket| (bucket.limit, bucket.burst, bucket.level()));
        f.debug_struct("Limiter")
            .field("limit", &limit.events_per_second())
            .field("burst", &burst)
            .field("tokens", &tokens)
            .finish()
    }
}
