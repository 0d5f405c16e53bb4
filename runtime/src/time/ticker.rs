//! [`Ticker`]: moments at a fixed distance, anchored to their schedule.
//!
//! A tick is produced when it is asked for: the ticker holds one sleep and the time of the next
//! tick. If that time has passed, the tick is there; the one after it is the next on the schedule
//! that is still to come, so that a slow receiver finds one tick waiting and has lost the others,
//! exactly as with the one-place channel of a Go ticker. Nobody asking, nothing runs.
//!
//! *Rejected*: a task that sends on a channel, which costs a task, a buffer and a wake-up for each
//! tick that nobody wants. And catching up by bursts: who needs every tick counts them from the
//! instants.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use super::clock::{self, NEVER};
use super::{Instant, Sleep};

/// Makes a ticker whose first tick is one `period` from now, then one each `period`.
///
/// A period that the clock cannot express means that no tick ever comes.
///
/// # Panics
///
/// If `period` is zero.
///
/// ```
/// use runtime::time;
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let mut ticker = time::ticker(Duration::from_millis(1));
/// let first = ticker.tick().await;
/// let second = ticker.tick().await;
/// assert!(second - first >= Duration::from_millis(1));
/// # });
/// ```
///
/// **Go:** `time.NewTicker(d)`.
#[track_caller]
pub fn ticker(period: Duration) -> Ticker {
    let period = checked(period);
    let first = clock::deadline_after(Duration::from_nanos(period));
    Ticker {
        sleep: Box::pin(Sleep::new(first, Location::caller())),
        period,
    }
}

/// Ticks at a fixed distance; made by [`ticker()`].
///
/// The schedule does not drift: the n-th tick is due n periods after the start, however late the
/// ones before were taken. While nobody takes ticks one waits and the others are lost. Also a
/// [`Stream`], which never ends.
///
/// ```
/// use runtime::time::{self, Ticker};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let mut ticker: Ticker = time::ticker(Duration::from_millis(1));
/// for _ in 0..3 {
///     ticker.tick().await;
/// }
/// # });
/// ```
///
/// **Go:** `*time.Ticker`; `tick().await` for `<-t.C`.
pub struct Ticker {
    /// Its deadline is the time of the next tick.
    sleep: Pin<Box<Sleep>>,
    /// In nanoseconds; not zero.
    period: u64,
}

impl Ticker {
    /// Waits for the next tick and returns the moment for which it was scheduled, even if it is
    /// taken later. After [`stop`](Self::stop) it waits for ever.
    ///
    /// # Panics
    ///
    /// When it is polled, has to wait, and there is no runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a tick is taken only when this completes.
    ///
    /// ```
    /// use runtime::time::{self, Instant};
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut ticker = time::ticker(Duration::from_millis(1));
    /// let due = ticker.tick().await;
    /// assert!(due <= Instant::now());
    /// # });
    /// ```
    ///
    /// **Go:** `<-t.C`.
    pub async fn tick(&mut self) -> Instant {
        std::future::poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// [`tick`](Self::tick) for hand-written futures.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut ticker = time::ticker(Duration::from_millis(1));
    /// std::future::poll_fn(|cx| ticker.poll_tick(cx)).await;
    /// # });
    /// ```
    ///
    /// **Go:** no counterpart.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.sleep.as_mut().poll(cx));
        let due = self.sleep.deadline();
        let next = following(due.as_nanos(), self.period, clock::now());
        self.sleep.as_mut().reset(Instant::from_nanos(next));
        Poll::Ready(due)
    }

    /// Stops the ticks: none comes until [`reset`](Self::reset), also not one that was waiting.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut ticker = time::ticker(Duration::from_millis(1));
    /// ticker.stop();
    /// let waited = time::timeout(Duration::from_millis(5), ticker.tick()).await;
    /// assert!(waited.is_err());
    /// # });
    /// ```
    ///
    /// **Go:** `t.Stop()`.
    pub fn stop(&mut self) {
        self.sleep.as_mut().reset(Instant::from_nanos(NEVER));
    }

    /// Starts anew: the next tick is one `period` from now, then one each `period`. A tick that was
    /// waiting is lost.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut ticker = time::ticker(Duration::from_secs(3600));
    /// ticker.reset(Duration::from_millis(1));
    /// ticker.tick().await;
    /// # });
    /// ```
    ///
    /// **Go:** `t.Reset(d)`.
    #[track_caller]
    pub fn reset(&mut self, period: Duration) {
        self.period = checked(period);
        let next = clock::now().saturating_add(self.period);
        self.sleep.as_mut().reset(Instant::from_nanos(next));
    }

    /// The distance of the ticks.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// let ticker = time::ticker(Duration::from_millis(1));
    /// assert_eq!(ticker.period(), Duration::from_millis(1));
    /// ```
    ///
    /// **Go:** no counterpart.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }
}

impl Stream for Ticker {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker")
            .field("period", &self.period())
            .field("next", &self.sleep.deadline())
            .finish()
    }
}

#[track_caller]
fn checked(period: Duration) -> u64 {
    assert!(
        !period.is_zero(),
        "a ticker's period must not be zero: it would tick without end; to let other tasks run use `yield_now`, to try without \
         waiting the `default` arm of `select!`"
    );
    clock::nanos(period)
}

/// The first tick of the schedule after `due` that is later than `now`; `NEVER` where the clock
/// ends first.
fn following(due: u64, period: u64, now: u64) -> u64 {
    let lost = now.saturating_sub(due) / period;
    // `due + lost * period` is at most `now`.
    (due + lost * period).saturating_add(period)
}

#[cfg(test)]
mod tests {
    use super::following;

    #[test]
    fn the_next_tick_is_the_first_of_the_schedule_to_come() {
        assert_eq!(following(100, 10, 100), 110);
        assert_eq!(following(100, 10, 109), 110);
        assert_eq!(following(100, 10, 110), 120);
        assert_eq!(following(100, 10, 135), 140);
        // A clock that is behind the tick cannot happen, and would do no harm.
        assert_eq!(following(100, 10, 90), 110);
    }

    #[test]
    fn a_schedule_that_leaves_the_clock_ends_in_never() {
        assert_eq!(following(100, u64::MAX, 200), u64::MAX);
        assert_eq!(following(u64::MAX - 5, 10, u64::MAX - 1), u64::MAX);
    }
}
