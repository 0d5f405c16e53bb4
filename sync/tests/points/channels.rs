//! Channels and `select!`: nothing is lost and nothing comes twice, whoever gives up.

use std::rc::Rc;

use sync::context::Context;
use sync::{Receiver, Select, Sender, channel, select};

use crate::Log;
use crate::explore::{Scene, explore};

type Ends = (Sender<u32>, Receiver<u32>);

/// Ends that are not dropped by those who use them: only a close ends such a scene.
fn ends(capacity: usize) -> Rc<Ends> {
    Rc::new(channel(capacity))
}

async fn send(ends: Rc<Ends>, value: u32, sent: Log<u32>) {
    if ends.0.send(value).await.is_ok() {
        sent.note(value);
    }
}

async fn receive(ends: Rc<Ends>, got: Log<u32>) {
    if let Some(value) = ends.1.recv().await {
        got.note(value);
    }
}

/// What is left in the buffer is taken; then what was sent has come, once, and nothing else but
/// what was given up.
fn conserved(ends: &Ends, sent: &Log<u32>, got: &Log<u32>, given_up: u32) {
    while let Ok(value) = ends.1.try_recv() {
        got.note(value);
    }
    for value in sent.all() {
        assert_eq!(got.count(&value), 1, "{value} of {got:?}");
    }
    for value in got.all() {
        assert!(sent.has(&value) || value == given_up, "{value} of {sent:?}");
        assert_eq!(got.count(&value), 1, "{value} of {got:?}");
    }
}

/// Whoever sends in this way is given up, between another sender and two receivers.
fn sender_gives_up<F: Future<Output = ()> + 'static>(
    capacity: usize,
    sends: impl Fn(Rc<Ends>, Log<u32>) -> F,
) -> Scene {
    let (ends, sent, got) = (ends(capacity), Log::new(), Log::new());
    let all = (ends.clone(), sent.clone(), got.clone());
    let closes = ends.clone();
    Scene::new(sends(ends.clone(), sent.clone()))
        .join("a sender", send(ends.clone(), 2, sent.clone()))
        .join("a receiver", receive(ends.clone(), got.clone()))
        .join("a second receiver", receive(ends, got))
        .act("it is closed", move || closes.0.close())
        .check(move |fate| {
            conserved(&all.0, &all.1, &all.2, 1);
            assert!(
                fate.polls > 0 || fate.ended || !all.2.has(&1),
                "before it was polled"
            );
        })
}

fn receiver_gives_up<F: Future<Output = ()> + 'static>(
    capacity: usize,
    receives: impl Fn(Rc<Ends>, Log<u32>) -> F,
) -> Scene {
    let (ends, sent, got) = (ends(capacity), Log::new(), Log::new());
    let all = (ends.clone(), sent.clone(), got.clone());
    let closes = ends.clone();
    Scene::new(receives(ends.clone(), got.clone()))
        .join("a receiver", receive(ends.clone(), got))
        .join("a sender", send(ends.clone(), 2, sent.clone()))
        .join("a second sender", send(ends, 3, sent))
        .act("it is closed", move || closes.0.close())
        .check(move |_| conserved(&all.0, &all.1, &all.2, 0))
}

const CAPACITIES: [usize; 3] = [0, 1, 2];

#[test]
fn sends() {
    for capacity in CAPACITIES {
        explore("send", || {
            sender_gives_up(capacity, |ends, sent| send(ends, 1, sent))
        });
    }
}

#[test]
fn send_from() {
    for capacity in CAPACITIES {
        let sends = |ends: Rc<Ends>, sent: Log<u32>| async move {
            /// Tells whether the value was left behind, also where it is dropped half-way.
            struct Left(Option<u32>, Log<u32>);
            impl Drop for Left {
                fn drop(&mut self) {
                    if self.0.is_none() {
                        self.1.note(1);
                    }
                }
            }
            let mut left = Left(Some(1), sent);
            if let Err(refused) = ends.0.send_from(&mut left.0).await {
                left.0.get_or_insert(refused.into_inner());
            }
        };
        explore("send_from", || sender_gives_up(capacity, sends));
    }
}

#[test]
fn recv() {
    for capacity in CAPACITIES {
        explore("recv", || receiver_gives_up(capacity, receive));
    }
}

#[test]
fn recv_many() {
    for capacity in CAPACITIES {
        let receives = |ends: Rc<Ends>, got: Log<u32>| async move {
            let mut all = Vec::new();
            ends.1.recv_many(&mut all, 2).await;
            all.into_iter().for_each(|value| got.note(value));
        };
        explore("recv_many", || receiver_gives_up(capacity, receives));
    }
}

#[test]
fn stream() {
    use std::future::poll_fn;
    use std::pin::Pin;

    use futures_core::Stream;

    for capacity in CAPACITIES {
        let receives = |ends: Rc<Ends>, got: Log<u32>| async move {
            let mut stream = ends.1.clone();
            let next = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx));
            if let Some(value) = next.await {
                got.note(value);
            }
        };
        explore("stream", || receiver_gives_up(capacity, receives));
    }
}

#[test]
fn closed() {
    explore("Sender::closed", || {
        let (tx, rx) = channel::<u32>(0);
        let other = tx.clone();
        Scene::new(async move { tx.closed().await })
            .join("another one", async move { other.closed().await })
            .act("the receiver goes", move || drop(rx))
    });
}

#[test]
fn select_sends() {
    for capacity in CAPACITIES {
        let sends = |ends: Rc<Ends>, sent: Log<u32>| async move {
            let nobody = sync::never::<u32>();
            select! {
                ok = ends.0.send(1) => if ok.is_ok() { sent.note(1) },
                _ = nobody.recv() => {},
            }
        };
        explore("select! that sends", || sender_gives_up(capacity, sends));
    }
}

#[test]
fn select_receives() {
    for capacity in CAPACITIES {
        let receives = |ends: Rc<Ends>, got: Log<u32>| async move {
            let nobody = sync::never::<u32>();
            select! {
                value = ends.1.recv() => if let Some(value) = value { got.note(value) },
                _ = nobody.recv() => {},
            }
        };
        explore("select! that receives", || {
            receiver_gives_up(capacity, receives)
        });
    }
}

/// Both arms may be met at the same time, by two others.
#[test]
fn select_of_two_channels() {
    for capacity in CAPACITIES {
        explore("select! of two channels", || {
            let (a, b) = (ends(capacity), ends(capacity));
            let (sent, got) = (Log::new(), Log::new());
            let theirs = (a.clone(), b.clone(), sent.clone(), got.clone());
            let all = theirs.clone();
            let closes = (a.clone(), b.clone());
            Scene::new(async move {
                let (a, b, sent, got) = theirs;
                select! {
                    value = a.1.recv() => if let Some(value) = value { got.note(value) },
                    ok = b.0.send(1) => if ok.is_ok() { sent.note(1) },
                }
            })
            .join("a sender", send(a, 2, sent))
            .join("a receiver", receive(b, got))
            .act("both are closed", move || {
                closes.0.0.close();
                closes.1.0.close();
            })
            .check(move |_| {
                let (a, b, sent, got) = all;
                while let Ok(value) = a.1.try_recv() {
                    got.note(value);
                }
                conserved(&b, &sent, &got, 1);
            })
        });
    }
}

#[test]
fn select_of_a_list() {
    for capacity in CAPACITIES {
        let receives = |ends: Rc<Ends>, got: Log<u32>| async move {
            let (_cancel, ctx) = (0, Context::background());
            let mut list = Select::new();
            list.recv(&ends.1, |value| value);
            list.done(&ctx, |_| None);
            if let Some(value) = list.wait().await {
                got.note(value);
            }
        };
        explore("Select::wait", || receiver_gives_up(capacity, receives));
        let sends = |ends: Rc<Ends>, sent: Log<u32>| async move {
            let mut list = Select::new();
            list.send(&ends.0, 1, |ok| ok.is_ok());
            list.send(&ends.0, 1, |ok| ok.is_ok());
            if list.wait().await {
                sent.note(1);
            }
        };
        explore("Select::wait", || sender_gives_up(capacity, sends));
    }
}

#[test]
fn try_wait() {
    for capacity in CAPACITIES {
        let receives = |ends: Rc<Ends>, got: Log<u32>| async move {
            let mut list = Select::new();
            list.recv(&ends.1, |value| value);
            if let Some(Some(value)) = list.try_wait().await {
                got.note(value);
            }
        };
        explore("Select::try_wait", || receiver_gives_up(capacity, receives));
    }
}

/// What never ends can be given up.
#[test]
fn forever() {
    let waits = || async {
        let _ = sync::__private::forever().await;
    };
    explore("forever", || Scene::new(waits()).never_ends());
}
