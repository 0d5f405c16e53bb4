//! The errors of readiness itself: closed, shut down, too late. Everything else comes from the
//! system unchanged.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;

use super::state::Stop;

/// Whether an error says that the descriptor was closed by this program while, or before, it was
/// used.
///
/// Such an error has the kind [`NotConnected`](io::ErrorKind::NotConnected) and a text that begins
/// with `use of closed network connection`. Errors that carry more context keep this one as their
/// [`source`](Error::source); it is found there.
///
/// ```
/// let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
/// assert!(!runtime::io::is_closed(&reset));
/// ```
///
/// **Go:** `errors.Is(err, net.ErrClosed)`.
pub fn is_closed(error: &io::Error) -> bool {
    reason(error) == Some(Stop::Closed)
}

/// Whether an error says that the runtime of the descriptor has shut down.
///
/// Such an error has the kind [`Other`](io::ErrorKind::Other) and the text
/// `the runtime has shut down`.
///
/// ```
/// let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
/// assert!(!runtime::io::is_shutdown(&reset));
/// ```
///
/// **Go:** none; a Go program has one runtime and ends with it.
pub fn is_shutdown(error: &io::Error) -> bool {
    reason(error) == Some(Stop::Shutdown)
}

/// Whether an error says that a deadline set on the descriptor has passed.
///
/// Such an error has the kind [`TimedOut`](io::ErrorKind::TimedOut), as has a connection that the
/// system gave up because its peer was silent, and a text that begins with `i/o timeout`.
///
/// ```
/// let reset = std::io::Error::from(std::io::ErrorKind::TimedOut);
/// assert!(!runtime::io::is_deadline(&reset));
/// ```
///
/// **Go:** `errors.Is(err, os.ErrDeadlineExceeded)`.
pub fn is_deadline(error: &io::Error) -> bool {
    reason(error) == Some(Stop::Expired)
}

/// The error that [`is_closed`] knows, for whoever keeps the descriptor of a
/// [`Registration`](super::Registration) and finds it closed.
///
/// ```
/// assert!(runtime::io::is_closed(&runtime::io::closed_error()));
/// ```
///
/// **Go:** `net.ErrClosed`.
#[cold]
pub fn closed_error() -> io::Error {
    stopped(Stop::Closed)
}

fn reason(error: &io::Error) -> Option<Stop> {
    let mut next: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = next {
        if let Some(stopped) = error.downcast_ref::<Stopped>() {
            return Some(stopped.0);
        }
        // An io::Error as a source hides what it holds: look inside it.
        next = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}

/// What the returned `io::Error` holds.
#[derive(Debug)]
struct Stopped(Stop);

/// In Go's words first.
impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Stop::Closed => {
                "use of closed network connection: it, or a clone of it, was closed here"
            }
            Stop::Shutdown => "the runtime has shut down",
            Stop::Expired => {
                "i/o timeout: the deadline has passed, and holds until another one is set"
            }
        })
    }
}

impl Error for Stopped {}

/// The error of an operation on a registration that has been stopped.
///
/// Closed is not `ConnectionAborted`: accept loops go on after that one.
#[cold]
pub(super) fn stopped(stop: Stop) -> io::Error {
    let kind = match stop {
        Stop::Closed => io::ErrorKind::NotConnected,
        Stop::Shutdown => io::ErrorKind::Other,
        Stop::Expired => io::ErrorKind::TimedOut,
    };
    io::Error::new(kind, Stopped(stop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_below_other_errors() {
        let inner = stopped(Stop::Closed);
        let outer = io::Error::new(inner.kind(), io::Error::other(inner));
        assert!(is_closed(&outer));
        assert!(!is_shutdown(&outer));
    }
}
