//! `Notify`: one call, one waiter; a call for all, all of them.
//!
//! Not killed by `notify_one` without its acquire half: calls that follow each other are one
//! release sequence.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::sync::Arc;
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
