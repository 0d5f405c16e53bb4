//! What the runtime itself says on stderr: past std's lock, and without panics.
//!
//! A task may hold the lock of std's stderr while it is stuck, and it is just then that something
//! has to be said, by a thread that must not wait for it. And where stderr is closed nobody is to
//! panic, as `eprintln!` does.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// A descriptor of our own for stderr.
pub(crate) fn open() -> io::Result<File> {
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

/// Prints a line, in one piece.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let text = format!("{line}\n");
    let _ = open().and_then(|mut stderr| stderr.write_all(text.as_bytes()));
}
