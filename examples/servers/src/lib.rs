//! What the servers here share: where they listen, when they stop, and what is said of connections
//! that end badly.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use net::ServeError;
use runtime::signal::{SignalKind, notify};
use sync::context::Context;

/// The first argument, or a free port of this machine.
pub fn address() -> String {
    argument(1).unwrap_or_else(|| "127.0.0.1:0".to_owned())
}

/// An argument of the program.
pub fn argument(number: usize) -> Option<String> {
    std::env::args().nth(number)
}

// cookbook: report
/// A line on stderr for what went wrong. A client that hangs up in the middle is not worth one.
pub fn report(error: ServeError) {
    if error.io_error().map(io::Error::kind) != Some(ErrorKind::ConnectionReset) {
        eprintln!("{error}");
    }
}
// cookbook: end

/// Says where it listens. The first line of each server, so that scripts can read the port.
pub fn announce(address: impl Display) {
    println!("listening on {address}");
    // A script may read it through a pipe; where nobody reads, nobody misses it.
    let _ = io::stdout().flush();
}

// cookbook: stop
/// A context that is done when the program is asked to stop: by Ctrl-C, or by SIGTERM, which is
/// what systemd and container managers send.
pub fn until_asked_to_stop() -> io::Result<Context> {
    let mut signals = notify([SignalKind::interrupt(), SignalKind::terminate()])?;
    let (context, cancel) = Context::background().with_cancel();
    runtime::spawn(async move {
        signals.recv().await;
        cancel.cancel();
    });
    Ok(context)
}
// cookbook: end
