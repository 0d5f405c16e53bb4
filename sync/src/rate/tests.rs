//! Go's tests of `golang.org/x/time/rate` anew, as far as they are about the arithmetic, at times
//! that they name; and what of ours cannot be seen but with a clock in one's hand.
#![forbid(unsafe_code)]

use std::time::Duration;

use runtime::time::Instant;

use super::Limit;
use super::bucket::{Booking, Bucket};

/// A bucket and its beginning, from which times are told in tenths of a second.
struct At {
    bucket: Bucket,
    start: Instant,
}

impl At {
    fn new(limit: f64, burst: usize) -> Self {
        let start = Instant::now();
        let bucket = Bucket::new(Limit::per_second(limit), burst, start);
        Self { bucket, start }
    }

    fn time(&self, tenths: u64) -> Instant {
        self.start + Duration::from_millis(100 * tenths)
    }

    fn at(&mut self, tenths: u64) -> &mut Bucket {
        let now = self.time(tenths);
        self.bucket.advance(now);
        &mut self.bucket
    }

    #[track_caller]
    fn allows(&mut self, tenths: u64, n: usize, allowed: bool) {
        assert_eq!(self.at(tenths).take(n), allowed, "{:?}", self.bucket);
    }

    #[track_caller]
    fn books(&mut self, tenths: u64, n: usize, due: u64) -> Booking {
        let booking = self.at(tenths).book(n).expect("it can be had");
        self.is_due(booking.due, due);
        booking
    }

    #[track_caller]
    fn is_due(&self, due: Instant, tenths: u64) {
        let wanted = self.time(tenths);
        let off = due.duration_since(wanted) + wanted.duration_since(due);
        let after = due.duration_since(self.start);
        assert!(
            off < Duration::from_micros(1),
            "{after:?}, not {tenths}/10 s"
        );
    }
}

#[test]
fn every_interval_is_a_limit() {
    for (interval, limit) in [
        (1, 1e9),
        (1_000, 1e6),
        (10_000_000, 100.0),
        (4_000_000_000, 0.25),
    ] {
        let every = Limit::every(Duration::from_nanos(interval));
        assert!((every.events_per_second() / limit - 1.0).abs() < 1e-12);
    }
    assert_eq!(Limit::every(Duration::ZERO), Limit::INFINITE);
}

#[test]
fn a_burst_of_one_lets_one_go_at_a_time() {
    let mut at = At::new(10.0, 1);
    for (time, n, allowed) in [
        (0, 1, true),
        (0, 1, false),
        (1, 1, true),
        (1, 1, false),
        (2, 2, false), // more than the burst
        (2, 1, true),
        (2, 1, false),
    ] {
        at.allows(time, n, allowed);
    }
}

#[test]
fn a_burst_of_three_is_filled_again_up_to_three() {
    let mut at = At::new(10.0, 3);
    for (time, n, allowed) in [
        (0, 2, true),
        (0, 2, false),
        (0, 1, true),
        (0, 1, false),
        (1, 4, false),
        (2, 1, true),
        (3, 1, true),
        (4, 1, true),
        (4, 1, true),
        (4, 1, false),
        (9, 3, true), // two tenths' worth was lost
        (9, 1, false),
    ] {
        at.allows(time, n, allowed);
    }
}

#[test]
fn a_clock_that_lies_back_brings_nothing_and_takes_nothing() {
    let mut at = At::new(10.0, 3);
    at.allows(1, 3, true);
    at.allows(0, 1, false);
    at.allows(1, 1, false);
    at.allows(2, 1, true);
    at.allows(2, 1, false);
}

#[test]
fn a_limit_that_no_duration_divides_is_not_cut_off() {
    assert!(At::new(0.769_230_769_230_769_3, 1).at(0).take(1));
}

#[test]
fn reservations_come_one_after_the_other() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    at.books(0, 2, 2);
    at.books(3, 2, 4);
}

#[test]
fn more_than_the_burst_is_refused_and_costs_nothing() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    assert!(at.at(0).book(3).is_none());
    at.books(0, 2, 2);
}

#[test]
fn what_is_reserved_is_not_allowed_to_others() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    at.books(0, 1, 1);
    at.allows(1, 1, false);
    at.allows(2, 1, true);
}

#[test]
fn the_last_reservation_is_cancelled_in_full() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    let last = at.books(0, 2, 2);
    at.at(1).cancel(&last);
    at.books(1, 2, 2);
}

#[test]
fn a_reservation_whose_time_has_come_is_not_cancelled() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    let late = at.books(0, 2, 2);
    at.at(3).cancel(&late);
    at.books(3, 2, 4);
}

#[test]
fn what_a_later_reservation_counts_on_is_not_given_back() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    let first = at.books(0, 1, 1);
    at.books(0, 1, 2);
    at.at(0).cancel(&first);
    at.books(0, 1, 3);
}

#[test]
fn what_no_later_reservation_counts_on_is_given_back() {
    let mut at = At::new(10.0, 2);
    at.books(0, 2, 0);
    let first = at.books(0, 2, 2);
    at.books(0, 1, 3);
    at.at(2).cancel(&first);
    at.books(2, 2, 4);
}

#[test]
fn several_are_cancelled_as_if_the_last_had_never_been() {
    let mut at = At::new(10.0, 4);
    at.books(0, 4, 0);
    let first = at.books(0, 3, 3);
    at.books(0, 1, 4);
    let last = at.books(0, 1, 5);
    at.at(1).cancel(&last);
    at.at(1).cancel(&first);
    at.books(1, 3, 5);
}

#[test]
fn a_new_limit_counts_for_new_reservations() {
    let mut at = At::new(5.0, 2);
    at.books(0, 2, 0);
    at.books(0, 2, 4);
    at.at(2).limit = Limit::per_second(10.0);
    at.books(2, 1, 4);
}

#[test]
fn a_new_burst_counts_for_new_reservations() {
    let mut at = At::new(5.0, 2);
    at.books(0, 2, 0);
    at.books(0, 2, 4);
    at.at(3).set_burst(4);
    at.books(3, 4, 12);
}

#[test]
fn a_reservation_is_cancelled_by_the_limit_of_its_time() {
    let mut at = At::new(5.0, 2);
    at.books(0, 2, 0);
    let old = at.books(0, 2, 4);
    at.at(2).limit = Limit::per_second(10.0);
    at.at(2).cancel(&old);
    at.books(2, 2, 3);
}

#[test]
fn without_a_limit_nothing_is_taken_and_nothing_given_back() {
    let mut at = At::new(f64::INFINITY, 1);
    let free = at.books(0, 1_000, 0);
    at.at(0).limit = Limit::per_second(10.0);
    at.allows(0, 1, true);
    at.at(0).cancel(&free);
    at.allows(0, 1, false);
}

#[test]
fn the_rate_holds_over_a_long_time() {
    // Asked a thousand times a second for five seconds: the burst, and a hundred a second.
    let start = Instant::now();
    let mut bucket = Bucket::new(Limit::per_second(100.0), 100, start);
    let allowed = (0..5_000).filter(|&millis| {
        bucket.advance(start + Duration::from_millis(millis));
        bucket.take(1)
    });
    let allowed = allowed.count();
    assert!((599..=601).contains(&allowed), "{allowed}");
}

// ---- the line, which Go does not have ----

#[test]
fn a_reservation_counts_those_in_line_and_they_do_not_count_it() {
    let mut at = At::new(10.0, 2);
    at.allows(0, 2, true);
    let line = at.at(0).join(1);
    at.books(0, 2, 3);
    let due = at.at(0).serve(&line).unwrap_err().unwrap();
    at.is_due(due, 1);
    assert_eq!(at.at(1).serve(&line), Ok(()));
    at.bucket.leave(&line);
    at.books(1, 1, 4);
}

#[test]
fn one_in_line_counts_the_reservations_before_it() {
    let mut at = At::new(10.0, 2);
    at.allows(0, 2, true);
    at.books(0, 2, 2);
    let line = at.at(0).join(1);
    let due = at.at(0).serve(&line).unwrap_err().unwrap();
    at.is_due(due, 3);
}

#[test]
fn who_leaves_the_line_owes_nothing() {
    let mut at = At::new(10.0, 2);
    at.allows(0, 2, true);
    let (first, second) = (at.at(0).join(2), at.at(0).join(1));
    at.bucket.leave(&first);
    let due = at.at(0).serve(&second).unwrap_err().unwrap();
    at.is_due(due, 1);
}

/// The one in line has been told not to count the reservation: were it given back at once, it
/// would be counted twice.
#[test]
fn a_cancelled_reservation_serves_nobody_who_was_in_line_before_it() {
    let mut at = At::new(10.0, 2);
    at.allows(0, 2, true);
    let before = at.at(0).join(1);
    let cancelled = at.books(0, 2, 3);
    let after = at.at(0).join(1);
    at.at(0).cancel(&cancelled);
    let due = at.at(0).serve(&before).unwrap_err().unwrap();
    at.is_due(due, 1);
    assert_eq!(at.at(1).serve(&before), Ok(()));
    at.bucket.leave(&before);
    let due = at.at(1).serve(&after).unwrap_err().unwrap();
    at.is_due(due, 2);
}

#[test]
fn nobody_is_allowed_past_the_line() {
    let mut at = At::new(10.0, 2);
    at.allows(0, 1, true);
    let line = at.at(0).join(2);
    at.allows(0, 1, false);
    assert_eq!(at.at(1).serve(&line), Ok(()));
    at.bucket.leave(&line);
    at.allows(1, 1, false);
    at.allows(2, 1, true);
}

#[test]
fn one_that_wants_more_than_a_burst_made_less_is_served_by_a_full_bucket() {
    let mut at = At::new(10.0, 4);
    at.allows(0, 4, true);
    let line = at.at(0).join(4);
    at.at(0).set_burst(2);
    let due = at.at(0).serve(&line).unwrap_err().unwrap();
    at.is_due(due, 2);
    assert_eq!(at.at(2).serve(&line), Ok(()));
    at.bucket.leave(&line);
    // What it took beyond is owed.
    at.books(2, 1, 5);
}

#[test]
fn a_limit_of_zero_says_no_time() {
    let mut at = At::new(0.0, 1);
    at.allows(0, 1, true);
    assert!(at.at(1).book(1).is_none());
    let line = at.at(1).join(1);
    assert_eq!(at.at(100).serve(&line), Err(None));
    at.bucket.limit = Limit::per_second(10.0);
    let due = at.at(100).serve(&line).unwrap_err().unwrap();
    at.is_due(due, 101);
}
