//! Task ids: unique in the process, given out in blocks so that a spawn touches no shared counter.
#![forbid(unsafe_code)]

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The id of a task. Unique among all tasks of the process, and never used again.
///
/// Ids grow within a worker but are not in the order of spawning across workers.
///
/// ```
/// # runtime::block_on(async {
/// let a = runtime::spawn(async { runtime::task::id() });
/// let id = a.id();
/// assert_eq!(a.await.unwrap(), Some(id));
/// # });
/// ```
///
/// **Go:** the number in `goroutine 7 [running]`; Go hides it from programs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    /// The id that is this number.
    pub(crate) fn from_u64(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The id as a number.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(async {});
    /// assert!(task.id().as_u64() > 0);
    /// # });
    /// ```
    ///
    /// **Go:** the number behind `goroutine` in a traceback.
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

/// Ids taken from the shared counter at once: 16 as Go does, times 16, since a spawn here costs a
/// tenth.
const BLOCK: u64 = 256;

static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

/// A worker's current block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdBlock {
    next: u64,
    end: u64,
}

impl IdBlock {
    pub(crate) const fn new() -> Self {
        Self { next: 0, end: 0 }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Id {
        if self.next == self.end {
            // Relaxed: only uniqueness matters.
            self.next = NEXT_BLOCK.fetch_add(BLOCK, Relaxed);
            self.end = self.next + BLOCK;
        }
        let id = self.next;
        self.next += 1;
        Id(NonZeroU64::new(id).expect("ids start at 1"))
    }
}
