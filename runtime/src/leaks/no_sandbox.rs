//! Where the system has no sandbox that is known here: there is no copy, and what only a trial
//! could tell is not told.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// Nobody has one.
#[derive(Debug)]
pub(crate) struct Inside(Infallible);

/// There is none.
#[derive(Debug)]
pub(super) struct Copy(Infallible);

/// Fails.
pub(super) fn copy<P>(
    _prepare: impl FnOnce(&File) -> io::Result<P>,
    act: impl FnOnce(P, &File, &Inside),
) -> io::Result<Copy> {
    // Nobody is inside.
    drop(act);
    Err(unsupported())
}

impl Copy {
    /// There is none.
    pub(super) fn hear(self, _patience: Duration, _listen: impl FnMut(&[u8])) -> io::Result<bool> {
        match self.0 {}
    }
}

/// Fails.
pub(super) fn read_memory(
    _stretches: impl Iterator<Item = Range<usize>>,
    _goes_on: impl FnMut(),
) -> io::Result<Vec<Box<[u8]>>> {
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "only Linux on x86-64 and 64-bit ARM has the sandbox that it takes to tell",
    )
}
