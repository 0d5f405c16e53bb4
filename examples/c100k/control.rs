//! A child's end of the line to its parent: orders come in on stdin, answers go out on stdout, a
//! line each.
//!
//! | parent says | to | child answers |
//! |---|---|---|
//! | | server | `ready ADDRESS` once it listens |
//! | | client | `ready` |
//! | `count` | server | `count ACCEPTED OPEN` |
//! | `connect`, `round N`, `close` | client | `progress N` now and then, then any number of `error COUNT ERRNO TEXT`, `latency …`, and at last `done OK FAILED WRONG` |
//! | end of stdin | both | ends |
//!
//! `fatal ERRNO TEXT` may come at any time, and is the last line.
//!
//! Stdin is read by a thread of its own, outside the runtime: when the parent dies the pipe closes,
//! and then this process must end even if the runtime is the thing that hangs. The thread sleeps in
//! `read`, so an idle child makes no system call for it.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use sync::Receiver;

/// How long a child may take to end in good order once its parent wants that or is gone.
const GRACE: Duration = Duration::from_secs(1);

/// The parent's orders; the channel closes when the parent is done with us, or gone.
pub(crate) fn orders() -> Receiver<String> {
    let (tx, rx) = sync::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if tx.blocking_send(line).is_err() {
                break;
            }
        }
        drop(tx);
        thread::sleep(GRACE);
        std::process::exit(1);
    });
    rx
}

/// Says one line to the parent. If it cannot be said the parent is gone, and this process ends.
pub(crate) fn say(line: impl Display) {
    if writeln!(io::stdout(), "{line}").is_err() {
        std::process::exit(1);
    }
}

/// Reports why this process cannot go on.
pub(crate) fn fatal(what: &str, error: &io::Error) -> ExitCode {
    let (errno, text) = describe(what, error);
    say(format_args!("fatal {errno} {text}"));
    ExitCode::FAILURE
}

/// The system's number of an error, 0 if it has none, and a text that is the same for all errors
/// alike: `net` names the address in its errors, and a hundred thousand of them shall be one line.
pub(crate) fn describe(what: &str, error: &io::Error) -> (i32, String) {
    match net::os_error(error) {
        Some(errno) => (
            errno,
            format!("{what}: {}", io::Error::from_raw_os_error(errno)),
        ),
        None => (0, format!("{what}: {error}")),
    }
}
