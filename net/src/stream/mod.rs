//! A connection of whatever kind: what a TCP and a Unix stream have in common, which is nearly
//! everything. How it reads and writes: `bytes.rs`; what the kinds differ in: `kind.rs`.
#![forbid(unsafe_code)]

mod reading;
mod writing;

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use runtime::io::Direction;
use runtime::time::Instant;

use crate::kind::{StreamDevice, StreamKind};
use crate::socket::{Socket, shared};
use crate::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};

/// A connection: a [`TcpStream`](crate::TcpStream) or a [`UnixStream`](crate::UnixStream). This is
/// what they have in common.
///
/// Reads and writes take `&self`: one task may read while another writes. Clones share the
/// connection. Two tasks that write at once each write whole calls of [`write`](Self::write), but
/// the pieces of two [`write_all`](Self::write_all) may mingle.
///
/// It closes when it is [closed](Self::close) or the last clone is dropped.
///
/// ```
/// use net::{Stream, StreamKind};
///
/// // For connections of either kind.
/// async fn greet<K: StreamKind>(stream: &Stream<K>) -> std::io::Result<()> {
///     stream.write_all(b"hello").await
/// }
///
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// greet(&a).await?;
/// b.read_exact(&mut [0; 5]).await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `net.Conn`.
pub struct Stream<K: StreamKind> {
    pub(crate) inner: Arc<Socket<K::Device>>,
}

impl<K: StreamKind> Stream<K> {
    #[track_caller]
    pub(crate) fn register(device: K::Device) -> io::Result<Self> {
        Ok(Self::from_socket(Socket::new_reading(device)?))
    }

    pub(crate) fn from_socket(socket: Socket<K::Device>) -> Self {
        Self {
            inner: Arc::new(socket),
        }
    }

    // ---- deadlines ----

    /// Sets the time at which reads and writes fail: those that wait, and those to come, until
    /// another deadline is set. A time that has passed fails them now, even where data are ready;
    /// `None` lifts the deadline.
    ///
    /// The error has the kind [`TimedOut`](io::ErrorKind::TimedOut) and a text that begins with
    /// `i/o timeout`; [`is_deadline`](crate::is_deadline) knows it. The connection stays usable:
    /// set another deadline. Putting it off for each message is cheap and sets no timer.
    ///
    /// For one operation [`runtime::time::timeout`] does as well.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = net::TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_deadline(Instant::now() + Duration::from_millis(5))?;
    /// let error = stream.read(&mut [0; 8]).await.unwrap_err();
    /// assert!(net::is_deadline(&error));
    /// stream.set_deadline(None)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetDeadline`.
    #[track_caller]
    pub fn set_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        let at = at.into();
        self.inner.set_deadline(Direction::Read, at)?;
        self.inner.set_deadline(Direction::Write, at)
    }

    /// [`set_deadline`](Self::set_deadline) for reads alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// a.set_read_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&a.read(&mut [0]).await.unwrap_err()));
    /// a.write_all(b"writing is not concerned").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetReadDeadline`.
    #[track_caller]
    pub fn set_read_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Read, at.into())
    }

    /// [`set_deadline`](Self::set_deadline) for writes alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// a.set_write_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&a.write(b"hello").await.unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetWriteDeadline`.
    #[track_caller]
    pub fn set_write_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Write, at.into())
    }

    // ---- ending ----

    /// Ends one direction or both, and keeps the connection: after `Shutdown::Write` the peer reads
    /// to the end and may still answer.
    ///
    /// # Errors
    ///
    /// What the system says, such as [`NotConnected`](io::ErrorKind::NotConnected) when the peer
    /// has reset the connection.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, _) = listener.accept().await?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// assert_eq!(server.read(&mut [0; 8]).await?, 0);
    /// server.write_all(b"goodbye").await?;
    /// client.read_exact(&mut [0; 7]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `CloseWrite`, `CloseRead`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.with(|stream| stream.end(how))
    }

    /// Closes the connection for all clones and halves. Whoever waits on it is told by an error
    /// that [`is_closed`](crate::is_closed) knows, as is whoever uses it afterwards. The descriptor
    /// is given back once the calls under way have returned; its number is never used after that.
    ///
    /// # Errors
    ///
    /// It was closed before.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let client = net::TcpStream::connect(listener.local_addr()?).await?;
    /// let reading = client.clone();
    /// let reader = runtime::spawn(async move { reading.read(&mut [0; 8]).await });
    /// runtime::yield_now().await;
    /// client.close()?;
    /// let error = reader.await.unwrap().unwrap_err();
    /// assert!(net::is_closed(&error));
    /// assert!(error.to_string().starts_with("use of closed network connection"));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.Close()`.
    pub fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    // ---- halves ----

    /// Two borrowed halves, to lend a reader and a writer to code that wants one of each. It costs
    /// nothing.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (reader, writer) = a.split();
    /// writer.write_all(b"hello").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; both directions are used through one `Conn`, and so they may be here.
    pub fn split(&self) -> (ReadHalf<'_, K>, WriteHalf<'_, K>) {
        split::borrowed::halves(self)
    }

    /// Two owned halves, for two tasks. They are put together again by [`OwnedReadHalf::reunite`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (reader, writer) = a.into_split();
    /// runtime::spawn(async move { writer.write_all(b"hello").await });
    /// b.read_exact(&mut [0; 5]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; both goroutines hold the same `Conn`. So may two clones here.
    pub fn into_split(self) -> (OwnedReadHalf<K>, OwnedWriteHalf<K>) {
        split::owned::halves(self)
    }

    // ---- addresses, and the descriptor ----

    /// The peer's address; that of a Unix client is unnamed.
    ///
    /// # Errors
    ///
    /// It has been closed, or the peer has reset the connection.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// assert_eq!(stream.peer_addr()?, address);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.RemoteAddr()`.
    pub fn peer_addr(&self) -> io::Result<K::Address> {
        self.inner.with(|stream| stream.peer())
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// assert!(stream.local_addr()?.ip().is_loopback());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.LocalAddr()`.
    pub fn local_addr(&self) -> io::Result<K::Address> {
        self.inner.with(|stream| stream.local())
    }

    /// The error that the system holds for this connection, if any; it is taken.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// assert!(a.take_error()?.is_none());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.with(|stream| stream.error())
    }

    /// Calls `f` with the descriptor, for settings that have no method here. It must not block, and
    /// must not read or write: the readiness would not be known. It may call
    /// [`close`](Self::close): the descriptor is then given back when it returns.
    ///
    /// # Errors
    ///
    /// It has been closed; what `f` returns.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let descriptor = a.control(|fd| Ok(fd.as_raw_fd()))?;
    /// assert!(descriptor > 2);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Control(f)`.
    pub fn control<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.control(f)
    }

    /// Takes a stream of the standard library into the current runtime; it is made non-blocking.
    /// Its settings stay as they are.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = std::os::unix::net::UnixStream::pair()?;
    /// let (a, b) = (net::UnixStream::from_std(a)?, net::UnixStream::from_std(b)?);
    /// a.write_all(b"hello").await?;
    /// b.read_exact(&mut [0; 5]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.FileConn`.
    #[track_caller]
    pub fn from_std(stream: K::Std) -> io::Result<Self> {
        Self::register(K::Device::adopt(stream)?)
    }

    /// Takes the stream out of the runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// It has been closed, or there are clones of it
    /// ([`ResourceBusy`](io::ErrorKind::ResourceBusy)).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = net::TcpStream::connect(listener.local_addr()?).await?;
    /// let stream = stream.into_std()?;
    /// stream.set_nonblocking(false)?;
    /// let stream = net::TcpStream::from_std(stream)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.File()`, which duplicates the descriptor.
    pub fn into_std(self) -> io::Result<K::Std> {
        let socket = Arc::try_unwrap(self.inner).map_err(|_| shared())?;
        socket.into_device().map(StreamDevice::release)
    }
}

/// Another handle to the same connection.
impl<K: StreamKind> Clone for Stream<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K: StreamKind> fmt::Debug for Stream<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.describe(K::STREAM, f)
    }
}
