//! Two halves that own a stream together, for two tasks, and become one stream again.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use crate::kind::{StreamKind, Tcp};
use crate::stream::Stream;

/// The receiving half of a stream, from [`Stream::into_split`].
///
/// ```
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let stream = net::TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// let (reader, writer) = stream.into_split();
/// let sending = runtime::spawn(async move {
///     writer.write_all(b"hello").await?;
///     std::io::Result::Ok(writer)
/// });
/// server.read_exact(&mut [0; 5]).await?;
/// let writer = sending.await.unwrap()?;
/// let whole: net::TcpStream = reader.reunite(writer).unwrap();
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none.
#[derive(Debug)]
pub struct OwnedReadHalf<K: StreamKind = Tcp>(Stream<K>);

/// The sending half of a stream, from [`Stream::into_split`]. Dropping it ends sending: the peer
/// reads to the end.
///
/// ```
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// let (_reader, writer) = a.into_split();
/// drop(writer);
/// assert_eq!(b.read(&mut [0]).await?, 0); // the end
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none; `CloseWrite` ends sending there.
#[derive(Debug)]
pub struct OwnedWriteHalf<K: StreamKind = Tcp> {
    /// `None` only when it is reunited.
    stream: Option<Stream<K>>,
}

pub(crate) fn halves<K: StreamKind>(stream: Stream<K>) -> (OwnedReadHalf<K>, OwnedWriteHalf<K>) {
    let write = OwnedWriteHalf {
        stream: Some(stream.clone()),
    };
    (OwnedReadHalf(stream), write)
}

impl<K: StreamKind> OwnedReadHalf<K> {
    /// The whole stream.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let halves = a.into_split();
    /// assert!(halves.0.stream().peer_addr().is_ok());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn stream(&self) -> &Stream<K> {
        &self.0
    }

    /// Puts the halves together.
    ///
    /// # Errors
    ///
    /// They are not of one stream; both come back in the error.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (reader, writer) = a.into_split();
    /// let whole: net::UnixStream = reader.reunite(writer).unwrap();
    ///
    /// let (reader, other) = (whole.into_split().0, b.into_split().1);
    /// assert!(reader.reunite(other).is_err()); // halves of different streams
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn reunite(self, mut write: OwnedWriteHalf<K>) -> Result<Stream<K>, ReuniteError<K>> {
        if !Arc::ptr_eq(&self.0.inner, &write.stream().inner) {
            return Err(ReuniteError(self, write));
        }
        // So that its drop does not end sending.
        write.stream = None;
        Ok(self.0)
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
    /// let (reader, _writer) = a.into_split();
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
    /// let (reader, _writer) = a.into_split();
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

impl<K: StreamKind> OwnedWriteHalf<K> {
    /// The whole stream.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let halves = a.into_split();
    /// assert!(halves.1.stream().peer_addr().is_ok());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn stream(&self) -> &Stream<K> {
        self.stream.as_ref().expect("a half that is not reunited")
    }

    /// Gives the half up without ending sending.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let (_reader, writer) = a.into_split();
    /// writer.forget();
    /// b.write_all(b"still open").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn forget(mut self) {
        self.stream = None;
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
    /// let (_reader, writer) = a.into_split();
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
        self.stream().write(buf)
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
    /// let (_reader, writer) = a.into_split();
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
        self.stream().write_vectored(bufs)
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
    /// let (_reader, writer) = a.into_split();
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
        self.stream().write_all(buf)
    }
}

impl<K: StreamKind> Drop for OwnedWriteHalf<K> {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // It fails where the connection has ended already, which is what was wanted.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

/// The error of [`OwnedReadHalf::reunite`]: the halves are of different streams. It holds both.
///
/// ```
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// let (reader, writer) = (a.into_split().0, b.into_split().1);
/// let error: net::ReuniteError<net::Unix> = reader.reunite(writer).unwrap_err();
/// assert_eq!(error.to_string(), "the halves are of different streams");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none.
#[derive(Debug)]
pub struct ReuniteError<K: StreamKind = Tcp>(pub OwnedReadHalf<K>, pub OwnedWriteHalf<K>);

impl<K: StreamKind> fmt::Display for ReuniteError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different streams")
    }
}

impl<K: StreamKind> Error for ReuniteError<K> {}
