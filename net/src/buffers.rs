//! The room that the system has for what waits to be read, and to be sent: of every kind of socket.
//!
//! Linux doubles what is asked for, for its own needs, says so when it is asked, and grants no more
//! than `net.core.rmem_max` and `wmem_max`. TCP sizes its buffers by itself until somebody sets
//! them; then it never does so again, and a window above 64 KiB needs the size to be set before
//! connecting or listening: [`Dialer::control`](crate::Dialer::control),
//! [`ListenConfig::control`](crate::ListenConfig::control).
#![forbid(unsafe_code)]

use std::io;

use socket2::SockRef;

use crate::datagram::Datagram;
use crate::kind::{DatagramKind, StreamKind};
use crate::stream::Stream;

macro_rules! buffers {
    ($socket:ident, $kind:ident, $example:literal) => {
        impl<K: $kind> $socket<K> {
            /// The room for what waits to be read, in bytes, as the system counts them: Linux says
            /// twice of what was asked for.
            ///
            /// # Errors
            ///
            /// It has been closed.
            ///
            /// ```
            /// # runtime::block_on(async {
            #[doc = $example]
            /// assert!(socket.recv_buffer_size()? > 0);
            /// # std::io::Result::Ok(()) }).unwrap();
            /// ```
            ///
            /// **Go:** `syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF)`.
            pub fn recv_buffer_size(&self) -> io::Result<usize> {
                self.control(|fd| SockRef::from(&fd).recv_buffer_size())
            }

            /// Sets the room for what waits to be read, in bytes; the system may grant less, or
            /// twice as much for its own needs.
            ///
            /// # Errors
            ///
            /// It has been closed.
            ///
            /// ```
            /// # runtime::block_on(async {
            #[doc = $example]
            /// socket.set_recv_buffer_size(1 << 16)?;
            /// assert!(socket.recv_buffer_size()? >= 1 << 16);
            /// # std::io::Result::Ok(()) }).unwrap();
            /// ```
            ///
            /// **Go:** `SetReadBuffer`.
            pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
                self.control(|fd| SockRef::from(&fd).set_recv_buffer_size(bytes))
            }

            /// The room for what waits to be sent, in bytes, as the system counts them: Linux says
            /// twice of what was asked for.
            ///
            /// # Errors
            ///
            /// It has been closed.
            ///
            /// ```
            /// # runtime::block_on(async {
            #[doc = $example]
            /// assert!(socket.send_buffer_size()? > 0);
            /// # std::io::Result::Ok(()) }).unwrap();
            /// ```
            ///
            /// **Go:** `syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF)`.
            pub fn send_buffer_size(&self) -> io::Result<usize> {
                self.control(|fd| SockRef::from(&fd).send_buffer_size())
            }

            /// Sets the room for what waits to be sent, in bytes; the system may grant less, or
            /// twice as much for its own needs.
            ///
            /// # Errors
            ///
            /// It has been closed.
            ///
            /// ```
            /// # runtime::block_on(async {
            #[doc = $example]
            /// socket.set_send_buffer_size(1 << 16)?;
            /// assert!(socket.send_buffer_size()? >= 1 << 16);
            /// # std::io::Result::Ok(()) }).unwrap();
            /// ```
            ///
            /// **Go:** `SetWriteBuffer`.
            pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
                self.control(|fd| SockRef::from(&fd).set_send_buffer_size(bytes))
            }
        }
    };
}

buffers!(
    Stream,
    StreamKind,
    "let (socket, _peer) = net::UnixStream::pair()?;"
);
buffers!(
    Datagram,
    DatagramKind,
    "let socket = net::UdpSocket::bind(\"127.0.0.1:0\").await?;"
);
