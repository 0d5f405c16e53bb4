//! Why a task waits, in Go's words, and where.
//!
//! A leaf future calls [`waiting`] each time it is about to return `Pending`: two relaxed stores
//! into the task it runs in. The dump, the deadlock report and the leak check are read off that.
//!
//! The note holds for the poll that it was made in: each poll starts with an empty one, so that a
//! task which now waits in a future that tells nothing is not said to wait for what it waited for
//! before. It costs one store into a line that the poll writes anyway. The stamp is the coarse
//! clock's, so no task ever reads the clock for it.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::latency::Stamp;
use super::place::Place;
use crate::time::clock;

/// What a parked task waits for, in the words of a Go traceback.
///
/// ```
/// use runtime::task::WaitReason;
///
/// assert_eq!(WaitReason::ChanReceive.to_string(), "chan receive");
/// ```
///
/// **Go:** `waitReason`, as a traceback shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[repr(u8)]
pub enum WaitReason {
    /// Nothing known: a future of somebody else's, or the task has not waited yet.
    #[default]
    Unknown = 0,
    /// A receive on a channel.
    ChanReceive,
    /// A send on a channel.
    ChanSend,
    /// A receive on a channel that is never ready ([`never`](https://docs.rs/weftline-sync)).
    ChanReceiveNil,
    /// A `select!`.
    Select,
    /// A `select!` without a live arm.
    SelectNoCases,
    /// A sleep, or another timer.
    Sleep,
    /// A socket or another descriptor.
    IoWait,
    /// `WaitGroup::wait`.
    WaitGroupWait,
    /// `Mutex::lock`.
    MutexLock,
    /// `RwLock::read`.
    RwLockRead,
    /// `RwLock::write`.
    RwLockWrite,
    /// `Cond::wait`.
    CondWait,
    /// `Semaphore::acquire`.
    SemAcquire,
    /// The end of another task.
    Join,
    /// A context's `done`.
    ContextDone,
    /// `Notify::notified`.
    Notify,
    /// A signal of the operating system.
    SignalWait,
    /// That no other task can run: `time::settle`.
    Settle,
    /// `Once::call`, or a `OnceCell`: another makes it.
    OnceDo,
    /// `Barrier::wait`.
    BarrierWait,
    /// A call that another makes: `singleflight`.
    SingleFlight,
    /// A new value of a `watch`.
    WatchChanged,
}

impl WaitReason {
    /// The words, as Go prints them.
    ///
    /// ```
    /// use runtime::task::WaitReason;
    ///
    /// assert_eq!(WaitReason::WaitGroupWait.as_str(), "sync.WaitGroup.Wait");
    /// ```
    ///
    /// **Go:** the same words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "waiting",
            Self::ChanReceive => "chan receive",
            Self::ChanSend => "chan send",
            Self::ChanReceiveNil => "chan receive (nil chan)",
            Self::Select => "select",
            Self::SelectNoCases => "select (no cases)",
            Self::Sleep => "sleep",
            Self::IoWait => "IO wait",
            Self::WaitGroupWait => "sync.WaitGroup.Wait",
            Self::MutexLock => "sync.Mutex.Lock",
            Self::RwLockRead => "sync.RWMutex.RLock",
            Self::RwLockWrite => "sync.RWMutex.Lock",
            Self::CondWait => "sync.Cond.Wait",
            Self::SemAcquire => "semacquire",
            Self::Join => "join",
            Self::ContextDone => "context done",
            Self::Notify => "notify",
            Self::SignalWait => "signal wait",
            Self::Settle => "synctest.Wait",
            Self::OnceDo => "sync.Once.Do",
            Self::BarrierWait => "sync.Barrier.Wait",
            Self::SingleFlight => "singleflight.Group.Do",
            Self::WatchChanged => "watch.Receiver.Changed",
        }
    }
}

impl WaitReason {
    /// All of them, in the order of their numbers.
    const ALL: [Self; 23] = [
        Self::Unknown,
        Self::ChanReceive,
        Self::ChanSend,
        Self::ChanReceiveNil,
        Self::Select,
        Self::SelectNoCases,
        Self::Sleep,
        Self::IoWait,
        Self::WaitGroupWait,
        Self::MutexLock,
        Self::RwLockRead,
        Self::RwLockWrite,
        Self::CondWait,
        Self::SemAcquire,
        Self::Join,
        Self::ContextDone,
        Self::Notify,
        Self::SignalWait,
        Self::Settle,
        Self::OnceDo,
        Self::BarrierWait,
        Self::SingleFlight,
        Self::WatchChanged,
    ];
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Notes why the current task is about to wait, and where; outside a task it does nothing.
///
/// For authors of leaf futures: call it just before returning `Pending`.
///
/// ```
/// use runtime::task::{WaitReason, waiting};
/// use std::panic::Location;
/// use std::task::{Context, Poll, Waker};
///
/// #[track_caller]
/// fn poll_bell(rung: bool, waker: &mut Option<Waker>, cx: &mut Context<'_>) -> Poll<()> {
///     if rung {
///         return Poll::Ready(());
///     }
///     *waker = Some(cx.waker().clone());
///     waiting(WaitReason::Notify, Location::caller());
///     Poll::Pending
/// }
/// # let _ = poll_bell;
/// ```
///
/// **Go:** the `waitReason` given to `gopark`.
#[inline]
pub fn waiting(reason: WaitReason, place: &'static Location<'static>) {
    crate::scheduler::current::note_waiting(reason, place);
}

/// What a task, or a thread inside `block_on`, has noted about its wait. Written by itself, read by
/// anybody; Relaxed throughout, since the task's state word, or the sleeper's count, is what orders
/// it.
#[derive(Debug)]
pub(crate) struct WaitNote {
    /// The reason in the lowest byte, the coarse time above it; 0: nothing was noted in this poll.
    what: AtomicU64,
    /// Valid only where `what` is not 0.
    place: Place,
}

/// A copy of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) reason: WaitReason,
    pub(crate) place: &'static Location<'static>,
    /// A reading of the coarse clock; 0: unknown.
    pub(crate) since: u64,
}

impl WaitNote {
    pub(crate) const fn new() -> Self {
        Self {
            what: AtomicU64::new(0),
            place: Place::unknown(),
        }
    }

    #[inline]
    pub(crate) fn set(&self, reason: WaitReason, place: &'static Location<'static>) {
        self.place.set(place);
        self.what
            .store(clock::coarse() << 8 | reason as u64, Relaxed);
    }

    /// A new poll begins.
    #[inline]
    pub(crate) fn clear(&self) {
        self.what.store(0, Relaxed);
    }

    /// The task is being queued: until it is polled, the note holds a stamp. The dump does not look
    /// at notes of queued tasks; where it races with this it may see a wrong time.
    pub(super) fn set_stamp(&self, stamp: Stamp) {
        let reason = self.what.load(Relaxed) & 0xff;
        self.what.store(stamp.into_raw() | reason, Relaxed);
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::from_raw(self.what.load(Relaxed))
    }

    /// `None`: nothing was noted in this poll.
    pub(crate) fn get(&self) -> Option<Noted> {
        let what = self.what.load(Relaxed);
        let reason = *WaitReason::ALL.get((what & 0xff) as usize)?;
        if what == 0 {
            return None;
        }
        Some(Noted {
            reason,
            place: self.place.get()?,
            since: what >> 8,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_reason_comes_back_out_of_a_note() {
        for (number, reason) in WaitReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            let note = WaitNote::new();
            clock::advance_coarse(clock::real());
            let place = Location::caller();
            note.set(reason, place);
            let noted = note.get().unwrap();
            assert_eq!((noted.reason, noted.place), (reason, place));
            note.clear();
            assert_eq!(note.get(), None);
        }
    }
}
