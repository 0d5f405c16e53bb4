//! Values that are handed over, published, or made once; contexts that end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use sync::broadcast::{self, RecvError};
use sync::context::Context;
use sync::{Once, OnceCell, oneshot, watch};

use crate::explore::{Scene, explore};
use crate::{Back, Log};

#[test]
fn oneshot_receiver() {
    explore("oneshot::Receiver", || {
        let (tx, rx) = oneshot::channel();
        let (outcome, got) = (Log::new(), Log::new());
        let (sent, came) = (outcome.clone(), got.clone());
        Scene::new(async move { got.note(rx.await) })
            .act("it is sent", move || outcome.note(tx.send(1).is_ok()))
            .check(move |fate| {
                // What was sent into the void comes back; later than that it goes with the
                // receiver.
                assert!(!fate.ended || came.all() == [Some(1)]);
                assert!(sent.all().len() == 1 && (sent.has(&true) || came.all().is_empty()));
            })
    });
    explore("oneshot::Receiver", || {
        let (tx, rx) = oneshot::channel::<u32>();
        Scene::new(async move { assert_eq!(rx.await, None) }).act("the sender goes", || drop(tx))
    });
}

#[test]
fn oneshot_closed() {
    explore("oneshot::Sender::closed", || {
        let (mut tx, rx) = oneshot::channel::<u32>();
        let tries = Rc::new(Cell::new(0));
        let tried = tries.clone();
        Scene::new(async move {
            tx.closed().await;
            tries.set(1);
            assert!(tx.send(1).is_err());
        })
        .act("the receiver goes", move || drop(rx))
        .check(move |fate| assert_eq!(tried.get() == 1, fate.ended))
    });
}

#[test]
fn watch_changed() {
    explore("watch::Receiver::changed", || {
        let (tx, rx) = watch::channel(0);
        let tx = Rc::new(tx);
        let (mut mine, mut other) = (rx.clone(), rx);
        let (first, second) = (tx.clone(), tx);
        Scene::new(async move {
            assert!(mine.changed().await);
            assert!(*mine.borrow_and_update() > 0);
        })
        .join("another one", async move {
            while *other.borrow_and_update() < 2 {
                assert!(other.changed().await);
            }
        })
        .act("it changes", move || first.replace(1))
        .act("it changes again", move || second.replace(2))
    });
}

#[test]
fn watch_wait_for() {
    explore("watch::Receiver::wait_for", || {
        let (tx, rx) = watch::channel(0);
        let tx = Rc::new(tx);
        let (mut mine, mut other) = (rx.clone(), rx);
        let (first, second) = (tx.clone(), tx);
        Scene::new(async move { assert!(mine.wait_for(|&value| value == 2).await) })
            .join("another one", async move {
                assert!(other.wait_for(|&value| value > 0).await);
            })
            .act("it changes", move || first.replace(1))
            .act("it changes again", move || second.replace(2))
    });
    explore("watch::Receiver::wait_for", || {
        let (tx, mut rx) = watch::channel(0);
        Scene::new(async move { assert!(!rx.wait_for(|&value| value == 2).await) })
            .act("the sender goes", move || drop(tx))
    });
}

#[test]
fn watch_closed() {
    explore("watch::Sender::closed", || {
        let (tx, rx) = watch::channel(0);
        let (tx, other) = (Rc::new(tx), rx.clone());
        let late = tx.clone();
        Scene::new(async move { tx.closed().await })
            .join("another one", async move { late.closed().await })
            .act("a receiver goes", move || drop(rx))
            .act("the last one goes", move || drop(other))
    });
}

/// The one who gives up has his messages still.
#[test]
fn broadcast_recv() {
    for capacity in [1, 4] {
        explore("broadcast::Receiver::recv", || {
            let (tx, rx) = broadcast::channel(capacity);
            let tx = Rc::new(tx);
            let rx = Rc::new(RefCell::new(Some(rx)));
            let mut other = tx.subscribe();
            let (first, second, last) = (tx.clone(), tx.clone(), tx);
            let (got, left) = (Log::new(), rx.clone());
            let all = got.clone();
            Scene::new(async move {
                let mut mine = Back::take(&rx);
                let received = mine.get().recv().await;
                got.note(received);
            })
            .join("another one", async move {
                loop {
                    match other.recv().await {
                        Ok(2) => break,
                        Ok(_) => {}
                        Err(RecvError::Lagged(n)) => assert!(capacity == 1 && n == 1),
                        Err(RecvError::Closed) => panic!("not yet"),
                    }
                }
            })
            .act("one is sent", move || first.send(1))
            .act("another is sent", move || second.send(2))
            .check(move |_| {
                drop(last);
                let mut left = left.take().unwrap();
                let mut seen: u64 = 0;
                for received in all.all() {
                    match received {
                        Ok(_) => seen += 1,
                        Err(RecvError::Lagged(n)) => seen += n,
                        Err(RecvError::Closed) => panic!("not yet"),
                    }
                }
                loop {
                    match left.try_recv() {
                        Ok(_) => seen += 1,
                        Err(broadcast::TryRecvError::Lagged(n)) => seen += n,
                        Err(_) => break,
                    }
                }
                assert_eq!(seen, 2, "{all:?}");
            })
        });
    }
}

#[test]
fn broadcast_stream() {
    use std::future::poll_fn;
    use std::pin::Pin;

    use futures_core::Stream;

    explore("broadcast::Receiver as a Stream", || {
        let (tx, mut rx) = broadcast::channel(4);
        let mut other = tx.subscribe();
        Scene::new(async move {
            let next = poll_fn(|cx| Pin::new(&mut rx).poll_next(cx));
            assert_eq!(next.await, Some(Ok(1)));
        })
        .join("another one", async move {
            assert_eq!(
                poll_fn(|cx| Pin::new(&mut other).poll_next(cx)).await,
                Some(Ok(1))
            );
        })
        .act("one is sent", move || tx.send(1))
    });
}

#[test]
fn broadcast_closed() {
    explore("broadcast::Sender::closed", || {
        let (tx, rx) = broadcast::channel::<u32>(1);
        let late = tx.clone();
        Scene::new(async move { tx.closed().await })
            .join("another one", async move { late.closed().await })
            .act("the receiver goes", move || drop(rx))
    });
}

/// Yields once, so that somebody else may come, or give it up.
async fn in_two_steps() {
    let mut first = true;
    std::future::poll_fn(|cx| {
        if std::mem::take(&mut first) {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(())
    })
    .await;
}

/// The one who makes it may give up half-way: the next makes it.
#[test]
fn once_cell() {
    async fn makes(cell: Rc<OnceCell<u32>>, what: u32) {
        let value = cell.get_or_init(async || {
            in_two_steps().await;
            what
        });
        let value = *value.await;
        assert_eq!(cell.get(), Some(&value));
    }
    explore("OnceCell::get_or_init", || {
        let cell = Rc::new(OnceCell::new());
        Scene::new(makes(cell.clone(), 1))
            .join("a second", makes(cell.clone(), 2))
            .join("a third", makes(cell.clone(), 3))
            .check(move |_| assert!(cell.get().is_some()))
    });
    async fn tries(cell: Rc<OnceCell<u32>>, what: Result<u32, ()>) {
        let made = cell.get_or_try_init(async || {
            in_two_steps().await;
            what
        });
        assert!(what.is_err() || made.await.is_ok());
    }
    explore("OnceCell::get_or_try_init", || {
        let cell = Rc::new(OnceCell::new());
        Scene::new(tries(cell.clone(), Err(())))
            .join("a second", tries(cell.clone(), Ok(2)))
            .join("a third", tries(cell.clone(), Ok(3)))
            .check(move |_| assert!(cell.get().is_some()))
    });
}

#[test]
fn once() {
    async fn calls(once: Rc<(Once, Cell<u32>)>) {
        let call = once.0.call(async || {
            in_two_steps().await;
            once.1.set(once.1.get() + 1);
        });
        call.await;
        assert!(once.0.is_done());
    }
    explore("Once::call", || {
        let once = Rc::new((Once::new(), Cell::new(0)));
        Scene::new(calls(once.clone()))
            .join("a second", calls(once.clone()))
            .join("a third", calls(once.clone()))
            .check(move |_| assert_eq!(once.1.get(), 1))
    });
}

#[test]
fn context_done() {
    explore("Context::done", || {
        let (parent, cancel) = Context::background().with_cancel();
        let (child, keep) = parent.with_cancel();
        let other = child.clone();
        Scene::new(async move {
            let _ = child.done().await;
            drop(keep);
        })
        .join("another one", async move {
            other.done().await;
        })
        .act("the parent is cancelled", move || cancel.cancel())
    });
    explore("Select::done", || {
        let (ctx, cancel) = Context::background().with_cancel();
        let other = ctx.clone();
        Scene::new(async move {
            let mut list = sync::Select::new();
            list.done(&ctx, |_| ());
            list.done(&ctx, |_| ());
            list.wait().await;
        })
        .join("another one", async move {
            other.done().await;
        })
        .act("it is cancelled", move || cancel.cancel())
    });
}

#[test]
fn context_run() {
    explore("Context::run", || {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = oneshot::channel();
        let dropped = Arc::new(());
        let owned = dropped.clone();
        Scene::new(async move {
            let run = ctx.run(async move {
                let _owned = owned;
                rx.await
            });
            let _ = run.await;
        })
        .act("what runs can end", move || tx.send(1))
        .act("it is cancelled", move || cancel.cancel())
        .check(move |_| assert_eq!(Arc::strong_count(&dropped), 1))
    });
}
