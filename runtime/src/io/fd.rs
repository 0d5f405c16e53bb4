//! ⚠ [`Fd`]: any descriptor, for a [`Source`].
//!
//! mio registers what implements its trait, which is for sockets and pipes, and offers `SourceFd`
//! for the rest. This is the rest of it: one name around whatever has a descriptor. It reads and
//! writes as the device does, so that calls look the same as with mio's pipes.
//!
//! *Rejected:* asking [`Source`] for `AsFd` alone. Then a file would need no wrapper; but devices
//! that know mio, and show their descriptor only as a number, could not be used without unsafe
//! code.
//!
//! Unsafe here: `fcntl`, which std has for its own sockets only.

use std::io::{self, Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};

use super::source::Source;

/// Anything that has a descriptor, as a device for a [`Source`]: a FIFO, a terminal, a serial port,
/// inotify, a `std::fs::File` or an `OwnedFd` of whatever kind the system can poll.
///
/// It dereferences to the device, and reads and writes as a reference to the device does.
///
/// [`Source::from_fd`] wraps, makes non-blocking and registers in one. Use this where the
/// descriptor is non-blocking already, or where that is shared with others.
///
/// ```
/// use std::fs::File;
/// use std::io::{Read, Write};
/// use std::os::fd::OwnedFd;
///
/// use runtime::io::{Fd, Source};
///
/// # runtime::block_on(async {
/// // Non-blocking, and so is the other end.
/// let (one, other) = std::os::unix::net::UnixStream::pair()?;
/// one.set_nonblocking(true)?;
/// let one = Source::new(Fd(File::from(OwnedFd::from(one))))?;
///
/// (&other).write_all(b"hello")?;
/// let mut buf = [0; 16];
/// let n = one.read_with(|mut file| file.read(&mut buf)).await?;
/// assert_eq!(&buf[..n], b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `os.File`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fd<T>(pub T);

impl<T: AsFd> Source<Fd<T>> {
    /// Makes a descriptor non-blocking and registers it with the current runtime.
    ///
    /// That it is non-blocking concerns everybody who has the same open file: a child process that
    /// has inherited it, a duplicate, and, for standard input and output, the shell that has
    /// started the program. Open a FIFO or a terminal by its name to have one of your own.
    ///
    /// A FIFO blocks when it is opened already: open it with `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// As for [`Source::new`]. Regular files and directories cannot be waited for
    /// ([`PermissionDenied`](io::ErrorKind::PermissionDenied) on Linux): use them in
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::process::{Command, Stdio};
    ///
    /// use runtime::io::Source;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let stdout = Source::from_fd(std::fs::File::from(std::os::fd::OwnedFd::from(
    ///     child.stdout.take().unwrap(),
    /// )))?;
    /// let mut buf = [0; 16];
    /// let n = stdout.read_with(|mut pipe| pipe.read(&mut buf)).await?;
    /// assert_eq!(&buf[..n], b"hello\n");
    /// # child.wait()?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.SetNonblock`, then `os.NewFile`.
    #[track_caller]
    pub fn from_fd(device: T) -> io::Result<Self> {
        set_nonblocking(device.as_fd())?;
        Self::new(Fd(device)).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => io::Error::new(error.kind(), CANNOT_WAIT),
            _ => error,
        })
    }
}

const CANNOT_WAIT: &str = "the system cannot wait for this kind of descriptor (a regular file or a \
    directory is always ready): use it in spawn_blocking";

fn set_nonblocking(device: BorrowedFd<'_>) -> io::Result<()> {
    let fd = device.as_raw_fd();
    // SAFETY: the descriptor is open, since it is borrowed; the call has no memory of ours.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::O_NONBLOCK != 0 {
        return Ok(());
    }
    // SAFETY: as above.
    match unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

impl<T: AsFd> Fd<T> {
    fn raw(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> event::Source for Fd<T> {
    fn register(&mut self, with: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.raw()).register(with, token, interest)
    }

    fn reregister(&mut self, with: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.raw()).reregister(with, token, interest)
    }

    fn deregister(&mut self, with: &Registry) -> io::Result<()> {
        SourceFd(&self.raw()).deregister(with)
    }
}

impl<T: AsFd> AsFd for Fd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<T> Deref for Fd<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fd<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'a, T> Read for &'a Fd<T>
where
    &'a T: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.0).read_vectored(bufs)
    }
}

impl<'a, T> Write for &'a Fd<T>
where
    &'a T: Write,
{
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.0).flush()
    }
}
