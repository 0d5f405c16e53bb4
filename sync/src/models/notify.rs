//! `Notify`: one call, one waiter; a call for all, all of them.
//!
//! Killed by: a permit that is left or taken relaxed, a round that is counted or looked at relaxed,
//! and a call that does nothing where there is a permit already. Not killed by `notify_one` without
//! its acquire half: calls that follow each other are one release sequence.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{block_on, poll_once};
use crate::notify::Notify;

#[test]
fn each_call_wakes_one_or_is_kept() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let waiter = {
            let notify = notify.clone();
            thread::spawn(move || block_on(notify.notified()))
        };
        notify.notify_one();
        waiter.join().unwrap();
        assert!(
            poll_once(pin!(notify.notified())).is_pending(),
            "one was made of it, not two"
        );
    });
}

#[test]
fn a_call_for_all_reaches_those_made_before_it() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let (shared, mine) = (notify.clone(), notify.clone());
        let notified = mine.notified();
        let caller = thread::spawn(move || shared.notify_waiters());
        block_on(notified);
        caller.join().unwrap();
    });
}

#[test]
fn one_who_goes_away_passes_the_call_on() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let waiter = {
            let notify = notify.clone();
            thread::spawn(move || block_on(notify.notified()))
        };
        let caller = {
            let notify = notify.clone();
            thread::spawn(move || notify.notify_one())
        };
        let quit_in_vain = {
            let mut notified = pin!(notify.notified());
            poll_once(notified.as_mut()).is_pending()
        };
        if !quit_in_vain {
            notify.notify_one(); // It had taken the one call.
        }
        waiter.join().unwrap();
        caller.join().unwrap();
    });
}

#[test]
fn one_that_is_enabled_is_woken_or_passes_the_call_on() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let quitter = {
            let notify = notify.clone();
            thread::spawn(move || pin!(notify.notified()).enable())
        };
        let caller = {
            let notify = notify.clone();
            thread::spawn(move || notify.notify_one())
        };
        let mut notified = pin!(notify.notified());
        notified.as_mut().enable();
        block_on(notified);
        quitter.join().unwrap();
        caller.join().unwrap();
    });
}

#[test]
fn who_is_notified_sees_what_was_done_before() {
    for call in [Notify::notify_one, Notify::notify_waiters] {
        loom::model(move || {
            let both = Arc::new((Notify::new(), UnsafeCell::new(())));
            let mine = both.clone();
            let notified = mine.0.notified();
            let caller = thread::spawn(move || {
                both.1.with_mut(|_| ());
                call(&both.0);
            });
            block_on(notified);
            mine.1.with(|_| ());
            caller.join().unwrap();
        });
    }
}

/// Two calls may leave one permit: whoever takes it sees what was done before either, or there is
/// another.
#[test]
fn a_permit_that_is_there_already_tells_of_the_second_call_too() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let done = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let caller = |me: usize| {
            let (notify, done) = (notify.clone(), done.clone());
            move || {
                // Relaxed: the notification is to tell of it.
                done[me].store(true, Ordering::Relaxed);
                notify.notify_one();
            }
        };
        let callers = [thread::spawn(caller(0)), thread::spawn(caller(1))];
        while !done.iter().all(|done| done.load(Ordering::Relaxed)) {
            block_on(notify.notified());
        }
        for caller in callers {
            caller.join().unwrap();
        }
    });
}
