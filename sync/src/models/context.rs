//! `context`: cancelling against whatever else happens to the tree.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::thread;

use super::{block_on, poll_once};
use crate::context::{Context, ContextError};
use crate::{channel, select};

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

#[test]
fn a_select_that_waits_is_decided_before_cancel_returns() {
    loom::model(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = channel(0);
        let chooser = thread::spawn(move || {
            block_on(async {
                select! {
                    _ = tx.send(1) => false,
                    _ = ctx.done() => true,
                }
            })
        });
        cancel.cancel();
        assert!(rx.try_recv().is_err());
        assert!(chooser.join().unwrap());
    });
}

#[test]
fn a_select_takes_its_context_or_its_channel() {
    loom::model(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = channel(0);
        let chooser = thread::spawn(move || {
            block_on(async {
                select! {
                    got = rx.recv() => got.is_some(),
                    _ = ctx.done() => false,
                }
            })
        });
        let canceller = thread::spawn(move || cancel.cancel());
        let sent = tx.try_send(1).is_ok();
        canceller.join().unwrap();
        assert_eq!(chooser.join().unwrap(), sent);
    });
}

#[test]
fn who_sees_the_error_never_gets_the_default() {
    loom::model(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let canceller = thread::spawn(move || cancel.cancel());
        let ask = || async {
            select! { _ = ctx.done() => true, default => false }
        };
        let early = block_on(ask());
        if ctx.err().is_some() {
            assert!(block_on(ask()));
        }
        canceller.join().unwrap();
        assert!(early || block_on(ask()));
    });
}
