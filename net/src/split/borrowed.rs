//! Two halves that borrow a stream: they cost nothing, and live no longer than it does.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};

use crate::kind::{StreamKind, Tcp};
use crate::stream::Stream;

/// The receiving half of a borrowed stream, from [`Stream::split`].
///
/// ```
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let stream = net::TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// let (reader, _writer) = stream.split();
/// server.write_all(b"hello").await?;
/// assert_eq!(reader.read(&mut [0; 8]).await?, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none.
#[derive(Debug)]
pub struct ReadHalf<'a, K: StreamKind = Tcp>(&'a Stream<K>);

/// The sending half of a borrowed stream, from [`Stream::split`]. Dropping it ends nothing.
///
/// ```
/// use net::{ReadHalf, Unix, WriteHalf};
///
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// let (_, writer): (_, WriteHalf<'_, Unix>) = a.split();
/// writer.write_all(b"hello").await?;
/// b.read_exact(&mut [0; 5]).await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none.
#[derive(Debug)]
pub struct WriteHalf<'a, K: StreamKind = Tcp>(&'a Stream<K>);

pub(crate) fn halves<K: StreamKind>(stream: &Stream<K>) -> (ReadHalf<'_, K>, WriteHalf<'_, K>) {
    (ReadHalf(stream), WriteHalf(stream))
}

impl<K: StreamKind> Clone for ReadHalf<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: StreamKind> Copy for ReadHalf<'_, K> {}

impl<K: StreamKind> Clone for WriteHalf<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: StreamKind> Copy for WriteHalf<'_, K> {}

impl<'a, K: StreamKind> ReadHalf<'a, K> {
    /// The whole stream.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let half = a.split().0;
    /// assert!(half.stream().peer_addr().is_ok());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn stream(&self) -> &'a Stream<K> {
        self.0
    }

    /// See [`Stream::read`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (reader, _writer) = a.split();
    /// b.write_all(b"hello").await?;
    /// assert_eq!(reader.read(&mut [0; 16]).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Read`.
    #[track_caller]
    pub fn read<'b>(
        &'b self,
        buf: &'b mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.read(buf)
    }

    /// See [`Stream::read_exact`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how many bytes are in the buffer is forgotten.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (reader, _writer) = a.split();
    /// b.write_all(b"hello").await?;
    /// reader.read_exact(&mut [0; 5]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `io.ReadFull`.
    #[track_caller]
    pub fn read_exact<'b>(
        &'b self,
        buf: &'b mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'b {
        self.0.read_exact(buf)
    }
}

impl<'a, K: StreamKind> WriteHalf<'a, K> {
    /// The whole stream.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let half = a.split().1;
    /// assert!(half.stream().peer_addr().is_ok());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn stream(&self) -> &'a Stream<K> {
        self.0
    }

    /// See [`Stream::write`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (_reader, writer) = a.split();
    /// assert_eq!(writer.write(b"hello").await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Write`, which goes on until all is written.
    #[track_caller]
    pub fn write<'b>(
        &'b self,
        buf: &'b [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.write(buf)
    }

    /// See [`Stream::write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    ///
    /// ```
    /// use std::io::IoSlice;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (_reader, writer) = a.split();
    /// let n = writer.write_vectored(&[IoSlice::new(b"he"), IoSlice::new(b"llo")]).await?;
    /// assert_eq!(n, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.Buffers`.
    #[track_caller]
    pub fn write_vectored<'b>(
        &'b self,
        bufs: &'b [IoSlice<'b>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.write_vectored(bufs)
    }

    /// See [`Stream::write_all`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much has been sent is forgotten.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (_reader, writer) = a.split();
    /// writer.write_all(b"hello").await?;
    /// b.read_exact(&mut [0; 5]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Write`.
    #[track_caller]
    pub fn write_all<'b>(
        &'b self,
        buf: &'b [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'b {
        self.0.write_all(buf)
    }
}
