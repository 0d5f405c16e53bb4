//! Accepting, for every kind of listener: what is skipped, and what is waited out.
//!
//! A connection that its client has given up again before it was accepted is skipped. When
//! descriptors or memory have run out, `accept` does not fail: it waits and tries again, since a
//! server that dies of a burst helps nobody, and one whose accept loop spins on the error helps
//! even less. It says so in a counter instead, and to whom a server's `on_error` has named; whoever
//! wants to handle the shortage (by closing idle connections) has it from `try_accept` undisguised.
//!
//! A close or a deadline ends such a pause. It is waited out in the direction of writing, in which
//! nothing ever happens to a listener but that: in the other one connections come, and what is
//! known of them must not be forgotten, as they are told of once.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mio::event::Source;
use runtime::io::{Attempt, Direction};
use runtime::time::{Instant, sleep};

use crate::socket::{Blocks, Socket};

/// The first pause after descriptors have run out, and the longest; each is twice the one before.
/// Go's `http.Server` waits so long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts one connection with `once`, a system call, and makes a stream of it with `register`.
/// Says before it pauses, and why.
pub(crate) async fn accept<S: Source + AsFd, A, T>(
    socket: &Socket<S>,
    paused: impl Fn(io::Error),
    place: &'static Location<'static>,
    once: fn(&S, &Attempt<'_>) -> io::Result<A>,
    register: fn(A) -> io::Result<T>,
) -> io::Result<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = socket
            .io(Direction::Read, place, Blocks::Perhaps, once)
            .await;
        match accepted.and_then(register) {
            Err(error) if is_shortage(&error) => {
                paused(error);
                // Boxed, since it is rare, and every accept would be the larger for it.
                Box::pin(wait_out(socket, pause)).await?;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            accepted => return accepted,
        }
    }
}

/// Waits, unless the listener is closed or its deadline passes meanwhile.
async fn wait_out<S: Source + AsFd>(socket: &Socket<S>, pause: Duration) -> io::Result<()> {
    // A new registration is taken to be ready until somebody has found that it is not.
    let _ = socket.try_io(Direction::Write, |_, _| {
        io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
    });
    let mut pausing = pin!(sleep(pause));
    let mut ended = pin!(socket.registration().ready(Direction::Write));
    let ended = poll_fn(|cx| match pausing.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => ended.as_mut().poll(cx).map(Some),
    });
    match ended.await {
        None => Ok(()),
        // The system has shut it down: not our affair, and no reason to spin.
        Some(Ok(())) => {
            pausing.await;
            Ok(())
        }
        Some(Err(error)) => Err(error),
    }
}

/// Sets the time at which [`accept`] fails, in a pause too.
#[track_caller]
pub(crate) fn set_deadline<S: Source + AsFd>(
    socket: &Socket<S>,
    at: Option<Instant>,
) -> io::Result<()> {
    socket.set_deadline(Direction::Read, at)?;
    socket.set_deadline(Direction::Write, at)
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

/// Whether the error is about the connection that was to be accepted, which is thereby out of the
/// queue. Linux reports what has happened to it on the network.
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

/// Whether it is the process or the system that lacks something (descriptors, memory, room in
/// epoll), and not the listener.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC)
    )
}
