//! A descriptor together with its registration.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use super::attempt::Attempt;
use super::operation::Readiness;
use super::registration::Registration;
use super::state::Direction;

/// A non-blocking device in the reactor of the runtime that it was made on.
///
/// Registered once, for reading and writing, edge-triggered, until it is dropped. Calls go through
/// [`read_with`](Self::read_with) and [`write_with`](Self::write_with), which try first and wait if
/// the call would block; or by hand through [`readable`](Self::readable) and
/// [`try_io`](Self::try_io).
///
/// The device must be in non-blocking mode, or its calls block the thread.
///
/// ```
/// use runtime::io::{Source, mio};
/// use std::io::{Read, Write};
///
/// # runtime::block_on(async {
/// let (sender, receiver) = mio::unix::pipe::new()?;
/// let (sender, receiver) = (Source::new(sender)?, Source::new(receiver)?);
/// sender.write_with(|mut pipe| pipe.write(b"ping")).await?;
///
/// // Waits without holding a buffer, then reads into one that is borrowed for a moment.
/// let mut buf = [0; 4];
/// loop {
///     receiver.readable().await?;
///     match receiver.try_io(runtime::io::Direction::Read, |mut pipe| pipe.read(&mut buf)) {
///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
///         n => break assert_eq!(n?, 4),
///     }
/// }
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # A device of your own
///
/// mio knows sockets and pipes ([`mio::net`], [`mio::unix::pipe`]). For any other descriptor that
/// the system can poll (a FIFO, a terminal or serial port, inotify, a timer) there is
/// [`from_fd`](Self::from_fd):
///
/// ```
/// use std::fs::{File, OpenOptions};
/// use std::io::{self, Read};
/// use std::os::unix::fs::OpenOptionsExt;
/// use std::path::Path;
///
/// use runtime::io::{Fd, Source};
///
/// fn open(path: &Path) -> io::Result<Source<Fd<File>>> {
///     // Without O_NONBLOCK opening a FIFO would wait for the other end.
///     let fifo = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
///     Source::from_fd(fifo)
/// }
///
/// # let path = std::env::temp_dir().join(format!("runtime-fifo-{}", std::process::id()));
/// # assert!(std::process::Command::new("mkfifo").arg(&path).status()?.success());
/// # runtime::block_on(async {
/// let fifo = open(&path)?;
/// # let writer = path.clone();
/// let writing = runtime::spawn_blocking(move || std::fs::write(writer, "hello"));
/// let mut text = Vec::new();
/// while text.len() < 5 {
///     let mut buf = [0; 16];
///     let n = fifo.read_with(|mut fifo| fifo.read(&mut buf)).await?;
///     text.extend_from_slice(&buf[..n]);
///     # if n == 0 { runtime::yield_now().await; } // nobody has opened the other end yet
/// }
/// assert_eq!(text, b"hello");
/// # writing.await.unwrap()?;
/// # io::Result::Ok(()) }).unwrap();
/// # std::fs::remove_file(&path)?;
/// # io::Result::Ok(())
/// ```
///
/// Where reading is a call of its own (an inotify event, a CAN frame), make it with what
/// [`Fd`](super::Fd) dereferences to. A device that is not a descriptor's owner, or has more to do
/// when it is registered, implements [`mio::event::Source`].
///
/// What has to hold:
///
/// - The descriptor is **non-blocking**. It is polled with both interests; an end of a pipe is
///   ready in one direction alone, which is fine.
/// - **All** calls that may block go through the source. It learns from their `WouldBlock` that it
///   has to wait for the next event; who reads past it leaves it believing that there is something,
///   which costs a call for nothing, and never hangs.
/// - The call in [`read_with`](Self::read_with) is made until it does not say `WouldBlock`: it does
///   one thing, and does all of it or nothing.
/// - Dropping the source takes the descriptor out of the reactor, then drops the device, which
///   closes the descriptor if it owns it.
/// - Regular files and directories cannot be polled: [`new`](Self::new) fails. Read them in
///   [`spawn_blocking`](crate::spawn_blocking).
/// - Poll forms ([`poll_read_ready`](Self::poll_read_ready), [`try_io`](Self::try_io)) make a
///   `futures_io` or tokio stream of it in some lines: loop over "wait until ready", "try", and "if
///   it would block, again".
///
/// **Go:** `os.NewFile` on a non-blocking descriptor.
pub struct Source<S: mio::event::Source> {
    /// `None` only in `into_inner`, on the way out.
    device: Option<S>,
    registration: Registration,
}

impl<S: mio::event::Source> Source<S> {
    /// Registers the device with the current runtime.
    ///
    /// # Errors
    ///
    /// What the system says (it cannot be polled, it is registered already, memory is short); an
    /// error that [`is_shutdown`](super::is_shutdown) knows if the runtime is shutting down.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(receiver)?;
    /// assert!(!format!("{source:?}").is_empty());
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.NewFile`.
    #[track_caller]
    pub fn new(mut device: S) -> io::Result<Self> {
        let registration = Registration::new(&mut device)?;
        Ok(Self {
            device: Some(device),
            registration,
        })
    }

    /// The device.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    /// use std::os::fd::AsRawFd;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(receiver)?;
    /// assert!(source.get_ref().as_raw_fd() > 2);
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.File.SyscallConn`.
    pub fn get_ref(&self) -> &S {
        self.device.as_ref().expect(PRESENT)
    }

    /// The device, to change its settings. Do not replace it: the registration would be about
    /// another one.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let mut source = Source::new(receiver)?;
    /// source.get_mut().set_nonblocking(true)?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.File.SyscallConn`.
    pub fn get_mut(&mut self) -> &mut S {
        self.device.as_mut().expect(PRESENT)
    }

    /// Takes the device out of the reactor and gives it back, still non-blocking.
    ///
    /// # Errors
    ///
    /// What the system says; the device is closed then.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let receiver = Source::new(receiver)?.into_inner()?;
    /// # drop((sender, receiver));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.File.Fd`.
    pub fn into_inner(mut self) -> io::Result<S> {
        let mut device = self.device.take().expect(PRESENT);
        self.registration.deregister_in_place(&mut device)?;
        Ok(device)
    }

    /// Waits until a read may succeed: there are data, the end, or an error. May be wrong now and
    /// then: read with [`try_io`](Self::try_io), and on `WouldBlock` wait again.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(receiver)?;
    /// source.readable().await?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn readable(&self) -> Readiness<'_> {
        self.registration.ready(Direction::Read)
    }

    /// Waits until a write may succeed; see [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(sender)?;
    /// source.writable().await?;
    /// # drop(receiver);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn writable(&self) -> Readiness<'_> {
        self.registration.ready(Direction::Write)
    }

    /// The poll form of [`readable`](Self::readable). Several tasks may wait so at once.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(receiver)?;
    /// poll_fn(|cx| source.poll_read_ready(cx)).await?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration.poll_ready(Direction::Read, cx)
    }

    /// The poll form of [`writable`](Self::writable). Several tasks may wait so at once.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(sender)?;
    /// poll_fn(|cx| source.poll_write_ready(cx)).await?;
    /// # drop(receiver);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registration.poll_ready(Direction::Write, cx)
    }

    /// Makes a non-blocking call now, if the direction may be ready.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it is not ready or the call said so: the next
    /// wait waits for an event then. Whatever else the call says.
    ///
    /// ```
    /// use runtime::io::{Direction, Source, mio};
    /// use std::io::Read;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(receiver)?;
    /// let nothing = source.try_io(Direction::Read, |mut pipe| pipe.read(&mut [0; 16]));
    /// assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let device = self.get_ref();
        self.registration.try_io(direction, |_| call(device))
    }

    /// Makes a receiving call; while it would block, waits and repeats it. A call that was
    /// interrupted is repeated too.
    ///
    /// # Errors
    ///
    /// What the call says, other than `WouldBlock` and `Interrupted`; the runtime has shut down
    /// while it waited.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if the call is: it has either completed, and the future is ready, or done
    /// nothing.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    /// use std::io::Read;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(receiver)?;
    /// drop(sender);
    /// let n = source.read_with(|mut pipe| pipe.read(&mut [0; 16])).await?;
    /// assert_eq!(n, 0); // the end
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.File.Read`.
    #[track_caller]
    pub fn read_with<'a, R>(
        &'a self,
        call: impl FnMut(&'a S) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        self.with(Direction::Read, call)
    }

    /// Makes a sending call; while it would block, waits and repeats it. A call that was
    /// interrupted is repeated too.
    ///
    /// # Errors
    ///
    /// What the call says, other than `WouldBlock` and `Interrupted`; the runtime has shut down
    /// while it waited.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if the call is: it has either completed, and the future is ready, or done
    /// nothing.
    ///
    /// ```
    /// use runtime::io::{Source, mio};
    /// use std::io::Write;
    ///
    /// # runtime::block_on(async {
    /// let (sender, receiver) = mio::unix::pipe::new()?;
    /// let source = Source::new(sender)?;
    /// let n = source.write_with(|mut pipe| pipe.write(b"hello")).await?;
    /// assert_eq!(n, 5);
    /// # drop(receiver);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.File.Write`.
    #[track_caller]
    pub fn write_with<'a, R>(
        &'a self,
        call: impl FnMut(&'a S) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        self.with(Direction::Write, call)
    }

    #[track_caller]
    fn with<'a, R>(
        &'a self,
        direction: Direction,
        mut call: impl FnMut(&'a S) -> io::Result<R>,
    ) -> impl Future<Output = io::Result<R>> {
        let device = self.get_ref();
        let call = move |_: &Attempt<'_>| call(device);
        self.registration.io(direction, call)
    }
}

const PRESENT: &str = "the device is there until the source is taken apart";

impl<S: mio::event::Source> Drop for Source<S> {
    fn drop(&mut self) {
        // The device may live on: as a duplicate, or because it is a borrowed descriptor. So the
        // kernel is told. Where that fails the descriptor is gone already, and its events find no
        // user.
        if let Some(device) = &mut self.device {
            let _ = self.registration.deregister_in_place(device);
        }
    }
}

impl<S: mio::event::Source + fmt::Debug> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("device", &self.device)
            .field("registration", &self.registration)
            .finish()
    }
}
