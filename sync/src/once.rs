//! `OnceCell` and `Once`: done by the first who comes, while the others wait.
//!
//! The value lies in std's `OnceLock`, so that looking at it is one load. Who finds it missing
//! takes a lock, looks again, and runs the initialiser under the lock. If that fails, panics or is
//! dropped, the lock goes to the next who waits, who tries with its own.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;

use crate::blocking;
use crate::mutex::RawMutex;

/// A value that is made once, by the first who needs it, in an `async` function.
///
/// ```
/// static CONFIG: sync::OnceCell<String> = sync::OnceCell::new();
///
/// async fn config() -> &'static str {
///     CONFIG.get_or_init(|| async { "read from a file".to_string() }).await
/// }
///
/// # runtime::block_on(async {
/// assert_eq!(config().await, "read from a file");
/// assert_eq!(config().await, "read from a file"); // one load
/// # });
/// ```
///
/// **Go:** `sync.OnceValue(f)`.
pub struct OnceCell<T> {
    value: OnceLock<T>,
    /// Held by who makes the value.
    making: RawMutex,
}

/// Unlocks when dropped, so that the next tries, also after a panic.
struct Making<'a>(&'a RawMutex);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl<T> OnceCell<T> {
    constant! {
        /// A cell without a value. It can be a `static`.
        ///
        /// ```
        /// static CELL: sync::OnceCell<u32> = sync::OnceCell::new();
        /// assert!(CELL.get().is_none());
        /// ```
        ///
        /// **Go:** `sync.OnceValue(f)`, which names `f` here already.
        pub const fn new() -> Self {
            Self {
                value: OnceLock::new(),
                making: RawMutex::new(),
            }
        }
    }

    /// The value, if there is one.
    ///
    /// ```
    /// assert!(sync::OnceCell::<u32>::new().get().is_none());
    /// ```
    ///
    /// **Go:** none.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value; makes it by `init` if there is none. Of several who come at once, one makes it
    /// and the others wait.
    ///
    /// `init` must not ask the same cell: it would wait for itself. Like all that is awaited here,
    /// it spends a unit of the task's budget; where even that is too much, look with
    /// [`get`](Self::get) first, which is one load.
    ///
    /// # Panics
    ///
    /// If `init` does; then there is still no value, and the next who asks tries again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe as far as `init` is: dropped while it runs, there is no value, and the next who
    /// waits tries.
    ///
    /// # Memory ordering
    ///
    /// What happened in `init` is visible to all who get the value.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let cell = sync::OnceCell::new();
    /// assert_eq!(*cell.get_or_init(|| async { 1 }).await, 1);
    /// assert_eq!(*cell.get_or_init(|| async { 2 }).await, 1);
    /// # });
    /// ```
    ///
    /// **Go:** the function that `sync.OnceValue(f)` returns; a panic of `f` is repeated there on
    /// each call.
    #[inline]
    #[track_caller]
    pub fn get_or_init<F, Fut>(&self, init: F) -> impl Future<Output = &T>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        Sure {
            asked: self.get_or_try_init(|| async { Ok::<T, Infallible>(init().await) }),
        }
    }

    /// The value; tries to make it by `init` if there is none.
    ///
    /// # Errors
    ///
    /// What `init` returns. Then there is still no value, and the next who asks, or waits already,
    /// tries with its own `init`.
    ///
    /// # Panics
    ///
    /// If `init` does, as [`get_or_init`](Self::get_or_init).
    ///
    /// # Cancel safety
    ///
    /// As `get_or_init`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let cell = sync::OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(|| async { Err("offline") }).await, Err("offline"));
    /// assert_eq!(cell.get_or_try_init(|| async { Ok::<_, ()>(1) }).await, Ok(&1));
    /// # });
    /// ```
    ///
    /// **Go:** `sync.OnceValues(f)`, which keeps the error for good.
    #[inline]
    #[track_caller]
    pub fn get_or_try_init<F, Fut, E>(&self, init: F) -> impl Future<Output = Result<&T, E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let place = Location::caller();
        let make = async move {
            self.making.lock(place).await;
            let making = Making(&self.making);
            if self.value.get().is_none() {
                // Nobody else sets it: we hold the lock. `set` does not get in between either, as
                // it takes the lock, too.
                let value = init().await?;
                let _ = self.value.set(value);
            }
            drop(making);
            Ok(self
                .value
                .get()
                .expect("it was there, or has just been set"))
        };
        Asked {
            cell: self,
            make: Some(make),
            begun: false,
        }
    }

    /// The value; makes it by `init` if there is none, and blocks the thread while another does.
    /// For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// If `init` does, as [`get_or_init`](Self::get_or_init). Inside a task or the body of
    /// `block_on`, which it would hold up.
    ///
    /// ```
    /// static CONFIG: sync::OnceCell<String> = sync::OnceCell::new();
    /// assert_eq!(CONFIG.blocking_get_or_init(|| "read from a file".to_string()), "read from a file");
    /// ```
    ///
    /// **Go:** the function that `sync.OnceValue(f)` returns, on a thread of one's own.
    #[track_caller]
    pub fn blocking_get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        blocking::wait(
            self.get_or_init(|| async { init() }),
            "OnceCell::blocking_get_or_init",
            "get_or_init(..).await",
        )
    }

    /// The value; tries to make it by `init` if there is none, and blocks the thread while another
    /// does. For threads outside the runtime.
    ///
    /// # Errors
    ///
    /// What `init` returns, as [`get_or_try_init`](Self::get_or_try_init).
    ///
    /// # Panics
    ///
    /// As [`blocking_get_or_init`](Self::blocking_get_or_init).
    ///
    /// ```
    /// let cell = sync::OnceCell::new();
    /// assert!(cell.blocking_get_or_try_init(|| "x".parse::<u32>()).is_err());
    /// assert_eq!(cell.blocking_get_or_try_init(|| "1".parse::<u32>()), Ok(&1));
    /// ```
    ///
    /// **Go:** `sync.OnceValues(f)`, which keeps the error for good.
    #[track_caller]
    pub fn blocking_get_or_try_init<E>(
        &self,
        init: impl FnOnce() -> Result<T, E>,
    ) -> Result<&T, E> {
        blocking::wait(
            self.get_or_try_init(|| async { init() }),
            "OnceCell::blocking_get_or_try_init",
            "get_or_try_init(..).await",
        )
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// The value, if there is one already or one is being made.
    ///
    /// ```
    /// let cell = sync::OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    ///
    /// **Go:** none.
    pub fn set(&self, value: T) -> Result<(), T> {
        if !self.making.try_lock() {
            return Err(value);
        }
        let _making = Making(&self.making);
        self.value.set(value)
    }

    /// The value, if there is one: `&mut` proves that nobody else has it.
    ///
    /// ```
    /// let mut cell = sync::OnceCell::from(1);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.get(), Some(&2));
    /// ```
    ///
    /// **Go:** none.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Takes the value out, if there is one; the cell is as new.
    ///
    /// ```
    /// let mut cell = sync::OnceCell::from(1);
    /// assert_eq!((cell.take(), cell.take()), (Some(1), None));
    /// ```
    ///
    /// **Go:** none.
    pub fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// The value, if there is one, without the cell.
    ///
    /// ```
    /// let cell = sync::OnceCell::new();
    /// cell.set(1).unwrap();
    /// assert_eq!(cell.into_inner(), Some(1));
    /// ```
    ///
    /// **Go:** none.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

pin_project! {
    /// The value if it is there, else what comes of making it. By hand, so that where it is there,
    /// which is most often, no more is done than to look.
    struct Asked<'a, T, M> {
        cell: &'a OnceCell<T>,
        #[pin]
        make: Option<M>,
        // It has been polled, and may have a place in line.
        begun: bool,
    }
}

impl<'a, T, M, E> Future for Asked<'a, T, M>
where
    M: Future<Output = Result<&'a T, E>>,
{
    type Output = Result<&'a T, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(value) = self.cell.value.get() else {
            return self.make(cx);
        };
        if self.begun {
            self.as_mut().withdraw();
        }
        // A loop of these lets others run, as one of any operation does.
        ready!(poll_proceed(cx)).made_progress();
        Poll::Ready(Ok(value))
    }
}

/// Apart from the poll, which is little without it, and inlined for that.
impl<'a, T, M, E> Asked<'a, T, M>
where
    M: Future<Output = Result<&'a T, E>>,
{
    #[cold]
    #[inline(never)]
    fn make(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<&'a T, E>> {
        let this = self.project();
        *this.begun = true;
        let make = this.make.as_pin_mut();
        make.expect("there until there is a value").poll(cx)
    }

    /// Another has made it. We may have been called to take the lock: the next in line is called
    /// when this goes, and that is not when its owner likes.
    #[cold]
    #[inline(never)]
    fn withdraw(self: Pin<&mut Self>) {
        self.project().make.set(None);
    }
}

pin_project! {
    /// What cannot fail.
    struct Sure<F> {
        #[pin]
        asked: F,
    }
}

impl<T, F> Future for Sure<F>
where
    F: Future<Output = Result<T, Infallible>>,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.project().asked.poll(cx).map(|made| match made {
            Ok(value) => value,
            Err(never) => match never {},
        })
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self {
            value: OnceLock::from(value),
            making: RawMutex::new(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell")
            .field("value", &self.value.get())
            .finish()
    }
}

/// Something that is done once, by the first who comes, while the others wait until it is.
///
/// ```
/// static MIGRATED: sync::Once = sync::Once::new();
///
/// # runtime::block_on(async {
/// for _ in 0..3 {
///     MIGRATED.call(|| async { println!("printed once") }).await;
/// }
/// assert!(MIGRATED.is_done());
/// # });
/// ```
///
/// **Go:** `sync.Once`. There a function that panics counts as done; here the next who comes tries.
#[derive(Default)]
pub struct Once {
    cell: OnceCell<()>,
}

impl Once {
    constant! {
        /// Not done yet. It can be a `static`.
        ///
        /// ```
        /// assert!(!sync::Once::new().is_done());
        /// ```
        ///
        /// **Go:** `var once sync.Once`.
        pub const fn new() -> Self {
            Self {
                cell: OnceCell::new(),
            }
        }
    }

    /// Runs `f`, unless that has been done; returns when it is done, whoever did it.
    ///
    /// `f` must not call the same `Once`: it would wait for itself.
    ///
    /// # Panics
    ///
    /// If `f` does; then it is not done, and the next who comes tries.
    ///
    /// # Cancel safety
    ///
    /// As far as `f` is: dropped while it runs, it is not done, and the next who waits tries.
    ///
    /// # Memory ordering
    ///
    /// What happened in `f` is visible to all who return.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let once = sync::Once::new();
    /// once.call(|| async {}).await;
    /// once.call(|| async { unreachable!() }).await;
    /// # });
    /// ```
    ///
    /// **Go:** `once.Do(f)`.
    #[track_caller]
    pub fn call<F, Fut>(&self, f: F) -> impl Future<Output = ()>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = ()>,
    {
        let done = self.cell.get_or_init(f);
        async move {
            done.await;
        }
    }

    /// Runs `f`, unless that has been done, and blocks the thread while another does. For threads
    /// outside the runtime.
    ///
    /// # Panics
    ///
    /// If `f` does, as [`call`](Self::call). Inside a task or the body of `block_on`, which it
    /// would hold up.
    ///
    /// ```
    /// let once = sync::Once::new();
    /// once.blocking_call(|| println!("printed once"));
    /// once.blocking_call(|| unreachable!());
    /// ```
    ///
    /// **Go:** `once.Do(f)` on a thread of one's own.
    #[track_caller]
    pub fn blocking_call(&self, f: impl FnOnce()) {
        blocking::wait(
            self.call(|| async { f() }),
            "Once::blocking_call",
            "call(..).await",
        );
    }

    /// Whether it is done: one load.
    ///
    /// ```
    /// assert!(!sync::Once::new().is_done());
    /// ```
    ///
    /// **Go:** none.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.cell.get().is_some()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("done", &self.is_done())
            .finish()
    }
}
