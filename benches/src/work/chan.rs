//! Messages through one channel, and the prime sieve.
#![forbid(unsafe_code)]

use crate::chan::Chan;
use crate::gate::Gate;
use crate::meter::{Meter, Sample};
use crate::rt::Rt;

/// One sender, one receiver, `n` messages.
pub(crate) async fn spsc<R: Rt, C: Chan>(capacity: usize, n: usize) -> Sample {
    let meter = Meter::start();
    let (tx, mut rx) = C::bounded(capacity);
    R::detach(async move {
        for i in 0..n {
            C::send(&tx, i).await;
        }
    });
    let receiver = R::spawn(async move {
        let mut count = 0;
        while C::recv(&mut rx).await.is_some() {
            count += 1;
        }
        count
    });
    assert_eq!(receiver.await, n);
    meter.stop(n)
}

/// Eight senders, one receiver, `n` messages.
pub(crate) async fn mpsc<R: Rt, C: Chan>(capacity: usize, n: usize) -> Sample {
    let meter = Meter::start();
    let (tx, mut rx) = C::bounded(capacity);
    start_senders::<R, C>(8, n, tx);
    let receiver = R::spawn(async move {
        let mut count = 0;
        while C::recv(&mut rx).await.is_some() {
            count += 1;
        }
        count
    });
    assert_eq!(receiver.await, n / 8 * 8);
    meter.stop(n / 8 * 8)
}

/// Four senders, four receivers, `n` messages, until closed and drained.
pub(crate) async fn mpmc<R: Rt, C: Chan>(capacity: usize, n: usize) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = C::bounded(capacity);
    start_senders::<R, C>(4, n, tx);
    let receivers: [_; 4] = std::array::from_fn(|_| {
        let mut rx = C::clone_rx(&rx);
        R::spawn(async move {
            let mut count = 0;
            while C::recv(&mut rx).await.is_some() {
                count += 1;
            }
            count
        })
    });
    drop(rx);
    let mut count = 0;
    for receiver in receivers {
        count += receiver.await;
    }
    assert_eq!(count, n / 4 * 4);
    meter.stop(count)
}

fn start_senders<R: Rt, C: Chan>(senders: usize, n: usize, tx: C::Tx) {
    for _ in 0..senders {
        let tx = tx.clone();
        R::detach(async move {
            for i in 0..n / senders {
                C::send(&tx, i).await;
            }
        });
    }
}

/// A chain of filter tasks on unbuffered channels, up to the `n`th prime.
pub(crate) async fn sieve<R: Rt, C: Chan>(n: usize) -> Sample {
    let meter = Meter::start();
    let done = Gate::new(1);
    let end = done.clone();
    let (tx, rx) = C::bounded(0);
    R::detach(async move {
        let mut i = 2;
        while C::send(&tx, i).await {
            i += 1;
        }
    });
    R::detach(async move {
        let mut rx = rx;
        let mut prime = 0;
        for _ in 0..n {
            prime = C::recv(&mut rx).await.expect("there is always one more");
            let (tx, next) = C::bounded(0);
            R::detach(filter::<C>(prime, rx, tx));
            rx = next;
        }
        if n == 2000 {
            assert_eq!(prime, 17_389);
        }
        end.done();
    });
    done.wait().await;
    meter.stop(1)
}

async fn filter<C: Chan>(prime: usize, mut rx: C::Rx, tx: C::Tx) {
    while let Some(i) = C::recv(&mut rx).await {
        if i % prime != 0 && !C::send(&tx, i).await {
            break;
        }
    }
}
