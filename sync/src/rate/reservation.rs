//! [`Reservation`]: tokens that were taken for a time to come.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use runtime::time::Instant;

use super::Limiter;
use super::bucket::Booking;

/// Tokens that are taken, and the time from which on one may act upon it. From
/// [`Limiter::reserve`].
///
/// Dropping it gives nothing back: [`cancel`](Self::cancel) does.
///
/// ```
/// use sync::rate::{Limit, Limiter};
///
/// # runtime::block_on(async {
/// let limiter = Limiter::new(Limit::per_second(1000.0), 1);
/// assert!(limiter.allow());
/// let reservation = limiter.reserve().unwrap();
/// runtime::time::sleep(reservation.delay()).await;
/// println!("now it is our turn");
/// # });
/// ```
///
/// **Go:** `rate.Reservation`, where `OK` is the `Option` here.
#[must_use = "the tokens are taken; `cancel` gives them back"]
pub struct Reservation<'a> {
    limiter: &'a Limiter,
    booking: Booking,
}

impl<'a> Reservation<'a> {
    pub(super) fn new(limiter: &'a Limiter, booking: Booking) -> Self {
        Self { limiter, booking }
    }

    /// How long there is to wait from now on; zero if the time has come.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(0.01), 1);
    /// assert!(limiter.reserve().unwrap().delay().is_zero());
    /// assert!(!limiter.reserve().unwrap().delay().is_zero());
    /// ```
    ///
    /// **Go:** `r.Delay()`.
    pub fn delay(&self) -> Duration {
        self.booking.due.duration_since(Instant::now())
    }

    /// The time from which on one may act.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// # runtime::block_on(async {
    /// let limiter = Limiter::new(Limit::per_second(1000.0), 1);
    /// runtime::time::sleep_until(limiter.reserve().unwrap().due()).await;
    /// # });
    /// ```
    ///
    /// **Go:** `t.Add(r.DelayFrom(t))`.
    pub fn due(&self) -> Instant {
        self.booking.due
    }

    /// How many tokens it holds.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::per_second(1.0), 5);
    /// assert_eq!(limiter.reserve_n(3).unwrap().count(), 3);
    /// ```
    ///
    /// **Go:** none.
    pub fn count(&self) -> usize {
        self.booking.n
    }

    /// Gives the tokens back, unless the time has come; those that later reservations count on are
    /// lost, as their times are fixed. Who waits moves up.
    ///
    /// ```
    /// # use sync::rate::{Limit, Limiter};
    /// let limiter = Limiter::new(Limit::every(std::time::Duration::from_secs(60)), 2);
    /// assert!(limiter.allow());
    /// limiter.reserve_n(2).unwrap().cancel();
    /// assert!(limiter.allow());
    /// ```
    ///
    /// **Go:** `r.Cancel()`.
    pub fn cancel(self) {
        let moves_up = self.limiter.with(|bucket| bucket.cancel(&self.booking));
        if moves_up {
            self.limiter.changed.notify_waiters();
        }
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("count", &self.booking.n)
            .field("due", &self.booking.due)
            .finish_non_exhaustive()
    }
}
