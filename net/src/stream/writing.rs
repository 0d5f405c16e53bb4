//! Writing to a connection: what waits, and what does not.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::panic::Location;

use runtime::io::Direction;

use super::Stream;
use crate::kind::StreamKind;

impl<K: StreamKind> Stream<K> {
    /// Writes what the system takes of the buffer, waiting while it takes nothing. Returns the
    /// number of bytes, which may be short.
    ///
    /// # Errors
    ///
    /// What the system says, such as [`BrokenPipe`](io::ErrorKind::BrokenPipe) or
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset); after [`close`](Self::close) one that
    /// [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// assert_eq!(a.write(b"hello").await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.Write` writes all; that is [`write_all`](Self::write_all).
    #[track_caller]
    pub fn write<'a>(
        &'a self,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.write(Location::caller(), buf)
    }

    /// Writes the whole buffer.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write); part of the buffer may have been sent.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much has been sent is forgotten.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// a.write_all(b"hello").await?;
    /// b.read_exact(&mut [0; 5]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.Write(buf)`. Go also keeps the writes of two goroutines apart.
    #[track_caller]
    pub fn write_all<'a>(
        &'a self,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        self.inner.write_all(Location::caller(), buf)
    }

    /// Writes several buffers, one after the other, with one system call; see
    /// [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
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
    /// let n = a.write_vectored(&[IoSlice::new(b"he"), IoSlice::new(b"llo")]).await?;
    /// assert_eq!(n, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.Buffers.WriteTo`, which writes all.
    #[track_caller]
    pub fn write_vectored<'a>(
        &'a self,
        bufs: &'a [IoSlice<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.write_vectored(Location::caller(), bufs)
    }

    /// Waits until a write may succeed. It may return for nothing: [`try_write`](Self::try_write)
    /// tells.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is sent.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// a.writable().await?;
    /// assert_eq!(a.try_write(b"hello")?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.inner.registration().ready(Direction::Write)
    }

    /// Writes what the system takes, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it takes nothing; the next
    /// [`writable`](Self::writable) waits then. Otherwise as for [`write`](Self::write).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// assert_eq!(a.try_write(b"hello")?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.try_write(buf)
    }

    /// [`try_write`](Self::try_write) of several buffers.
    ///
    /// # Errors
    ///
    /// As for [`try_write`](Self::try_write).
    ///
    /// ```
    /// use std::io::IoSlice;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// assert_eq!(a.try_write_vectored(&[IoSlice::new(b"hello")])?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.inner.try_write_vectored(bufs)
    }
}
