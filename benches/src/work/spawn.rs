//! Starting tasks and waiting for them: flat, and as a tree (skynet).
#![forbid(unsafe_code)]

use crate::chan::Chan;
use crate::meter::{Meter, Sample};
use crate::rt::{Rt, WaitGroup};

/// One task spawns `n` tasks that count down a WaitGroup, and waits.
pub(crate) async fn spawn_join<R: Rt>(n: usize) -> Sample {
    let meter = Meter::start();
    let group = R::WaitGroup::of(n);
    for _ in 0..n {
        let group = group.clone();
        R::detach(async move { group.done() });
    }
    group.wait().await;
    meter.stop(n)
}

/// The same, keeping all handles and awaiting each.
pub(crate) async fn spawn_join_handles<R: Rt>(n: usize) -> Sample {
    let meter = Meter::start();
    let mut handles = Vec::with_capacity(n);
    for i in 0..n {
        handles.push(R::spawn(async move { i }));
    }
    let mut sum = 0;
    for handle in handles {
        sum += handle.await;
    }
    assert_eq!(sum, n * (n - 1) / 2);
    meter.stop(n)
}

/// Ten children each, down to `leaves` leaves, which send their number; nodes sum ten messages from
/// a channel of capacity 10.
pub(crate) async fn skynet<R: Rt, C: Chan>(leaves: usize) -> Sample {
    let meter = Meter::start();
    let (tx, mut rx) = C::bounded(1);
    let leaves = match leaves.checked_ilog10().unwrap_or(0) {
        0..=3 => Tree3::run::<R, C>(tx),
        4 => Tree4::run::<R, C>(tx),
        5 => Tree5::run::<R, C>(tx),
        _ => Tree6::run::<R, C>(tx),
    };
    let sum = C::recv(&mut rx).await;
    assert_eq!(sum, Some(leaves * (leaves - 1) / 2));
    meter.stop(1)
}

/// The same through join handles.
pub(crate) async fn skynet_join<R: Rt>(leaves: usize) -> Sample {
    let meter = Meter::start();
    let (leaves, root) = match leaves.checked_ilog10().unwrap_or(0) {
        0..=3 => Tree3::join::<R>(),
        4 => Tree4::join::<R>(),
        5 => Tree5::join::<R>(),
        _ => Tree6::join::<R>(),
    };
    assert_eq!(root.await, leaves * (leaves - 1) / 2);
    meter.stop(1)
}

type Tree3 = Above<Above<Above<Leaf>>>;
type Tree4 = Above<Tree3>;
type Tree5 = Above<Tree4>;
type Tree6 = Above<Tree5>;

/// One level of the tree. Each level is a type of its own, since an async function that spawns
/// itself would have to be boxed, and the box would be measured too.
trait Level: 'static {
    const LEAVES: usize;

    fn send<R: Rt, C: Chan>(tx: C::Tx, first: usize);

    fn sum<R: Rt>(first: usize) -> R::Join<usize>;

    fn run<R: Rt, C: Chan>(tx: C::Tx) -> usize {
        Self::send::<R, C>(tx, 0);
        Self::LEAVES
    }

    fn join<R: Rt>() -> (usize, R::Join<usize>) {
        (Self::LEAVES, Self::sum::<R>(0))
    }
}

struct Leaf;

struct Above<L>(std::marker::PhantomData<L>);

impl Level for Leaf {
    const LEAVES: usize = 1;

    fn send<R: Rt, C: Chan>(tx: C::Tx, first: usize) {
        R::detach(async move {
            C::send(&tx, first).await;
        });
    }

    fn sum<R: Rt>(first: usize) -> R::Join<usize> {
        R::spawn(async move { first })
    }
}

impl<L: Level> Level for Above<L> {
    const LEAVES: usize = 10 * L::LEAVES;

    fn send<R: Rt, C: Chan>(tx: C::Tx, first: usize) {
        R::detach(async move {
            let (child, mut rx) = C::bounded(10);
            for i in 0..10 {
                L::send::<R, C>(child.clone(), first + i * L::LEAVES);
            }
            let mut sum = 0;
            for _ in 0..10 {
                sum += C::recv(&mut rx).await.expect("ten messages");
            }
            C::send(&tx, sum).await;
        });
    }

    fn sum<R: Rt>(first: usize) -> R::Join<usize> {
        R::spawn(async move {
            let children: [_; 10] = std::array::from_fn(|i| L::sum::<R>(first + i * L::LEAVES));
            let mut sum = 0;
            for child in children {
                sum += child.await;
            }
            sum
        })
    }
}
