//! How datagrams are received, by whatever kind of socket.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::panic::Location;

use runtime::io::Direction;

use super::Datagram;
use crate::kind::{DatagramDevice, DatagramKind};
use crate::socket::Blocks;
use crate::sys;

impl<K: DatagramKind> Datagram<K> {
    /// Receives a datagram; returns its length. What does not fit into the buffer is lost.
    ///
    /// # Errors
    ///
    /// What the system says, such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when
    /// nothing listens at the peer; after [`close`](Self::close) one that
    /// [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is taken only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.send(b"hello").await?;
    /// let mut buf = [0; 64];
    /// let n = b.recv(&mut buf).await?;
    /// assert_eq!(&buf[..n], b"hello");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Read`.
    #[track_caller]
    pub fn recv<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, Blocks::Perhaps, move |socket, _| {
                socket.receive(buf)
            })
    }

    /// Receives a datagram; returns its length and who sent it. What does not fit into the buffer
    /// is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is taken only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.send_to(b"hello", b.local_addr()?).await?;
    /// let mut buf = [0; 64];
    /// let (n, peer) = b.recv_from(&mut buf).await?;
    /// assert_eq!((n, peer), (5, a.local_addr()?));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ReadFromUDP`.
    #[track_caller]
    pub fn recv_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, K::Address)>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, Blocks::Perhaps, move |socket, _| {
                socket.receive_from(buf)
            })
    }

    /// Receives a datagram without taking it: the next call receives it again.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.send(b"hello").await?;
    /// let mut buf = [0; 64];
    /// assert_eq!(b.peek(&mut buf).await?, 5);
    /// assert_eq!(b.recv(&mut buf).await?, 5); // it is still there
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn peek<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, Blocks::Perhaps, move |socket, _| {
                sys::peek(socket.as_fd(), buf)
            })
    }

    /// [`recv`](Self::recv) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; as for [`recv`](Self::recv).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// let nothing = b.try_recv(&mut [0; 64]).unwrap_err();
    /// assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Read` after `SetReadDeadline(time.Now())` comes close.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Read, |socket, _| socket.receive(buf))
    }

    /// [`recv_from`](Self::recv_from) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; as for
    /// [`recv_from`](Self::recv_from).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.send_to(b"hello", b.local_addr()?).await?;
    /// b.readable().await?;
    /// assert_eq!(b.try_recv_from(&mut [0; 64])?, (5, a.local_addr()?));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ReadFrom` after `SetReadDeadline(time.Now())` comes close.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, K::Address)> {
        let inner = &self.inner;
        inner.try_io(Direction::Read, |socket, _| socket.receive_from(buf))
    }

    /// Waits until a datagram may be there, holding no buffer; [`try_recv`](Self::try_recv) tells.
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
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.send(b"hello").await?;
    /// b.readable().await?;
    /// assert_eq!(b.try_recv(&mut [0; 64])?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Read` with a function that only looks.
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.inner.registration().ready(Direction::Read)
    }
}
