//! Accepting, for every kind of listener: what is skipped, and what is waited out.
//!
//! A connection that its client has given up again before it was accepted is skipped. When descriptors or memory have run out, `accept`
//! does not fail: it waits and tries again, since a server that dies of a burst helps nobody, and one whose accept loop spins
//! on the error helps even less. It says so in a counter instead, and whoever wants to handle the shortage (by closing idle
//! connections) has it from `try_accept` undisguised.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mio::event::Source;
use runtime::io::{Attempt, Direction};
use runtime::time::sleep;

use crate::socket::Socket;

/// The first pause after descriptors have run out, and the longest; each is twice the one before. Go's `http.Server` waits so long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts one connection with `once`, a system call, and makes a stream of it with `register`. Counts its pauses.
pub(crate) async fn accept<S: Source + AsFd, A, T>(
    socket: &Socket<S>,
    shortages: &AtomicU64,
    place: &'static Location<'static>,
    once: fn(&S, &Attempt<'_>) -> io::Result<A>,
    register: fn(A) -> io::Result<T>,
) -> io::Result<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = socket.io(Direction::Read, place, false, once).await;
        match accepted.and_then(register) {
            Err(error) if is_shortage(&error) => {
                // Relaxed: a count and nothing more.
                shortages.fetch_add(1, Ordering::Relaxed);
                sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            accepted => return accepted,
        }
    }
}

/// Repeats the call while it is about connections that are gone already.
pub(crate) fn skip_gone<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if is_gone(&error) => {}
            accepted => return accepted,
        }
    }
}

/// Whether the error is about the connection that was to be accepted, which is thereby out of the queue. Linux reports what has
/// happened to it on the network.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
        )
    )
}

/// Whether it is the process or the system that lacks something (descriptors, memory, room in epoll), and not the listener.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC)
    )
}
