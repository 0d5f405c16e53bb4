//! ⚠ `oneshot`: one value, from one to another.
//!
//! A single word says how far it has come; whoever sets a bit learns from the old word what the other has done, and so what is whose.
//!
//! ```text
//!   …   2        1        0
//! ────┬────────┬────────┬────────┐
//!     │ WAKER  │ CLOSED │ SENT   │
//! ────┴────────┴────────┴────────┘
//! ```
//!
//! Invariants, which the SAFETY comments cite:
//!
//! 1. Before SENT the value is the sender's. After it, it is the receiver's if SENT came before CLOSED, and the sender's if not. Both bits
//!    are set by a read-modify-write and never cleared, so that both sides agree on the order.
//! 2. While WAKER is clear, the waker is the receiver's. While it is set, nobody writes it; the receiver alone sets and clears it. A sender
//!    that finds it set when it sets SENT may look at the waker from then on, and the receiver, which finds SENT, touches it no more.
//!
//! *Rejected*: a channel of capacity 1, which does the same with a lock, a buffer and two queues.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::SendError;
use crate::blocking;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, UnsafeCell};

/// The value is there, or the sender is gone and there will be none.
const SENT: usize = 1;
/// The receiver takes nothing any more.
const CLOSED: usize = 1 << 1;
/// The receiver has left a waker.
const WAKER: usize = 1 << 2;

struct Inner<T> {
    state: AtomicUsize,
    /// See invariant 1.
    value: UnsafeCell<Option<T>>,
    /// See invariant 2.
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the value goes from one thread to another, hence `T: Send`; at each moment it and the waker are one side's (1, 2).
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: as above; nobody gets a `&T`.
unsafe impl<T: Send> Sync for Inner<T> {}

/// A channel for one value.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx) = sync::oneshot::channel();
/// runtime::spawn(async move { tx.send(6 * 7) });
/// assert_eq!(rx.await, Some(42));
/// # });
/// ```
///
/// **Go:** `make(chan T, 1)` for an answer.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let inner = Arc::new(Inner {
        state: AtomicUsize::new(0),
        value: UnsafeCell::new(None),
        waker: UnsafeCell::new(None),
    });
    let sender = Sender {
        inner: Some(inner.clone()),
    };
    let receiver = Receiver {
        inner,
        stage: Stage::Open,
    };
    (sender, receiver)
}

/// Sends the one value. Dropping it instead lets the receiver get `None`.
///
/// ```
/// let (tx, rx): (sync::oneshot::Sender<i32>, _) = sync::oneshot::channel();
/// drop(tx);
/// assert_eq!(rx.blocking_recv(), None);
/// ```
///
/// **Go:** the end of the channel that the answer is sent on.
pub struct Sender<T> {
    /// `None` once sent.
    inner: Option<Arc<Inner<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value; never waits.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone or closed.
    ///
    /// # Memory ordering
    ///
    /// What happened before is visible to the receiver once it has the value.
    ///
    /// ```
    /// let (tx, rx) = sync::oneshot::channel();
    /// drop(rx);
    /// assert_eq!(tx.send(1).unwrap_err().0, 1);
    /// ```
    ///
    /// **Go:** `c <- v` on a channel of capacity 1.
    pub fn send(mut self, value: T) -> Result<(), SendError<T>> {
        let inner = self.inner.take().expect("taken only here and by drop");
        // SAFETY: SENT is not set, so the value is ours (1).
        inner.value.with_mut(|slot| unsafe { *slot = Some(value) });
        if inner.finish() {
            return Ok(());
        }
        // SAFETY: CLOSED came first, so the value is still ours (1).
        let value = inner.value.with_mut(|slot| unsafe { (*slot).take() });
        Err(SendError(value.expect("it was put there just now")))
    }

    /// Whether the receiver is gone or closed, so that nobody would get the value.
    ///
    /// ```
    /// let (tx, rx) = sync::oneshot::channel::<i32>();
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    ///
    /// **Go:** none; a context tells.
    pub fn is_closed(&self) -> bool {
        let closed = |inner: &Arc<Inner<T>>| inner.state.load(Ordering::Acquire) & CLOSED != 0;
        self.inner.as_ref().is_some_and(closed)
    }
}

impl<T> Inner<T> {
    /// The sender is through. Says whether the receiver gets what is there.
    fn finish(&self) -> bool {
        // Release: pairs with the `Acquire` with which the receiver finds SENT. Acquire: with the `Release` with which it left its waker.
        let before = self.state.fetch_or(SENT, Ordering::AcqRel);
        if before & CLOSED != 0 {
            return false;
        }
        if before & WAKER != 0 {
            // SAFETY: WAKER was set when we set SENT, so nobody writes it any more (2).
            self.waker.with(|waker| unsafe {
                if let Some(waker) = &*waker {
                    waker.wake_by_ref();
                }
            });
        }
        true
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            inner.finish();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Receives the one value: a future of it. `None` if the sender was dropped instead.
///
/// # Cancel safety
///
/// Cancel safe: awaiting `&mut receiver` may be given up and done again; the value stays where it is. Dropping the receiver itself closes
/// it.
///
/// # Panics
///
/// Polled after it was ready.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx): (_, sync::oneshot::Receiver<&str>) = sync::oneshot::channel();
/// tx.send("an answer").unwrap();
/// assert_eq!(rx.await, Some("an answer"));
/// # });
/// ```
///
/// **Go:** `v, ok := <-c`.
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    inner: Arc<Inner<T>>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The value may come.
    Open,
    /// Closed before the value came: what comes is the sender's.
    ClosedEmpty,
    /// The outcome has been delivered.
    Done,
}

impl<T> Receiver<T> {
    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`](crate::TryRecvError::Empty) if it may still come, [`Closed`](crate::TryRecvError::Closed) if not.
    ///
    /// ```
    /// let (tx, mut rx) = sync::oneshot::channel();
    /// assert!(rx.try_recv().is_err());
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `select { case v, ok := <-c: default: }`.
    pub fn try_recv(&mut self) -> Result<T, crate::TryRecvError> {
        if self.stage != Stage::Open {
            return Err(crate::TryRecvError::Closed);
        }
        // Acquire: pairs with the `Release` in `finish`.
        if self.inner.state.load(Ordering::Acquire) & SENT == 0 {
            return Err(crate::TryRecvError::Empty);
        }
        self.take().ok_or(crate::TryRecvError::Closed)
    }

    /// Waits for the value, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task, whose worker it would block.
    ///
    /// ```
    /// let (tx, rx) = sync::oneshot::channel();
    /// std::thread::spawn(move || tx.send(1));
    /// assert_eq!(rx.blocking_recv(), Some(1));
    /// ```
    ///
    /// **Go:** `<-c` on a thread of one's own.
    #[track_caller]
    pub fn blocking_recv(self) -> Option<T> {
        blocking::wait(self, "oneshot::Receiver::blocking_recv", "rx.await")
    }

    /// Takes nothing any more: a later `send` fails, a value that was sent before can still be received.
    ///
    /// ```
    /// let (tx, mut rx) = sync::oneshot::channel();
    /// rx.close();
    /// assert!(tx.send(1).is_err());
    /// assert!(rx.try_recv().is_err());
    /// ```
    ///
    /// **Go:** none: there the sender closes.
    pub fn close(&mut self) {
        // AcqRel: Acquire to have the value if it was sent before; Release is not relied on, but costs nothing here.
        let before = self.inner.state.fetch_or(CLOSED, Ordering::AcqRel);
        if before & (SENT | CLOSED) == 0 {
            self.stage = Stage::ClosedEmpty;
        }
    }

    /// SENT has been seen, before CLOSED.
    fn take(&mut self) -> Option<T> {
        self.stage = Stage::Done;
        // SAFETY: SENT came before CLOSED, so the value is ours (1).
        self.inner.value.with_mut(|slot| unsafe { (*slot).take() })
    }

    /// Leaves the waker, unless SENT is there.
    fn register(&self, cx: &Context<'_>) -> bool {
        let inner = &*self.inner;
        // Acquire: pairs with the `Release` in `finish`.
        let state = inner.state.load(Ordering::Acquire);
        if state & SENT != 0 {
            return false;
        }
        if state & WAKER != 0 {
            // SAFETY: nobody writes it while WAKER is set, but for us (2).
            let same = inner.waker.with(|waker| unsafe {
                (*waker)
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(cx.waker()))
            });
            if same {
                return true;
            }
            // Acquire: if SENT is there.
            if inner.state.fetch_and(!WAKER, Ordering::AcqRel) & SENT != 0 {
                return false;
            }
        }
        let fresh = Some(cx.waker().clone());
        // SAFETY: WAKER is clear, so it is ours (2).
        let old = inner
            .waker
            .with_mut(|waker| unsafe { std::mem::replace(&mut *waker, fresh) });
        drop(old);
        // Release: pairs with the `Acquire` in `finish`, which may call it. Acquire: if SENT is there.
        inner.state.fetch_or(WAKER, Ordering::AcqRel) & SENT == 0
    }
}

impl<T> Unpin for Receiver<T> {}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let proceed = ready!(poll_proceed(cx));
        let outcome = match self.stage {
            Stage::Done => panic!("oneshot::Receiver polled after it was ready: await it once"),
            Stage::ClosedEmpty => {
                self.stage = Stage::Done;
                None
            }
            Stage::Open if self.register(cx) => {
                waiting(WaitReason::ChanReceive, Location::caller());
                return Poll::Pending;
            }
            Stage::Open => self.take(),
        };
        proceed.made_progress();
        Poll::Ready(outcome)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.stage == Stage::Open {
            self.close();
            if self.stage == Stage::Open {
                // It was sent, and nobody takes it: it is dropped now, not with the sender.
                drop(self.take());
            }
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
