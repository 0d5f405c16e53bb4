//! The bucket's arithmetic, to which the time is given; what is under the limiter's lock.
//!
//! Tokens come evenly, up to the burst. There are two ways to take those that have not come yet. A
//! *booking* takes them at once, so that the bucket is in debt, and is told for when that is paid:
//! that moment is the caller's, and cannot move. Those *in line* take nothing before it is there:
//! who goes away leaves nothing to be put right, and those behind move up.
//!
//! Both keep their order all the same. A booking counts those who are in line before it, as they
//! will have been served by its time; and one in line does not count the bookings that came after
//! it: [`Line::booked`] is what had been booked when it came, hence the difference to now is what
//! came later, and is added when it looks whether there is enough.
//!
//! *Rejected*: Go's way, where each who waits has booked. One that gives up in the middle cannot
//! give back what those after it count on. Where more come than go, and each waits for a second at
//! the most, the debt grows for ever, and after a while nobody is ever served. (Go's `Wait` refuses
//! at once who would not be served by the deadline of its context; here what waits is just dropped,
//! and nobody knows when that will be.)
#![forbid(unsafe_code)]

use std::time::Duration;

use runtime::time::Instant;

use super::Limit;

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) limit: Limit,
    pub(super) burst: usize,
    /// At `last`; below zero while bookings are ahead.
    tokens: f64,
    last: Instant,
    /// The time of the latest booking.
    latest: Instant,
    /// How many tokens have ever been booked, for [`Line::booked`].
    booked: u64,
    /// Those who are in line, and what they want.
    waiting: usize,
    wanted: u64,
    /// What cancelled bookings give back, and cannot before all have left who were in line before
    /// them: these have been told not to count it. The second is `booked` after the last of them.
    refund: f64,
    refund_after: u64,
}

/// One in line; to be given back by [`Bucket::leave`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) n: usize,
    booked: u64,
}

/// Tokens that were taken for a time to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub(super) n: usize,
    pub(super) due: Instant,
    /// By which its time was reckoned.
    limit: Limit,
    /// `Bucket::booked` after it.
    booked: u64,
}

impl Bucket {
    pub(super) fn new(limit: Limit, burst: usize, now: Instant) -> Self {
        Self {
            limit,
            burst,
            tokens: burst as f64,
            last: now,
            latest: now,
            booked: 0,
            waiting: 0,
            wanted: 0,
            refund: 0.0,
            refund_after: 0,
        }
    }

    /// Pours in what has come since. A moment that lies back, of a thread that was held up between
    /// its look at the clock and the lock, brings nothing.
    pub(super) fn advance(&mut self, now: Instant) {
        let since = now.duration_since(self.last);
        self.last = self.last.max(now);
        self.add(self.limit.tokens_in(since));
    }

    fn add(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.burst as f64);
    }

    /// What does not fit any more is lost.
    pub(super) fn set_burst(&mut self, burst: usize) {
        self.burst = burst;
        self.add(0.0);
    }

    /// What is there, less what is owed to those in line.
    pub(super) fn level(&self) -> f64 {
        self.tokens - self.wanted as f64
    }

    /// Takes tokens if they are there, and nobody is in line for them.
    pub(super) fn take(&mut self, n: usize) -> bool {
        if self.limit.is_infinite() {
            return true;
        }
        let there = self.waiting == 0 && n <= self.burst && self.is_there(n as f64 - self.tokens);
        if there {
            self.tokens -= n as f64;
        }
        there
    }

    /// Whether no more is missing than comes in less than a nanosecond, which is no time that
    /// anybody could wait for.
    fn is_there(&self, missing: f64) -> bool {
        missing <= 0.0 || missing < self.limit.tokens_in(Duration::from_nanos(1)).min(1e-6)
    }

    /// How long one would wait who came now; `None` is for ever.
    pub(super) fn wait_of(&self, n: usize) -> Option<Duration> {
        self.limit.time_for(n as f64 - self.level())
    }

    /// Takes tokens for the time when they have come; `None`, and nothing is done, if that is
    /// never.
    pub(super) fn book(&mut self, n: usize) -> Option<Booking> {
        let now = self.last;
        let due = match self.limit.is_infinite() {
            true => now,
            false if n > self.burst => return None,
            false => {
                let due = now.checked_add(self.wait_of(n)?)?;
                self.tokens -= n as f64;
                self.booked += n as u64;
                self.latest = due;
                due
            }
        };
        Some(Booking {
            n,
            due,
            limit: self.limit,
            booked: self.booked,
        })
    }

    /// Gives back what of a booking nobody after it counts on, unless its time has come. Returns
    /// whether the first in line is to look again, who may have come after it.
    #[must_use]
    pub(super) fn cancel(&mut self, booking: &Booking) -> bool {
        if booking.limit.is_infinite() || booking.n == 0 || booking.due < self.last {
            return false;
        }
        let after = (booking.limit).tokens_in(self.latest.duration_since(booking.due));
        let back = booking.n as f64 - after;
        // What rounding leaves of nothing would keep a real refund back for longer.
        if back < 1e-6 {
            return false;
        }
        self.refund += back;
        self.refund_after = self.refund_after.max(booking.booked);
        if self.waiting == 0 {
            self.settle();
        }
        if self.is_latest(booking) {
            // The next to cancel counts from the one before it.
            let of_its_own = booking.limit.time_for(booking.n as f64);
            let before = of_its_own.and_then(|time| booking.due.checked_sub(time));
            self.latest = before.map_or(self.last, |before| before.max(self.last));
        }
        self.waiting > 0
    }

    /// Whether it is the latest of those that are left. What `cancel` has reckoned for the one
    /// before it is a nanosecond off as often as not, and bookings are a token apart.
    fn is_latest(&self, booking: &Booking) -> bool {
        let (due, latest) = (booking.due, self.latest);
        let apart = due.duration_since(latest) + latest.duration_since(due);
        let tokens = booking.limit.tokens_in(apart);
        apart.is_zero() || (tokens > 0.0 && tokens < 0.5)
    }

    /// All have left who were not to count it.
    fn settle(&mut self) {
        let refund = std::mem::take(&mut self.refund);
        self.add(refund);
    }

    pub(super) fn join(&mut self, n: usize) -> Line {
        self.waiting += 1;
        self.wanted += n as u64;
        Line {
            n,
            booked: self.booked,
        }
    }

    /// Served or not, it is no longer in line.
    pub(super) fn leave(&mut self, line: &Line) {
        self.waiting -= 1;
        self.wanted -= line.n as u64;
        if self.waiting == 0 {
            self.settle();
        }
    }

    /// For the first in line: takes what it wants, or says for when it is to ask again; `None` is
    /// when the limit changes.
    ///
    /// A burst that has become less than what it wants serves it when the bucket is full.
    pub(super) fn serve(&mut self, line: &Line) -> Result<(), Option<Instant>> {
        if self.limit.is_infinite() {
            return Ok(());
        }
        if self.refund > 0.0 && line.booked >= self.refund_after {
            self.settle();
        }
        let later = (self.booked - line.booked) as f64;
        let missing = line.n.min(self.burst) as f64 - (self.tokens + later);
        if self.is_there(missing) {
            self.tokens -= line.n as f64;
            return Ok(());
        }
        let wait = self.limit.time_for(missing);
        Err(wait.and_then(|wait| self.last.checked_add(wait)))
    }
}
