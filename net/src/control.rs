//! What is done to a socket before it is bound, and before it connects: the settings that must be
//! there by then, and for which there is no method.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use socket2::Socket;

/// See the story of this file. Clones share the function.
#[derive(Clone, Default)]
pub(crate) struct Control(Option<Arc<Set>>);

type Set = dyn Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync;

impl Control {
    pub(crate) fn new(
        set: impl Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(set)))
    }

    pub(crate) fn apply(&self, socket: &Socket) -> io::Result<()> {
        match &self.0 {
            Some(set) => set(socket.as_fd()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "a function"
        } else {
            "none"
        })
    }
}
