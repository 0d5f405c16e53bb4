//! How datagrams are sent to the peer that `connect` has fixed.
#![forbid(unsafe_code)]

use std::io;
use std::panic::Location;

use runtime::io::Direction;

use super::Datagram;
use crate::kind::{DatagramDevice, DatagramKind};
use crate::socket::Blocks;

impl<K: DatagramKind> Datagram<K> {
    /// Sends a datagram to the peer; waits while the system's buffer, or the Unix peer's queue, is
    /// full. Returns its length.
    ///
    /// # Errors
    ///
    /// What the system says: there is no peer (`connect` first), the datagram is too long, nothing
    /// listened at the peer when an earlier one came
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is sent only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// assert_eq!(a.send(b"hello").await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Write`.
    #[track_caller]
    pub fn send<'a>(
        &'a self,
        datagram: &'a [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner.io(
            Direction::Write,
            place,
            Blocks::Perhaps,
            move |socket, _| socket.transmit(datagram),
        )
    }

    /// [`send`](Self::send) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system's buffer is full; as for
    /// [`send`](Self::send).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// assert_eq!(a.try_send(b"hello")?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Write` after `SetWriteDeadline(time.Now())` comes close.
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Write, |socket, _| socket.transmit(datagram))
    }

    /// Waits until a datagram may be sent; [`try_send`](Self::try_send) tells.
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
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.writable().await?;
    /// assert_eq!(a.try_send(b"hello")?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Write` with a function that only looks.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.inner.registration().ready(Direction::Write)
    }
}
