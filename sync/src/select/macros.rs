//! `select!` itself.

/// Waits for several operations; exactly one of them takes effect.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__private::select!(($crate) $($arms)*)
    };
}
