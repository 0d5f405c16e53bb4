//! Receiving and sending, for futures and streams that are written by hand.
#![forbid(unsafe_code)]

use std::io;
use std::task::{Context, Poll};

use runtime::io::Direction;

use super::Datagram;
use crate::kind::{DatagramDevice, DatagramKind};

impl<K: DatagramKind> Datagram<K> {
    /// The poll form of [`recv`](Self::recv). Of several tasks that poll, the last is woken.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.send(b"hello").await?;
    /// let mut buf = [0; 16];
    /// assert_eq!(poll_fn(|cx| b.poll_recv(cx, &mut buf)).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; a goroutine waits.
    #[track_caller]
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let inner = &self.inner;
        inner.poll_io(Direction::Read, cx, |socket, _| socket.receive(buf))
    }

    /// The poll form of [`recv_from`](Self::recv_from). Of several tasks that poll, the last is
    /// woken.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.send_to(b"hello", b.local_addr()?).await?;
    /// let mut buf = [0; 16];
    /// assert_eq!(poll_fn(|cx| b.poll_recv_from(cx, &mut buf)).await?, (5, a.local_addr()?));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; a goroutine waits.
    #[track_caller]
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, K::Address)>> {
        let inner = &self.inner;
        inner.poll_io(Direction::Read, cx, |socket, _| socket.receive_from(buf))
    }

    /// The poll form of [`send`](Self::send). Of several tasks that poll, the last is woken.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (a, _b) = net::UnixDatagram::pair()?;
    /// assert_eq!(poll_fn(|cx| a.poll_send(cx, b"hello")).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; a goroutine waits.
    #[track_caller]
    pub fn poll_send(&self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>> {
        let inner = &self.inner;
        inner.poll_io(Direction::Write, cx, |socket, _| socket.transmit(datagram))
    }
}
