//! Putting a sleep off, or bringing it forward.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use runtime::time::{self, Instant};

use crate::common::until;
use crate::{HOUR, MICROSECOND, MILLISECOND, each_size, poll_once};

#[test]
fn a_reset_to_an_earlier_time_takes_effect() {
    each_size("a_reset_to_an_earlier_time_takes_effect", || async {
        for _ in 0..100 {
            let mut sleep = pin!(time::sleep(HOUR));
            assert!(poll_once(sleep.as_mut()).await.is_pending());
            let deadline = Instant::now() + 100 * MICROSECOND;
            sleep.as_mut().reset(deadline);
            assert_eq!(sleep.deadline(), deadline);
            sleep.await;
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn a_reset_to_a_later_time_takes_effect() {
    each_size("a_reset_to_a_later_time_takes_effect", || async {
        for i in 0..100 {
            let mut sleep = pin!(time::sleep(i * 10 * MICROSECOND));
            let _ = poll_once(sleep.as_mut()).await;
            let deadline = Instant::now() + MILLISECOND;
            sleep.as_mut().reset(deadline);
            sleep.await;
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn a_waiting_task_is_woken_at_the_new_time_though_it_did_not_poll_again() {
    each_size(
        "a_waiting_task_is_woken_at_the_new_time_though_it_did_not_poll_again",
        || async {
            let mut sleep = pin!(time::sleep(HOUR));
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                if polls > 1 {
                    return sleep.as_mut().poll(cx);
                }
                assert!(sleep.as_mut().poll(cx).is_pending());
                sleep.as_mut().reset(Instant::now() + MILLISECOND);
                Poll::Pending
            })
            .await;
        },
    );
}

#[test]
fn a_sleep_that_has_fired_and_is_reset_before_the_poll_does_not_end_early() {
    each_size(
        "a_sleep_that_has_fired_and_is_reset_before_the_poll_does_not_end_early",
        || async {
            for _ in 0..20 {
                let first = Instant::now() + 200 * MICROSECOND;
                let mut sleep = pin!(time::sleep_until(first));
                let _ = poll_once(sleep.as_mut()).await;
                // Well past its deadline and its tick, so that somebody has fired it.
                until(|| Instant::now() >= first + MILLISECOND).await;
                let second = Instant::now() + 2 * MILLISECOND;
                sleep.as_mut().reset(second);
                sleep.await;
                assert!(Instant::now() >= second);
            }
        },
    );
}
