//! `context`: cancelling against whatever else happens to the tree.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::thread;

use super::{block_on, poll_once};
use crate::context::{Context, ContextError};

#[test]
fn who_waits_is_woken_and_sees_the_cause() {
    loom::model(|| {
        let (ctx, cancel) = Context::background().with_cancel_cause();
        let (child, _c) = ctx.with_cancel();
        let waiter = thread::spawn(move || {
            assert_eq!(block_on(child.done()), ContextError::Canceled);
            assert_eq!(child.cause().unwrap().to_string(), "why");
        });
        cancel.cancel("why");
        waiter.join().unwrap();
    });
}

#[test]
fn a_child_made_meanwhile_ends_too() {
    loom::model(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let maker = thread::spawn(move || {
            let (child, keep) = ctx.with_cancel();
            keep.keep();
            block_on(child.done());
        });
        cancel.cancel();
        maker.join().unwrap();
    });
}

#[test]
fn two_cancellers_both_find_all_done() {
    loom::model(|| {
        let (root, cancel) = Context::background().with_cancel();
        let (child, end_child) = root.with_cancel();
        let theirs = child.clone();
        let other = thread::spawn(move || {
            end_child.cancel();
            assert!(theirs.is_done());
        });
        cancel.cancel();
        assert!(child.is_done());
        other.join().unwrap();
        assert!(poll_once(pin!(root.done())).is_ready());
    });
}

#[test]
fn a_child_that_is_dropped_meanwhile_is_left_out() {
    loom::model(|| {
        let (root, cancel) = Context::background().with_cancel();
        let (child, keep) = root.with_cancel();
        keep.keep();
        let dropper = thread::spawn(move || drop(child));
        cancel.cancel();
        dropper.join().unwrap();
    });
}
