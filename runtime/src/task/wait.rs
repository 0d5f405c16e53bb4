//! Why a task waits, in Go's words, and where.
//!
//! A leaf future calls [`waiting`] each time it is about to return `Pending`: two relaxed stores into the task it runs in. The dump,
//! the deadlock report and the leak check are read off that.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;

/// What a parked task waits for, in the words of a Go traceback.
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
    /// Another primitive's notification.
    Notify,
}

impl WaitReason {
    /// The words, as Go prints them.
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
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Notes why the current task is about to wait, and where; outside a task it does nothing.
///
/// For authors of leaf futures: call it just before returning `Pending`.
#[inline]
pub fn waiting(reason: WaitReason, place: &'static Location<'static>) {
    crate::scheduler::current::note_waiting(reason, place);
}
