//! A TCP connection: how it is made, and the settings that only TCP has. Everything else:
//! `stream/`.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;

use super::Dialer;
use super::options::set_keepalive;
use crate::kind::Tcp;
use crate::resolve::ToSocketAddrs;
use crate::stream::Stream;
use crate::sys;

/// A TCP connection.
///
/// Reads and writes take `&self`: one task may read while another writes. Clones share the
/// connection. All that it can do is described at [`Stream`].
///
/// It closes when it is [closed](Stream::close) or the last clone is dropped. Small writes are sent
/// at once, and a silent peer is probed every 15 s: see [`Dialer`] and
/// [`ListenConfig`](super::ListenConfig).
///
/// ```
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// # runtime::spawn(async move {
/// #     let (stream, _) = listener.accept().await?;
/// #     let mut buf = [0; 16];
/// #     let n = stream.read(&mut buf).await?;
/// #     stream.write_all(&buf[..n]).await
/// # });
/// let stream = net::TcpStream::connect(address).await?;
/// stream.write_all(b"hello").await?;
/// let mut buf = [0; 16];
/// let n = stream.read(&mut buf).await?;
/// assert_eq!(&buf[..n], b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # An idle connection without a buffer
///
/// A server with many silent connections need not hold a buffer for each:
///
/// ```
/// # use std::io;
/// async fn echo(stream: net::TcpStream) -> io::Result<()> {
///     loop {
///         stream.readable().await?;
///         // Only now, and not across an `.await` that may last.
///         let mut buf = [0; 4096];
///         match stream.try_read(&mut buf) {
///             Ok(0) => return Ok(()),
///             Ok(n) => stream.write_all(&buf[..n]).await?,
///             Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
///             Err(error) => return Err(error),
///         }
///     }
/// }
/// ```
///
/// (Here the buffer lives across `write_all`, and so in the task. Where that matters, write with
/// [`try_write`](Stream::try_write) and keep only what could not be sent.)
///
/// **Go:** `*net.TCPConn`.
pub type TcpStream = Stream<Tcp>;

impl Stream<Tcp> {
    /// Connects, with the settings of [`Dialer::new`]. Of a name's addresses the first that answers
    /// is taken.
    ///
    /// # Errors
    ///
    /// As for [`Dialer::connect`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the connection is given up.
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
    /// **Go:** `net.Dial("tcp", addr)`.
    pub async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        Dialer::new().connect(address).await
    }

    /// Whether small writes are sent at once.
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
    /// assert!(stream.nodelay()?); // unless it was said otherwise
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; it is on there, too.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.with(mio::net::TcpStream::nodelay)
    }

    /// Sets whether small writes are sent at once, or collected (Nagle's algorithm). They are sent
    /// at once by default.
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
    /// stream.set_nodelay(false)?;
    /// assert!(!stream.nodelay()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetNoDelay`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.with(|stream| stream.set_nodelay(nodelay))
    }

    /// The silence after which the system probes the peer; `None`: it does not.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// assert_eq!(stream.keepalive()?, Some(Duration::from_secs(15)));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; it is 15 s there, too.
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.settings(|socket| match socket.keepalive()? {
            true => socket.tcp_keepalive_time().map(Some),
            false => Ok(None),
        })
    }

    /// Sets the silence after which the system probes the peer, and the time between probes: whole
    /// seconds, at least one. 15 s by default. The ninth probe without an answer ends the
    /// connection.
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
    /// stream.set_keepalive(None)?;
    /// assert_eq!(stream.keepalive()?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetKeepAlivePeriod`.
    pub fn set_keepalive(&self, interval: Option<Duration>) -> io::Result<()> {
        self.settings(|socket| set_keepalive(socket, interval))
    }

    /// What a close does with data not yet sent: `None` (the default) sends it in the background, a
    /// duration of zero discards it and resets the connection. Other durations block the closing
    /// thread: avoid them.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// stream.set_linger(Some(Duration::ZERO))?; // closing it resets the connection
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetLinger`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.settings(|socket| socket.set_linger(linger))
    }

    /// What a close does with data not yet sent: see [`set_linger`](Self::set_linger).
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
    /// assert_eq!(stream.linger()?, None);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.GetsockoptLinger`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.settings(|socket| socket.linger())
    }

    /// How many routers a packet may pass, in either family: as the system has it by default (64 on
    /// Linux).
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
    /// assert!(stream.ttl()? > 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.Conn.TTL` of `golang.org/x/net`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.with(|stream| {
            let socket = SockRef::from(stream);
            match stream.local_addr()? {
                SocketAddr::V4(_) => socket.ttl_v4(),
                SocketAddr::V6(_) => socket.unicast_hops_v6(),
            }
        })
    }

    /// Sets how many routers a packet may pass: 1 reaches the local network alone.
    ///
    /// # Errors
    ///
    /// It has been closed; the number is zero or above 255.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// stream.set_ttl(1)?;
    /// assert_eq!(stream.ttl()?, 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.Conn.SetTTL` of `golang.org/x/net`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.inner.with(|stream| {
            let socket = SockRef::from(stream);
            match stream.local_addr()? {
                SocketAddr::V4(_) => socket.set_ttl_v4(hops),
                SocketAddr::V6(_) => socket.set_unicast_hops_v6(hops),
            }
        })
    }

    /// Whether acknowledgements are sent at once, at the moment: see
    /// [`set_quickack`](Self::set_quickack).
    ///
    /// # Errors
    ///
    /// It has been closed; other systems than Linux do not have it.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// # #[cfg(target_os = "linux")]
    /// println!("{}", stream.quickack()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)`.
    pub fn quickack(&self) -> io::Result<bool> {
        self.control(sys::quickack)
    }

    /// Has acknowledgements sent at once (true), or held back for what may go with them, as Linux
    /// does for 40 ms at least (false). Linux changes it back by itself as it sees fit, so that it
    /// is to be set again after each read.
    ///
    /// # Errors
    ///
    /// It has been closed; other systems than Linux do not have it.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::TcpStream::connect(address).await?;
    /// # #[cfg(target_os = "linux")]
    /// stream.set_quickack(true)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)`.
    pub fn set_quickack(&self, on: bool) -> io::Result<()> {
        self.control(|socket| sys::set_quickack(socket, on))
    }

    fn settings<R>(&self, f: impl FnOnce(&SockRef<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.with(|stream| f(&SockRef::from(stream)))
    }
}
