//! Readiness of descriptors: what the sockets of `net` stand on, and what a device of your own
//! plugs into.
//!
//! Anything that mio can register ([`mio::event::Source`]: sockets, pipes, and as an [`Fd`] every
//! descriptor that epoll or kqueue accepts) becomes a [`Source`]: its calls are tried first, and a
//! task whose call would block waits in the reactor of its runtime, while the thread does other
//! work.
//!
//! ```
//! use runtime::io::{Source, mio};
//! use std::io::{Read, Write};
//!
//! # runtime::block_on(async {
//! // A pipe; an inotify descriptor or a serial port goes the same way.
//! let (sender, receiver) = mio::unix::pipe::new()?;
//! let (sender, receiver) = (Source::new(sender)?, Source::new(receiver)?);
//!
//! let reader = runtime::spawn(async move {
//!     let mut buf = [0; 16];
//!     let n = receiver.read_with(|mut pipe| pipe.read(&mut buf)).await?;
//!     std::io::Result::Ok(buf[..n].to_vec())
//! });
//! sender.write_with(|mut pipe| pipe.write(b"hello")).await?;
//! assert_eq!(reader.await.unwrap()?, b"hello");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! The way of an event: `driver.rs` returns from mio, finds the record that the token names in
//! `records.rs`, and `readiness.rs` sets the bits of `state.rs` and gives up the wakers of the
//! futures in `operation.rs`.
#![forbid(unsafe_op_in_unsafe_fn)]

mod attempt;
mod deadline;
mod driver;
mod error;
mod fd;
mod operation;
pub(crate) mod readiness;
mod records;
mod registration;
mod source;
pub(crate) mod state;
#[cfg(all(test, not(loom)))]
mod tests;
mod wait;
pub(crate) mod woken;

use std::sync::Arc;

pub use self::attempt::Attempt;
pub use self::error::{closed_error, is_closed, is_deadline, is_shutdown};
pub use self::fd::Fd;
pub use self::operation::{Operation, Readiness};
pub use self::registration::Registration;
pub use self::source::Source;
pub use self::state::Direction;
/// The crate whose sources are registered here, so that yours is the same one.
pub use mio;

pub(crate) use self::driver::Driver;
use crate::handle::NO_RUNTIME;

/// The reactor of the runtime that the caller is on.
#[track_caller]
fn current_driver() -> Arc<Driver> {
    match crate::Handle::try_current() {
        Ok(handle) => {
            handle.scheduler().forbid_in_child();
            Arc::clone(handle.driver())
        }
        Err(_) => panic!("a socket or another descriptor: {NO_RUNTIME}"),
    }
}
