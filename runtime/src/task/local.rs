//! Task-local values: `task_local!` and `LocalKey`.
//!
//! A value lives in the future that [`LocalKey::scope`] returns. For the time of each poll it is
//! swapped with what lies in a thread-local cell, so that code inside finds it there whichever
//! worker polls, and swapped back afterwards by a guard, also when the poll panics. The future
//! inside is dropped in the scope as well, so that its destructors find the value too. Scopes nest:
//! the swap puts the outer value aside.
//!
//! Rejected: a map in the task's header. It costs every task a word, a lookup a hash, and scopes
//! narrower than a task are not possible.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares values that a task carries with it: statics of type [`LocalKey`].
///
/// They have no initial value; [`LocalKey::scope`](crate::task::LocalKey::scope) gives one to a
/// future.
///
/// ```
/// runtime::task_local! {
///     /// Who asks.
///     pub static USER: String;
///     static DEPTH: u32;
/// }
///
/// # runtime::block_on(async {
/// USER.scope("ann".to_owned(), async {
///     runtime::yield_now().await;
///     assert_eq!(USER.get(), "ann");
///     assert!(DEPTH.try_get().is_err());
/// }).await;
/// # });
/// ```
///
/// **Go:** `context.WithValue`; goroutines have no locals.
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty; $($rest:tt)*) => {
        $crate::task_local! { $(#[$attr])* $vis static $name: $t }
        $crate::task_local! { $($rest)* }
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty) => {
        $(#[$attr])*
        $vis static $name: $crate::task::LocalKey<$t> = {
            ::std::thread_local! {
                static KEY: ::std::cell::RefCell<::std::option::Option<$t>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::__new(KEY)
        };
    };
}

/// A value that a task carries with it, declared by [`task_local!`](crate::task_local!).
///
/// It is not inherited by tasks that are spawned inside.
///
/// ```
/// # runtime::block_on(async {
/// use runtime::task::LocalKey;
///
/// runtime::task_local!(static USER: String);
///
/// let key: &'static LocalKey<String> = &USER;
/// key.scope("ann".to_owned(), async {
///     assert_eq!(USER.get(), "ann");
/// }).await;
/// # });
/// ```
///
/// **Go:** the key of a `context.WithValue`.
pub struct LocalKey<T: 'static> {
    cell: thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(cell: thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { cell }
    }

    /// Gives the value to a future, which finds it in every poll and in its destructors.
    ///
    /// # Panics
    ///
    /// Polling the future inside a [`with`](Self::with) of the same key panics, and so does polling
    /// it after it ended.
    ///
    /// # Cancel safety
    ///
    /// That of the future inside.
    ///
    /// ```
    /// runtime::task_local!(static DEPTH: u32);
    ///
    /// # runtime::block_on(async {
    /// let inner = DEPTH.scope(2, async { DEPTH.get() });
    /// let both = DEPTH.scope(1, async { (inner.await, DEPTH.get()) });
    /// assert_eq!(runtime::spawn(both).await.unwrap(), (2, 1));
    /// # });
    /// ```
    ///
    /// **Go:** `f(context.WithValue(ctx, key, value))`.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> Scope<T, F> {
        Scope {
            key: self,
            value: Some(value),
            future: Some(future),
        }
    }

    /// Gives the value to a function.
    ///
    /// # Panics
    ///
    /// Inside a [`with`](Self::with) of the same key. A panic of `f` comes through.
    ///
    /// ```
    /// runtime::task_local!(static DEPTH: u32);
    ///
    /// assert_eq!(DEPTH.sync_scope(3, || DEPTH.get()), 3);
    /// assert!(DEPTH.try_get().is_err());
    /// ```
    ///
    /// **Go:** `f(context.WithValue(ctx, key, value))`.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut value = Some(value);
        let _entered = self.enter_or_panic(&mut value);
        f()
    }

    /// Runs `f` on the value.
    ///
    /// # Panics
    ///
    /// Outside a scope; [`try_with`](Self::try_with) asks.
    ///
    /// ```
    /// runtime::task_local!(static NAME: String);
    ///
    /// assert_eq!(NAME.sync_scope("ann".into(), || NAME.with(String::len)), 3);
    /// ```
    ///
    /// **Go:** `ctx.Value(key)`.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("LocalKey::with: {error}"),
        }
    }

    /// Runs `f` on the value, if there is one.
    ///
    /// # Errors
    ///
    /// Outside a scope; `f` has not run.
    ///
    /// ```
    /// runtime::task_local!(static NAME: String);
    ///
    /// assert!(NAME.try_with(|_| ()).is_err());
    /// ```
    ///
    /// **Go:** `v, ok := ctx.Value(key).(T)`.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, LocalAccessError> {
        self.cell
            .try_with(|cell| match &*cell.borrow() {
                Some(value) => Ok(f(value)),
                None => Err(LocalAccessError(())),
            })
            .unwrap_or(Err(LocalAccessError(())))
    }

    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// Outside a scope; [`try_get`](Self::try_get) asks.
    ///
    /// ```
    /// runtime::task_local!(static DEPTH: u32);
    ///
    /// assert_eq!(DEPTH.sync_scope(3, || DEPTH.get()), 3);
    /// ```
    ///
    /// **Go:** `ctx.Value(key)`.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        match self.try_get() {
            Ok(value) => value,
            Err(error) => panic!("LocalKey::get: {error}"),
        }
    }

    /// A clone of the value, if there is one.
    ///
    /// # Errors
    ///
    /// Outside a scope.
    ///
    /// ```
    /// runtime::task_local!(static DEPTH: u32);
    ///
    /// assert!(DEPTH.try_get().is_err());
    /// ```
    ///
    /// **Go:** `v, ok := ctx.Value(key).(T)`.
    pub fn try_get(&'static self) -> Result<T, LocalAccessError>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    /// Swaps the value in, until the guard swaps it back.
    fn enter<'a>(&'static self, value: &'a mut Option<T>) -> Result<Entered<'a, T>, NotEntered> {
        self.swap(value)?;
        Ok(Entered { key: self, value })
    }

    #[track_caller]
    fn enter_or_panic<'a>(&'static self, value: &'a mut Option<T>) -> Entered<'a, T> {
        match self.enter(value) {
            Ok(entered) => entered,
            Err(NotEntered::Borrowed) => panic!(
                "a scope of a task local was entered inside `with` of the same key: take a clone with `get` first"
            ),
            Err(NotEntered::ThreadEnds) => panic!(
                "a scope of a task local was entered while the thread ends: enter none from destructors of thread locals"
            ),
        }
    }

    fn swap(&'static self, value: &mut Option<T>) -> Result<(), NotEntered> {
        let swapped = self.cell.try_with(|cell| {
            let mut cell = cell.try_borrow_mut().map_err(|_| NotEntered::Borrowed)?;
            mem::swap(&mut *cell, value);
            Ok(())
        });
        swapped.unwrap_or(Err(NotEntered::ThreadEnds))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey")
    }
}

enum NotEntered {
    Borrowed,
    ThreadEnds,
}

/// The value is in the thread's cell; what was there before is in `value`.
struct Entered<'a, T: 'static> {
    key: &'static LocalKey<T>,
    value: &'a mut Option<T>,
}

impl<T: 'static> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        // Every `with` inside the scope has returned, and a thread whose locals are gone keeps no
        // value either.
        let _ = self.key.swap(self.value);
    }
}

pin_project! {
    /// Future of [`LocalKey::scope`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::task::Scope;
    /// use std::future::Ready;
    ///
    /// runtime::task_local!(static DEPTH: u32);
    ///
    /// let scope: Scope<u32, Ready<u8>> = DEPTH.scope(1, std::future::ready(7));
    /// assert_eq!(scope.await, 7);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Scope<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // During a poll, what was in the thread's cell before. `None` at other times only after
        // `take_value`.
        value: Option<T>,
        // `None` once it ended.
        #[pin]
        future: Option<F>,
    }

    impl<T, F> PinnedDrop for Scope<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_none() {
                return;
            }
            // In the scope if it can be entered; without the value rather than not at all.
            let _entered = this.key.enter(this.value).ok();
            this.future.set(None);
        }
    }
}

impl<T: 'static, F> Scope<T, F> {
    /// Takes the value back, for instance after the future ended; a future that goes on finds none
    /// from then on.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// runtime::task_local!(static NAME: String);
    ///
    /// # runtime::block_on(async {
    /// let mut scope = pin!(NAME.scope("ann".to_owned(), async {}));
    /// scope.as_mut().await;
    /// assert_eq!(scope.take_value().as_deref(), Some("ann"));
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for Scope<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _entered = this.key.enter_or_panic(this.value);
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("LocalKey::scope polled after it ended: await it once");
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<T: 'static, F> fmt::Debug for Scope<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("ended", &self.future.is_none())
            .finish()
    }
}

/// The task has no value of this key: from [`LocalKey::try_with`].
///
/// ```
/// runtime::task_local!(static DEPTH: u32);
///
/// let error: runtime::task::LocalAccessError = DEPTH.try_get().unwrap_err();
/// assert!(error.to_string().contains("`scope`"));
/// ```
///
/// **Go:** none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAccessError(());

impl fmt::Display for LocalAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this task local has no value here: run the code inside its `scope`; spawned tasks do not inherit it",
        )
    }
}

impl std::error::Error for LocalAccessError {}
