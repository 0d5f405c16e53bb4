//! The one place that chooses between std's and loom's primitives.
//!
//! Every lock-free protocol of this crate is written against these names, so that `--cfg loom`
//! checks the very code that ships. Capacities that a model can only explore when they are small
//! live here too.

#[cfg(not(loom))]
#[allow(
    unused_imports,
    reason = "for the locks that nobody is in a hurry with"
)]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, atomic};

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, atomic};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

#[cfg(not(loom))]
pub(crate) use crate::bed::Bed;
#[cfg(not(loom))]
pub(crate) use crate::lock::{Held, Lock};
#[cfg(not(loom))]
pub(crate) use std::hint::spin_loop as spin;

#[cfg(loom)]
pub(crate) use self::modelled::{Bed, Held, Lock};
#[cfg(loom)]
pub(crate) use loom::hint::spin_loop as spin;

/// How often a thread looks at a lock before it sleeps: some microseconds, many times what the lock
/// is ever held by a running thread.
#[cfg(not(loom))]
pub(crate) const LOCK_SPINS: u32 = 100;

/// So few that a model gets to the sleep.
#[cfg(loom)]
pub(crate) const LOCK_SPINS: u32 = 1;

/// How often a mutex is freed with nobody waiting for it before its unlock becomes a plain store,
/// and how often a readers-writer lock is read with no writer about before its readers are no
/// longer counted: so often that the barrier which takes it back, some microseconds, is nothing
/// beside that.
#[cfg(not(loom))]
pub(crate) const PATIENCE: u32 = 1_000;

/// At once, so that models have both kinds of unlock.
#[cfg(loom)]
pub(crate) const PATIENCE: u32 = 1;

/// How many light locks a thread can read at once: as many as a cache line has room for.
#[cfg(not(loom))]
pub(crate) const LIGHT_SLOTS: usize = 16;

/// So few that in a model locks use a slot one after the other.
#[cfg(loom)]
pub(crate) const LIGHT_SLOTS: usize = 1;

/// Stores what replaces all that is there, and all that others have put there by an exchange.
///
/// Under loom it is an exchange itself: loom may put a plain store before an exchange of another
/// thread which has read what the store replaces, and that no order of modification allows.
#[cfg(not(loom))]
macro_rules! overwrite {
    ($atomic:expr, $value:expr, $ordering:expr) => {
        $atomic.store($value, $ordering)
    };
}

#[cfg(loom)]
macro_rules! overwrite {
    ($atomic:expr, $value:expr, $ordering:expr) => {
        _ = $atomic.swap($value, $ordering)
    };
}

/// A lock that blocks in loom's own way, for all models but that of [`crate::lock`], since each
/// round of waiting there is another interleaving; and the bed for the latter.
#[cfg(loom)]
mod modelled {
    pub(crate) type Held<'a> = loom::sync::MutexGuard<'a, ()>;

    #[derive(Debug)]
    pub(crate) struct Lock(loom::sync::Mutex<()>);

    impl Lock {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Mutex::new(()))
        }

        pub(crate) fn hold(&self) -> Held<'_> {
            self.0.lock().unwrap()
        }
    }

    /// A nap may end at any moment, so that no model can rely on being woken.
    pub(crate) struct Bed;

    impl Bed {
        pub(crate) fn of<T>(_: &T) -> Self {
            Self
        }

        pub(crate) fn lie_down(self) -> Self {
            self
        }

        pub(crate) fn nap(self) -> Self {
            loom::thread::yield_now();
            self
        }

        pub(crate) fn wake_all(&self) {}
    }
}

/// A `const fn`, but for loom, whose primitives are made at run time.
#[cfg(not(loom))]
macro_rules! constant {
    ($($function:tt)*) => { $($function)* };
}

/// A `const fn` without its `const`.
#[cfg(loom)]
macro_rules! constant {
    ($(#[$meta:meta])* $vis:vis const fn $($function:tt)*) => {
        $(#[$meta])* $vis fn $($function)*
    };
}

/// Since when a waiter waits for a lock.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since(runtime::time::Instant);

#[cfg(not(loom))]
impl Since {
    pub(crate) fn now() -> Self {
        // The runtime's clock: where it is paused, nothing depends on how fast the machine is.
        Self(runtime::time::Instant::now())
    }

    /// Whether it has waited so long that it is to be served before all others. The limit is Go's:
    /// long against a critical section, short against what people notice.
    pub(crate) fn is_long_ago(self) -> bool {
        self.0.elapsed() > std::time::Duration::from_millis(1)
    }
}

/// A model has no clock: there every wait is a long one, so that the hand-over is explored as soon
/// as somebody loses.
#[cfg(loom)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since;

#[cfg(loom)]
impl Since {
    pub(crate) fn now() -> Self {
        Self
    }

    pub(crate) fn is_long_ago(self) -> bool {
        true
    }
}

/// How many wakers are collected under one lock: enough that the lock is rare, few enough that they
/// (16 bytes each) are nothing on a stack. Tokio takes 32, too.
#[cfg(not(loom))]
pub(crate) const WAKE_BATCH: usize = 32;

/// So few that a model sees more than one batch.
#[cfg(loom)]
pub(crate) const WAKE_BATCH: usize = 2;

/// After how many operations a shard of a pool gives back some of what lay untouched all the time.
/// A guess: rare enough to cost nothing, and after some thousand operations a burst is forgotten.
#[cfg(not(loom))]
pub(crate) const POOL_WINDOW: u32 = 256;

/// So few that a model sees the end of one.
#[cfg(loom)]
pub(crate) const POOL_WINDOW: u32 = 2;

/// How many shards a pool has, a power of two: as many as threads can run at once, or a few more.
#[cfg(not(loom))]
pub(crate) fn pool_shards() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get().next_power_of_two())
}

/// Two threads are as many as a model of a pool has.
#[cfg(loom)]
pub(crate) fn pool_shards() -> usize {
    2
}

/// Whether a select looks at its arms in random order. A model must run the same way twice.
pub(crate) const RANDOM_ORDER: bool = cfg!(not(loom));

/// `std::cell::UnsafeCell` with loom's access methods, which name reads and writes so that a model
/// can check them.
#[cfg(not(loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Reads through a shared pointer; the caller makes sure that nobody writes meanwhile.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Writes through a unique pointer; the caller makes sure that nobody else looks meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Part of what is freed by hand, so that a model fails where it is not.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Tracked;

#[cfg(not(loom))]
impl Tracked {
    pub(crate) const fn new() -> Self {
        Self
    }
}

/// As above.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Tracked(
    #[expect(dead_code, reason = "what counts is when it is dropped")] loom::alloc::Track<()>,
);

#[cfg(loom)]
impl Tracked {
    pub(crate) fn new() -> Self {
        Self(loom::alloc::Track::new(()))
    }
}
