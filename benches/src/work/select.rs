//! Select over channels.
#![forbid(unsafe_code)]

use crate::chan::{Arm, Chan};
use crate::meter::{Meter, Sample};
use crate::rt::Rt;

/// One task receives `n` messages by select over two unbuffered channels, with a producer on each.
pub(crate) async fn select2<R: Rt, C: Chan>(n: usize) -> Sample {
    let meter = Meter::start();
    let mut rx: [C::Rx; 2] = std::array::from_fn(|_| produce::<R, C>());
    let consumer = R::spawn(async move {
        for _ in 0..n {
            C::select2(&mut rx).await.expect("producers never stop");
        }
    });
    consumer.await;
    meter.stop(n)
}

/// The same over eight.
pub(crate) async fn select8<R: Rt, C: Chan>(n: usize) -> Sample {
    let meter = Meter::start();
    let mut rx: [C::Rx; 8] = std::array::from_fn(|_| produce::<R, C>());
    let consumer = R::spawn(async move {
        for _ in 0..n {
            C::select8(&mut rx).await.expect("producers never stop");
        }
    });
    consumer.await;
    meter.stop(n)
}

/// Sends until the receiver is gone.
fn produce<R: Rt, C: Chan>() -> C::Rx {
    let (tx, rx) = C::bounded(0);
    R::detach(async move {
        let mut i = 0;
        while C::send(&tx, i).await {
            i += 1;
        }
    });
    rx
}

/// One task selects over a send and a receive arm until each has succeeded `n` times.
pub(crate) async fn select_send<R: Rt, C: Chan>(n: usize) -> Sample {
    let meter = Meter::start();
    let mut rx = produce::<R, C>();
    let (tx, mut drain) = C::bounded(0);
    let consumer = R::spawn(async move {
        let mut next = 0;
        while let Some(v) = C::recv(&mut drain).await {
            assert_eq!(v, next, "an arm that lost has sent its value");
            next += 1;
        }
        next
    });
    let selector = R::spawn(async move {
        let (mut sent, mut received) = (0, 0);
        while sent < n || received < n {
            match C::select_send(&tx, sent, sent < n, &mut rx, received < n).await {
                Arm::Sent(ok) => {
                    assert!(ok, "the consumer is there");
                    sent += 1;
                }
                Arm::Received(v) => {
                    assert_eq!(v, Some(received), "an arm that lost has received a value");
                    received += 1;
                }
            }
        }
    });
    selector.await;
    assert_eq!(consumer.await, n);
    meter.stop(2 * n)
}
