//! `Barrier`: a number of tasks wait for each other, again and again.
//!
//! The last to arrive lets the others go and starts the next round. Who goes away while waiting is
//! counted as not having come.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::blocking;
use crate::waiters::{Locked, Ticket, Waiter, Waiters, Withdrawn};

/// Lets a number of tasks go on together, once all have come. It can be used again and again.
///
/// ```
/// use std::sync::Arc;
/// use sync::{Barrier, WaitGroup};
///
/// # runtime::block_on(async {
/// let barrier = Arc::new(Barrier::new(3));
/// let group = WaitGroup::new();
/// for n in 0..3 {
///     let barrier = barrier.clone();
///     group.spawn(async move {
///         println!("{n} is ready");
///         if barrier.wait().await.is_leader() {
///             println!("all are ready"); // printed once, after the three
///         }
///     });
/// }
/// group.wait().await;
/// # });
/// ```
///
/// **Go:** none; two `WaitGroup`s that take turns.
pub struct Barrier {
    size: usize,
    waiters: Waiters<Round, ()>,
}

/// Under the lock of the queue.
struct Round {
    /// How many have come since all last went.
    arrived: usize,
    /// All waiters before this ticket may go, and are being woken.
    released: Ticket,
}

type Arrivals<'a> = Locked<'a, Round, ()>;

impl Barrier {
    constant! {
        /// A barrier for `size` tasks. For zero or one nobody ever waits.
        ///
        /// ```
        /// static START: sync::Barrier = sync::Barrier::new(4);
        /// ```
        ///
        /// **Go:** none.
        pub const fn new(size: usize) -> Self {
            Self {
                size,
                waiters: Waiters::new(Round {
                    arrived: 0,
                    released: Ticket::FIRST,
                }),
            }
        }
    }

    /// Waits until as many are here as the barrier is for. The last to come is told that it is the
    /// leader.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped while it waits, it has not come. Dropped after the last has come, it
    /// has.
    ///
    /// # Memory ordering
    ///
    /// What each did before it came is visible to all who go on.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// assert!(sync::Barrier::new(1).wait().await.is_leader());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait {
            barrier: self,
            waiter: Waiter::new(&self.waiters, ()),
            finished: false,
            place: Location::caller(),
        }
    }

    /// Waits like [`wait`](Self::wait), blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// assert!(sync::Barrier::new(1).blocking_wait().is_leader());
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_wait(&self) -> BarrierResult {
        blocking::wait(self.wait(), "Barrier::blocking_wait", "wait().await")
    }

    /// Counts one who comes: everyone goes, or it is to queue up under the lock that it gets back.
    fn arrive<'a>(&'a self, mut locked: Arrivals<'a>) -> Result<(), Arrivals<'a>> {
        if locked.arrived + 1 < self.size {
            locked.arrived += 1;
            return Err(locked);
        }
        let until = locked.ticket();
        *locked = Round {
            arrived: 0,
            released: until,
        };
        locked.wake_all();
        Ok(())
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What [`Barrier::wait`] tells.
///
/// ```
/// # runtime::block_on(async {
/// let result: sync::BarrierResult = sync::Barrier::new(1).wait().await;
/// assert!(result.is_leader());
/// # });
/// ```
///
/// **Go:** none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierResult {
    leader: bool,
}

impl BarrierResult {
    /// Whether this was the last to come: exactly one in each round.
    ///
    /// ```
    /// assert!(sync::Barrier::new(0).blocking_wait().is_leader());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_leader(self) -> bool {
        self.leader
    }
}

pin_project! {
    /// Future of [`Barrier::wait`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let barrier = sync::Barrier::new(1);
    /// let wait: sync::BarrierWait<'_> = barrier.wait();
    /// wait.await;
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct BarrierWait<'a> {
        barrier: &'a Barrier,
        #[pin]
        waiter: Waiter<'a, Round, ()>,
        finished: bool,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for BarrierWait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.is_waiting() {
                give_up(this.barrier, this.waiter);
            }
        }
    }
}

impl Future for BarrierWait<'_> {
    type Output = BarrierResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierResult> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        assert!(
            !*this.finished,
            "BarrierWait polled after it returned: await it once"
        );
        let leader = if this.waiter.is_idle() {
            let waker = cx.waker().clone();
            match this.barrier.arrive(this.barrier.waiters.lock()) {
                Ok(()) => Poll::Ready(true),
                Err(mut locked) => {
                    this.waiter.as_mut().enqueue(&mut locked, waker);
                    Poll::Pending
                }
            }
        } else {
            this.waiter.poll_notified(cx).map(|()| false)
        };
        match leader {
            Poll::Pending => {
                waiting(WaitReason::BarrierWait, this.place);
                Poll::Pending
            }
            Poll::Ready(leader) => {
                *this.finished = true;
                proceed.made_progress();
                Poll::Ready(BarrierResult { leader })
            }
        }
    }
}

/// Takes back one who waits, unless all may go already.
#[cold]
fn give_up(barrier: &Barrier, waiter: Pin<&mut Waiter<'_, Round, ()>>) {
    let mut locked = barrier.waiters.lock();
    let withdrawn = waiter.withdraw(&mut locked);
    if let Withdrawn::Waiting(ticket, _) = &withdrawn {
        if *ticket >= locked.released {
            locked.arrived -= 1;
        }
    }
    drop(locked);
    drop(withdrawn);
}

impl fmt::Debug for BarrierWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait")
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}
