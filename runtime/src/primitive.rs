//! The one place that chooses between std's and loom's primitives.
//!
//! Every lock-free protocol of this crate is written against these names, so that `--cfg loom`
//! checks the very code that ships. Capacities that a model can only explore when they are small
//! live here too.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, atomic},
    thread,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Arc, Condvar, Mutex, MutexGuard, atomic},
    thread,
};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

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

/// A limit of time, for those who wait behind a lock.
#[cfg(not(loom))]
pub(crate) use limit::Limit;

#[cfg(loom)]
pub(crate) use limit_in_models::Limit;

#[cfg(not(loom))]
mod limit {
    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    use super::{Condvar, MutexGuard};

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Limit(Option<Instant>);

    impl Limit {
        /// From now on; `None`: there is none.
        pub(crate) fn after(time: Option<Duration>) -> Self {
            Self(time.and_then(|time| Instant::now().checked_add(time)))
        }

        pub(crate) fn is_over(self) -> bool {
            self.0.is_some_and(|at| at <= Instant::now())
        }

        /// Waits once: for a notification, for the end of the time, or for nothing.
        pub(crate) fn wait<'a, T>(
            self,
            on: &Condvar,
            guard: MutexGuard<'a, T>,
        ) -> MutexGuard<'a, T> {
            let Some(at) = self.0 else {
                return on.wait(guard).unwrap_or_else(PoisonError::into_inner);
            };
            let left = at.saturating_duration_since(Instant::now());
            let (guard, _) = on
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner);
            guard
        }
    }
}

/// Loom knows no time: a model says when it is over, for all at once, and has those notified who
/// wait.
#[cfg(loom)]
mod limit_in_models {
    use std::time::Duration;

    use super::atomic::{AtomicBool, Ordering::Relaxed};
    use super::{Condvar, MutexGuard};

    loom::lazy_static! {
        static ref OVER: AtomicBool = AtomicBool::new(false);
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Limit(bool);

    impl Limit {
        pub(crate) fn after(time: Option<Duration>) -> Self {
            Self(time.is_some())
        }

        pub(crate) fn is_over(self) -> bool {
            // An exchange: what a model has said is heard at once.
            self.0 && OVER.fetch_or(false, Relaxed)
        }

        pub(crate) fn wait<'a, T>(
            self,
            on: &Condvar,
            guard: MutexGuard<'a, T>,
        ) -> MutexGuard<'a, T> {
            on.wait(guard).unwrap()
        }

        /// From now on the time is over.
        pub(crate) fn pass() {
            OVER.store(true, Relaxed);
        }
    }
}

/// A SeqCst load, as one of the two sides of a race in which each has written before by an
/// exchange, likewise SeqCst: one sees the other. Loom takes such a load for an acquire load; with
/// a fence before it, it is what the language says.
#[cfg(not(loom))]
macro_rules! look {
    ($atomic:expr) => {
        $atomic.load($crate::primitive::atomic::Ordering::SeqCst)
    };
}

#[cfg(loom)]
macro_rules! look {
    ($atomic:expr) => {{
        $crate::primitive::atomic::fence($crate::primitive::atomic::Ordering::SeqCst);
        $atomic.load($crate::primitive::atomic::Ordering::SeqCst)
    }};
}

pub(crate) use look;

/// Reads what an exchange loop starts from; the value is only a guess, which the exchange checks.
///
/// Under loom it is an exchange that changes nothing: loom remembers one last access to a variable,
/// so that a mere load just before an exchange of the same thread would make it forget the loads of
/// others before that, and never try the exchange before them.
#[cfg(not(loom))]
macro_rules! guess {
    ($atomic:expr, $nothing:expr) => {
        $atomic.load($crate::primitive::atomic::Ordering::Relaxed)
    };
}

#[cfg(loom)]
macro_rules! guess {
    ($atomic:expr, $nothing:expr) => {{
        let relaxed = $crate::primitive::atomic::Ordering::Relaxed;
        match $atomic.compare_exchange($nothing, $nothing, relaxed, relaxed) {
            Ok(value) | Err(value) => value,
        }
    }};
}

pub(crate) use guess;
