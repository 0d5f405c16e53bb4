//! The two directions of a stream as two values: borrowed, or owned by two tasks.
//!
//! They are for code that wants to own a reader and a writer; a stream's own methods read and write through `&self`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use super::TcpStream;

/// The receiving half of a borrowed stream, from [`TcpStream::split`].
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
#[derive(Clone, Copy, Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The sending half of a borrowed stream, from [`TcpStream::split`]. Dropping it ends nothing.
///
/// **Go:** none.
#[derive(Clone, Copy, Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

/// The receiving half of a stream, from [`TcpStream::into_split`].
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
pub struct OwnedReadHalf(TcpStream);

/// The sending half of a stream, from [`TcpStream::into_split`]. Dropping it ends sending: the peer reads to the end.
///
/// **Go:** none; `CloseWrite` ends sending there.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    /// `None` only when it is reunited.
    stream: Option<TcpStream>,
}

pub(super) fn borrowed(stream: &TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(super) fn owned(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let write = OwnedWriteHalf {
        stream: Some(stream.clone()),
    };
    (OwnedReadHalf(stream), write)
}

impl<'a> ReadHalf<'a> {
    /// The whole stream.
    pub fn stream(&self) -> &'a TcpStream {
        self.0
    }

    /// See [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    #[track_caller]
    pub fn read<'b>(
        &'b self,
        buf: &'b mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.read(buf)
    }

    /// See [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how many bytes are in the buffer is forgotten.
    #[track_caller]
    pub fn read_exact<'b>(
        &'b self,
        buf: &'b mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'b {
        self.0.read_exact(buf)
    }
}

impl<'a> WriteHalf<'a> {
    /// The whole stream.
    pub fn stream(&self) -> &'a TcpStream {
        self.0
    }

    /// See [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    #[track_caller]
    pub fn write<'b>(
        &'b self,
        buf: &'b [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.write(buf)
    }

    /// See [`TcpStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    #[track_caller]
    pub fn write_vectored<'b>(
        &'b self,
        bufs: &'b [IoSlice<'b>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.write_vectored(bufs)
    }

    /// See [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much has been sent is forgotten.
    #[track_caller]
    pub fn write_all<'b>(
        &'b self,
        buf: &'b [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'b {
        self.0.write_all(buf)
    }
}

impl OwnedReadHalf {
    /// The whole stream.
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }

    /// Puts the halves together.
    ///
    /// # Errors
    ///
    /// They are not of one stream; both come back in the error.
    pub fn reunite(self, mut write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.0.inner, &write.stream().inner) {
            return Err(ReuniteError(self, write));
        }
        // So that its drop does not end sending.
        write.stream = None;
        Ok(self.0)
    }

    /// See [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    #[track_caller]
    pub fn read<'b>(
        &'b self,
        buf: &'b mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.0.read(buf)
    }

    /// See [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how many bytes are in the buffer is forgotten.
    #[track_caller]
    pub fn read_exact<'b>(
        &'b self,
        buf: &'b mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'b {
        self.0.read_exact(buf)
    }
}

impl OwnedWriteHalf {
    /// The whole stream.
    pub fn stream(&self) -> &TcpStream {
        self.stream.as_ref().expect("a half that is not reunited")
    }

    /// Gives the half up without ending sending.
    pub fn forget(mut self) {
        self.stream = None;
    }

    /// See [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    #[track_caller]
    pub fn write<'b>(
        &'b self,
        buf: &'b [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.stream().write(buf)
    }

    /// See [`TcpStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    #[track_caller]
    pub fn write_vectored<'b>(
        &'b self,
        bufs: &'b [IoSlice<'b>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'b {
        self.stream().write_vectored(bufs)
    }

    /// See [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much has been sent is forgotten.
    #[track_caller]
    pub fn write_all<'b>(
        &'b self,
        buf: &'b [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'b {
        self.stream().write_all(buf)
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // It fails where the connection has ended already, which is what was wanted.
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}

/// The error of [`OwnedReadHalf::reunite`]: the halves are of different streams. It holds both.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different streams")
    }
}

impl Error for ReuniteError {}
