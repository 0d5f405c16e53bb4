//! ⚠ A place in the source that one thread notes and others read: an atomic `&'static Location`.

use std::fmt;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// See the module. Relaxed throughout: a report may be a moment old.
pub(crate) struct Place(AtomicPtr<Location<'static>>);

impl Place {
    pub(crate) const fn unknown() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn set(&self, place: &'static Location<'static>) {
        self.0.store(ptr::from_ref(place).cast_mut(), Relaxed);
    }

    pub(crate) fn get(&self) -> Option<&'static Location<'static>> {
        // SAFETY: only `set` stores a pointer, and it is made of a `'static` reference.
        unsafe { self.0.load(Relaxed).as_ref() }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
