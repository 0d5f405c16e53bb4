//! Pipes for splicing: the kernel's own buffers, handed from copy to copy.
//!
//! A pipe costs two descriptors and some system calls, so that a few empty ones are kept; but only
//! while some copy uses pipes, so that a program which copies no more has none left open. A pipe
//! that has bytes in it is closed with its copy, never handed on.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys;

/// Bytes a pipe holds, if the system grants them: four times its default. More does not move
/// faster, and an unprivileged user has 64 MiB of pipes before the system hands out tiny ones.
pub(super) const CAPACITY: usize = 256 * 1024;

/// Empty pipes that are kept at most. A pipe is taken only for the time in which bytes are in it:
/// there are rarely more than workers.
const KEPT: usize = 16;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    users: 0,
    empty: Vec::new(),
});

/// Under the lock.
struct Pool {
    /// Copies that use pipes now.
    users: usize,
    empty: Vec<Pipe>,
}

/// Both ends of a pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    reader: File,
    writer: File,
}

impl Pipe {
    pub(super) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(super) fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Takes all of its bytes out, of which there are so many.
    pub(super) fn drain(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut drained = vec![0; bytes];
        (&self.reader).read_exact(&mut drained)?;
        Ok(drained)
    }
}

/// A copy's right to pipes.
#[derive(Debug)]
pub(super) struct Pipes(());

impl Pipes {
    pub(super) fn new() -> Self {
        pool().users += 1;
        Self(())
    }

    /// An empty pipe.
    pub(super) fn take(&self) -> io::Result<Pipe> {
        let kept = pool().empty.pop();
        kept.map_or_else(
            || {
                let (reader, writer) = sys::pipe(CAPACITY)?;
                Ok(Pipe { reader, writer })
            },
            Ok,
        )
    }

    /// Gives an empty pipe back.
    pub(super) fn put(&self, pipe: Pipe) {
        let mut pool = pool();
        let surplus = if pool.empty.len() < KEPT {
            pool.empty.push(pipe);
            None
        } else {
            Some(pipe)
        };
        drop(pool);
        // Its close is a system call.
        drop(surplus);
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.users -= 1;
        let mut left = Vec::new();
        if pool.users == 0 {
            left = std::mem::take(&mut pool.empty);
        }
        drop(pool);
        drop(left);
    }
}

/// Nothing is half done where this could be poisoned: by an allocation that failed.
fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn pipes_are_kept_while_somebody_uses_them_and_no_longer() {
        let (first, second) = (Pipes::new(), Pipes::new());
        let pipes: Vec<_> = (0..KEPT + 5).map(|_| first.take().unwrap()).collect();
        pipes.into_iter().for_each(|pipe| first.put(pipe));
        assert_eq!(pool().empty.len(), KEPT);
        drop(first);
        assert_eq!(pool().empty.len(), KEPT);
        let pipe = second.take().unwrap();
        (&pipe.writer).write_all(b"some bytes").unwrap();
        assert_eq!(pipe.drain(10).unwrap(), b"some bytes");
        second.put(pipe);
        drop(second);
        assert!(pool().empty.is_empty());
    }
}
