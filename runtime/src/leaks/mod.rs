//! Leaks: tasks that can never be woken again, since everything that could is in the hands of tasks
//! in the same position.
//!
//! Go finds such goroutines by its garbage collector. There is none here, and a future is opaque:
//! nobody can list the handles that lie in it, and its memory is full of stale copies of handles
//! that were moved on. But one thing knows exactly what a future owns: its destructor. So, when
//! somebody asks, every parked task's future is dropped, to see what goes with it. In a copy of the
//! process, that is, which is thrown away afterwards: the *trial*.
//!
//! ```text
//!   Handle::leaks ─► candidates ─► fork ─► parent: listens ───────────► judge: the greatest set ─► Leaks
//!                                    └───► copy: cut off, drops all candidates' futures,
//!                                          notes wakers and handles that go, and ends
//! ```
//!
//! - `search` holds the trial, `list` is what comes of it.
//! - `sandbox` makes the copy: the memory of one moment, and code in it reaches nothing outside.
//! - `trial` takes the notes. The handles of channels, `WaitGroup`s and tasks note themselves when
//!   they are dropped, and the places where a waiting future leaves its waker do.
//! - `wire` is how the copy tells its parent.
//! - `evidence` draws the conclusion: which tasks have all their wakers, and all handles of what
//!   they wait for, among themselves.
//!
//! `check` is what a test does at its end.
//!
//! **No false alarms.** Whatever a task waits for in ways that nobody here knows (a timer, a
//! descriptor, another library's channel) leaves a waker that is not accounted for, and the count
//! of references says so. Handles elsewhere (in a static, on the heap, in another thread, in a task
//! that may run) make the count of handles differ. Counts are exact, and all are of one moment. A
//! destructor may do more than let go of what is its own, such as take a handle out of a table that
//! others share; so a handle counts only if it is dropped in place inside the task's memory, where
//! it was when the copy was made. In doubt a task is alive: handles in boxes and collections of a
//! task are not found.
//!
//! What is trusted: that a parked task's memory is reached by nobody else, as Rust has it, and that
//! no destructor puts a stranger's handle of the same primitive into the very place where one of
//! its own was a moment before, without dropping that one.
//!
//! Somebody who can abort a task can wake it. So tasks whose `JoinHandle` is held elsewhere are not
//! listed.
//!
//! It costs nothing as long as nobody asks, but for a look at one flag where a handle is dropped.
//!
//! *Rejected*: scanning the futures' memory for pointers, which takes a stale copy of a handle that
//! was moved to a static for the handle; scanning all memory for those that are elsewhere, as a
//! conservative collector does, which has to stop all threads, and is put off by stale copies on
//! every stack; noting in each handle who used it last, which a move does not update; a list of
//! handles by task, which each channel operation would pay for, and which a move does not update
//! either.

mod check;
mod evidence;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod filter;
mod list;
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    path = "no_sandbox.rs"
)]
pub(crate) mod sandbox;
mod search;
#[doc(hidden)]
pub mod trial;
mod wire;

pub use check::TasksLeft;
pub use list::Leaks;
