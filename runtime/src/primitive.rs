//! The one place that chooses between std's and loom's primitives.
//!
//! Every lock-free protocol of this crate is written against these names, so that `--cfg loom` checks the very code that ships.
//! Capacities that a model can only explore when they are small live here too.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Arc, Mutex, MutexGuard, atomic},
    thread,
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Arc, Mutex, MutexGuard, atomic},
    thread,
};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// `std::cell::UnsafeCell` with loom's access methods, which name reads and writes so that a model can check them.
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

/// Reads what an exchange loop starts from; the value is only a guess, which the exchange checks.
///
/// Under loom it is an exchange that changes nothing: loom remembers one last access to a variable, so that a mere load just before an
/// exchange of the same thread would make it forget the loads of others before that, and never try the exchange before them.
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
