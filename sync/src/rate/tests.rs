//! Go's tests of `golang.org/x/time/rate` anew, as far as they are about the arithmetic, at times
//! that they name; and what of ours cannot be seen but with a clock in one's hand.
#![forbid(unsafe_code)]

use std::time::Duration;

use runtime::time::Instant;

use super::Limit;
use super::bucket::{Booking, Bucket, Line};

/// What is done at a time, and what comes of it. Times are told in tenths of a second.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many may go now, or may not.
    Allows(usize, bool),
    /// So many are reserved for a time, or never.
    Books(usize, Option<u64>),
    /// The reservation with this number, from zero.
    Cancels(usize),
    Sets(f64),
    Burst(usize),
    /// One gets in line for so many.
    Joins(usize),
    /// The one with this number is served now and leaves, or is to ask again at a time, or when the
    /// limit changes.
    Serves(usize, Result<(), Option<u64>>),
    /// The one with this number goes away.
    Leaves(usize),
}
use Step::*;

/// What holds, the limit, the burst, and what is done when.
type Row = (&'static str, f64, usize, &'static [(u64, Step)]);

/// A bucket and its beginning.
struct Played {
    bucket: Bucket,
    start: Instant,
    bookings: Vec<Booking>,
    lines: Vec<Line>,
}

impl Played {
    fn step(&mut self, tenths: u64, step: Step) -> Result<(), String> {
        let now = self.time(tenths);
        self.bucket.advance(now);
        match step {
            Allows(n, allowed) if self.bucket.take(n) == allowed => Ok(()),
            Allows(_, allowed) => Err(format!("allowed: {}", !allowed)),
            Books(n, due) => {
                let booking = self.bucket.book(n);
                self.bookings.extend(booking);
                self.is_at(booking.map(|booking| booking.due), due)
            }
            Cancels(number) => {
                let booking = self.bookings[number];
                let _moves_up = self.bucket.cancel(&booking);
                Ok(())
            }
            Sets(limit) => {
                self.bucket.limit = Limit::per_second(limit);
                Ok(())
            }
            Burst(burst) => {
                self.bucket.set_burst(burst);
                Ok(())
            }
            Joins(n) => {
                self.lines.push(self.bucket.join(n));
                Ok(())
            }
            Serves(number, outcome) => match (self.bucket.serve(&self.lines[number]), outcome) {
                (Ok(()), Ok(())) => self.step(tenths, Leaves(number)),
                (Err(due), Err(wanted)) => self.is_at(due, wanted),
                (served, _) => Err(format!("{served:?}")),
            },
            Leaves(number) => {
                self.bucket.leave(&self.lines[number]);
                Ok(())
            }
        }
    }

    fn time(&self, tenths: u64) -> Instant {
        self.start + Duration::from_millis(100 * tenths)
    }

    fn is_at(&self, time: Option<Instant>, tenths: Option<u64>) -> Result<(), String> {
        let wanted = tenths.map(|tenths| self.time(tenths));
        let near = match (time, wanted) {
            (Some(time), Some(wanted)) => {
                let off = time.duration_since(wanted) + wanted.duration_since(time);
                off < Duration::from_micros(1)
            }
            (time, wanted) => time == wanted,
        };
        let after = time.map(|time| time.duration_since(self.start));
        near.then_some(()).ok_or_else(|| format!("{after:?}"))
    }
}

#[track_caller]
fn play(rows: &[Row]) {
    for &(name, limit, burst, steps) in rows {
        let start = Instant::now();
        let mut played = Played {
            bucket: Bucket::new(Limit::per_second(limit), burst, start),
            start,
            bookings: Vec::new(),
            lines: Vec::new(),
        };
        for (number, &(tenths, step)) in steps.iter().enumerate() {
            if let Err(what) = played.step(tenths, step) {
                let bucket = &played.bucket;
                panic!("{name}: step {number}, {step:?} at {tenths}: {what}\n{bucket:?}");
            }
        }
    }
}

const INF: f64 = f64::INFINITY;

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
fn as_many_are_allowed_as_have_come() {
    play(&[
        (
            "a burst of one lets one go at a time",
            10.0,
            1,
            &[
                (0, Allows(1, true)),
                (0, Allows(1, false)),
                (1, Allows(1, true)),
                (1, Allows(1, false)),
                (2, Allows(2, false)), // more than the burst
                (2, Allows(1, true)),
                (2, Allows(1, false)),
            ],
        ),
        (
            "a burst of three is filled again up to three",
            10.0,
            3,
            &[
                (0, Allows(2, true)),
                (0, Allows(2, false)),
                (0, Allows(1, true)),
                (0, Allows(1, false)),
                (1, Allows(4, false)),
                (2, Allows(1, true)),
                (3, Allows(1, true)),
                (4, Allows(1, true)),
                (4, Allows(1, true)),
                (4, Allows(1, false)),
                (9, Allows(3, true)), // two tenths' worth was lost
                (9, Allows(1, false)),
            ],
        ),
        (
            "a clock that lies back brings nothing and takes nothing",
            10.0,
            3,
            &[
                (1, Allows(3, true)),
                (0, Allows(1, false)),
                (1, Allows(1, false)),
                (2, Allows(1, true)),
                (2, Allows(1, false)),
            ],
        ),
        (
            "a limit that no duration divides is not cut off",
            0.769_230_769_230_769_3,
            1,
            &[(0, Allows(1, true))],
        ),
    ]);
}

#[test]
fn reservations_are_due_when_their_tokens_have_come() {
    play(&[
        (
            "they come one after the other",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(2))),
                (3, Books(2, Some(4))),
            ],
        ),
        (
            "more than the burst is refused and costs nothing",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(3, None)),
                (0, Books(2, Some(2))),
            ],
        ),
        (
            "what is reserved is not allowed to others",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(1, Some(1))),
                (1, Allows(1, false)),
                (2, Allows(1, true)),
            ],
        ),
        (
            "a new limit counts for new ones",
            5.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(4))),
                (2, Sets(10.0)),
                (2, Books(1, Some(4))),
            ],
        ),
        (
            "a new burst counts for new ones",
            5.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(4))),
                (3, Burst(4)),
                (3, Books(4, Some(12))),
            ],
        ),
        (
            "with a limit of zero there is no time",
            0.0,
            1,
            &[(0, Allows(1, true)), (1, Books(1, None))],
        ),
    ]);
}

#[test]
fn a_cancelled_reservation_gives_back_what_nobody_counts_on() {
    play(&[
        (
            "the last one in full",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(2))),
                (1, Cancels(1)),
                (1, Books(2, Some(2))),
            ],
        ),
        (
            "one whose time has come nothing",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(2))),
                (3, Cancels(1)),
                (3, Books(2, Some(4))),
            ],
        ),
        (
            "what a later one counts on stays",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(1, Some(1))),
                (0, Books(1, Some(2))),
                (0, Cancels(1)),
                (0, Books(1, Some(3))),
            ],
        ),
        (
            "what no later one counts on comes back",
            10.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(2))),
                (0, Books(1, Some(3))),
                (2, Cancels(1)),
                (2, Books(2, Some(4))),
            ],
        ),
        (
            "several as if the last had never been",
            10.0,
            4,
            &[
                (0, Books(4, Some(0))),
                (0, Books(3, Some(3))),
                (0, Books(1, Some(4))),
                (0, Books(1, Some(5))),
                (1, Cancels(3)),
                (1, Cancels(1)),
                (1, Books(3, Some(5))),
            ],
        ),
        (
            "several from the last on all, at a rate that rounds to nanoseconds",
            30.0 / 7.0,
            3,
            &[
                (0, Books(3, Some(0))),
                (0, Books(3, Some(7))),
                (0, Books(3, Some(14))),
                (0, Books(3, Some(21))),
                (0, Cancels(3)),
                (0, Cancels(2)),
                (0, Cancels(1)),
                (0, Books(3, Some(7))),
            ],
        ),
        (
            "by the limit of its time",
            5.0,
            2,
            &[
                (0, Books(2, Some(0))),
                (0, Books(2, Some(4))),
                (2, Sets(10.0)),
                (2, Cancels(1)),
                (2, Books(2, Some(3))),
            ],
        ),
        (
            "without a limit nothing was taken",
            INF,
            1,
            &[
                (0, Books(1_000, Some(0))),
                (0, Sets(10.0)),
                (0, Allows(1, true)),
                (0, Cancels(0)),
                (0, Allows(1, false)),
            ],
        ),
    ]);
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
fn those_in_line_and_reservations_keep_their_order() {
    play(&[
        (
            "a reservation counts those in line, and they do not count it",
            10.0,
            2,
            &[
                (0, Allows(2, true)),
                (0, Joins(1)),
                (0, Books(2, Some(3))),
                (0, Serves(0, Err(Some(1)))),
                (1, Serves(0, Ok(()))),
                (1, Books(1, Some(4))),
            ],
        ),
        (
            "one in line counts the reservations before it",
            10.0,
            2,
            &[
                (0, Allows(2, true)),
                (0, Books(2, Some(2))),
                (0, Joins(1)),
                (0, Serves(0, Err(Some(3)))),
            ],
        ),
        (
            "who leaves the line owes nothing",
            10.0,
            2,
            &[
                (0, Allows(2, true)),
                (0, Joins(2)),
                (0, Joins(1)),
                (0, Leaves(0)),
                (0, Serves(1, Err(Some(1)))),
            ],
        ),
        (
            // The one in line has been told not to count the reservation: were it given back at
            // once, it would be counted twice.
            "a cancelled reservation serves nobody who was in line before it",
            10.0,
            2,
            &[
                (0, Allows(2, true)),
                (0, Joins(1)),
                (0, Books(2, Some(3))),
                (0, Joins(1)),
                (0, Cancels(0)),
                (0, Serves(0, Err(Some(1)))),
                (1, Serves(0, Ok(()))),
                (1, Serves(1, Err(Some(2)))),
            ],
        ),
        (
            // What rounding leaves of the second is no reason to withhold the first for longer.
            "a refund waits for those before it and for nobody else",
            30.0 / 7.0,
            3,
            &[
                (0, Allows(3, true)),
                (0, Joins(3)),
                (0, Books(3, Some(14))),
                (0, Cancels(0)),
                (0, Joins(3)),
                (0, Books(3, Some(28))),
                (0, Books(3, Some(35))),
                (0, Cancels(1)),
                (7, Serves(0, Ok(()))),
                (7, Serves(1, Err(Some(14)))),
            ],
        ),
        (
            "nobody is allowed past the line",
            10.0,
            2,
            &[
                (0, Allows(1, true)),
                (0, Joins(2)),
                (0, Allows(1, false)),
                (1, Serves(0, Ok(()))),
                (1, Allows(1, false)),
                (2, Allows(1, true)),
            ],
        ),
        (
            "one that wants more than a burst made less is served by a full bucket, and owes the rest",
            10.0,
            4,
            &[
                (0, Allows(4, true)),
                (0, Joins(4)),
                (0, Burst(2)),
                (0, Serves(0, Err(Some(2)))),
                (2, Serves(0, Ok(()))),
                (2, Books(1, Some(5))),
            ],
        ),
        (
            "a limit of zero says no time, until it changes",
            0.0,
            1,
            &[
                (0, Allows(1, true)),
                (1, Joins(1)),
                (100, Serves(0, Err(None))),
                (100, Sets(10.0)),
                (100, Serves(0, Err(Some(101)))),
            ],
        ),
    ]);
}
