//! Reading from a connection: what waits, and what does not.
#![forbid(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::panic::Location;

use runtime::io::Direction;

use super::Stream;
use crate::kind::StreamKind;
use crate::socket::Blocks;
use crate::sys;

impl<K: StreamKind> Stream<K> {
    /// Reads what is there, up to the buffer's length, waiting while there is nothing. Returns the
    /// number of bytes; zero means that the peer has finished sending, or that the buffer is empty,
    /// in which case it returns at once.
    ///
    /// # Errors
    ///
    /// What the system says, such as [`ConnectionReset`](io::ErrorKind::ConnectionReset); after
    /// [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// b.write_all(b"hello").await?;
    /// let mut buf = [0; 16];
    /// let n = a.read(&mut buf).await?;
    /// assert_eq!(&buf[..n], b"hello");
    /// drop(b);
    /// assert_eq!(a.read(&mut buf).await?, 0); // the end
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `conn.Read(buf)`, with `0` in place of `io.EOF`.
    #[track_caller]
    pub fn read<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.read(Location::caller(), buf)
    }

    /// Fills the buffer.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the peer finishes sending before it is
    /// full; otherwise as for [`read`](Self::read). What has been read is in the buffer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: bytes may have been read into the buffer, and how many is forgotten.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// b.write_all(b"hello").await?;
    /// let mut word = [0; 5];
    /// a.read_exact(&mut word).await?;
    /// assert_eq!(&word, b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `io.ReadFull(conn, buf)`.
    #[track_caller]
    pub fn read_exact<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        self.inner.read_exact(Location::caller(), buf)
    }

    /// Reads into several buffers, one after the other, with one system call; see
    /// [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    ///
    /// ```
    /// use std::io::IoSliceMut;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// b.write_all(b"hello").await?;
    /// let (mut head, mut body) = ([0; 2], [0; 8]);
    /// let mut bufs = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut body)];
    /// assert_eq!(a.read_vectored(&mut bufs).await?, 5);
    /// assert_eq!((&head, &body[..3]), (b"he", &b"llo"[..]));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn read_vectored<'a>(
        &'a self,
        bufs: &'a mut [IoSliceMut<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.read_vectored(Location::caller(), bufs)
    }

    /// Reads what is there without taking it: the next read returns it again. Waits for the first
    /// byte, and for no more: a loop that peeks until there is enough uses the CPU meanwhile. One
    /// byte tells TLS (`0x16`) from other protocols; who needs to see more reads it, and passes it
    /// on.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// b.write_all(b"hello").await?;
    /// assert_eq!(a.peek(&mut [0; 16]).await?, 5);
    /// assert_eq!(a.read(&mut [0; 16]).await?, 5); // they are still there
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `bufio.Reader.Peek`.
    #[track_caller]
    pub fn peek<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let (place, blocks) = (Location::caller(), Blocks::unless(buf.is_empty()));
        self.inner
            .io(Direction::Read, place, blocks, move |stream, _| {
                if buf.is_empty() {
                    return Ok(0);
                }
                sys::peek(stream.as_fd(), buf)
            })
    }

    /// Waits until a read may succeed, holding no buffer. It may return for nothing:
    /// [`try_read`](Self::try_read) tells.
    ///
    /// # Errors
    ///
    /// After [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows; the runtime has
    /// shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// b.write_all(b"hello").await?;
    /// a.readable().await?; // no buffer is held meanwhile
    /// assert_eq!(a.try_read(&mut [0; 16])?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; a goroutine holds its buffer while it waits.
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.inner.registration().ready(Direction::Read)
    }

    /// Reads what is there, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing; the next
    /// [`readable`](Self::readable) waits then. Otherwise as for [`read`](Self::read).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// let nothing = a.try_read(&mut [0; 16]).unwrap_err();
    /// assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buf)
    }

    /// [`try_read`](Self::try_read) into several buffers.
    ///
    /// # Errors
    ///
    /// As for [`try_read`](Self::try_read).
    ///
    /// ```
    /// use std::io::IoSliceMut;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// b.write_all(b"hello").await?;
    /// a.readable().await?;
    /// let mut buf = [0; 16];
    /// assert_eq!(a.try_read_vectored(&mut [IoSliceMut::new(&mut buf)])?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.inner.try_read_vectored(bufs)
    }
}
