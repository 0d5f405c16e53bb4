//! Time: [`sleep()`], [`timeout()`], [`ticker()`], [`after_func()`] and the clock they run by.
//!
//! | Go | here |
//! |---|---|
//! | `time.Sleep(d)` | [`sleep(d).await`](sleep()) |
//! | `<-time.After(d)` in a `select` | [`sleep(d)`](sleep()) in a `select!` |
//! | `time.NewTimer`, `Reset`, `Stop` | a pinned [`Sleep`], [`Sleep::reset`], drop |
//! | `time.AfterFunc(d, f)` | [`after_func(d, f)`](after_func()) |
//! | `time.NewTicker(d)`, `<-t.C` | [`ticker(d)`](ticker()), [`tick().await`](Ticker::tick) |
//! | `context.WithTimeout` around one operation | [`timeout(d, operation).await`](timeout()) |
//! | `time.Now`, `time.Since` | [`Instant::now`], [`Instant::elapsed`] |
//!
//! No timer is ever early. On an idle machine it is a fraction of a millisecond late: it counts in
//! ticks of 33 µs, and a thread has to wake up. What the clock cannot express, such as
//! [`Duration::MAX`](std::time::Duration::MAX), means never.
//!
//! ```
//! use runtime::time;
//! use std::time::Duration;
//!
//! # runtime::block_on(async {
//! time::sleep(Duration::from_micros(50)).await;
//!
//! let mut ticker = time::ticker(Duration::from_millis(1));
//! ticker.tick().await;
//!
//! let slow = time::sleep(Duration::from_secs(60));
//! assert!(time::timeout(Duration::from_millis(1), slow).await.is_err());
//! # });
//! ```
//!
//! # How it works
//!
//! Each worker has a `Wheel` of timers in a `Timers`; the node of a timer is an `Entry` inside the
//! [`Sleep`] that waits, so that arming and cancelling allocate nothing and touch one list. A
//! worker about to sleep does so until `Timers::next_deadline`; whoever has time calls
//! `Timers::fire`, which wakes the tasks. Read on in this order: `clock`, `dial`, `wheel`, `entry`,
//! `timers`, `sleep`.
// Not `forbid(unsafe_code)`, which would hold for `entry` and `wheel` too; every other file forbids
// it.

mod after_func;
pub(crate) mod clock;
mod dial;
mod entry;
mod in_turn;
mod instant;
mod keeper;
#[doc(hidden)]
pub mod lasting;
mod pause;
mod sleep;
mod ticker;
mod timeline;
mod timeout;
pub(crate) mod timers;
mod wheel;

/// What the models see of the private files.
#[cfg(all(test, loom))]
pub(crate) mod for_models {
    pub(crate) use super::entry::{Alert, Entry, NotArmed, State};
    pub(crate) use super::in_turn::InTurn;
}
#[cfg(all(test, not(loom)))]
mod entry_tests;
#[cfg(all(test, not(loom)))]
mod wheel_tests;

pub use after_func::{Timer, after_func};
pub(crate) use dial::Resolution;
pub use instant::Instant;
pub use pause::{Advance, Settle, advance, is_paused, pause, resume, settle};
pub use sleep::{Sleep, sleep, sleep_until};
pub use ticker::{Ticker, ticker};
pub(crate) use timeline::{Timeline, Wish};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
pub(crate) use timers::Timers;
