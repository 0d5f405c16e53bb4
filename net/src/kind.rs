//! The kinds of sockets, and what they differ in: the device, and what an address is.
//!
//! A kind is a type without values, so that `Stream<Tcp>` reads as what it is, and the device below
//! does not show.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};

use mio::event::Source;
use socket2::SockRef;

use crate::sys;

/// Buffers that the system takes in one call (`IOV_MAX`); more is an error.
pub(crate) const AT_ONCE: usize = 1024;

/// A kind of [`Stream`](crate::Stream): [`Tcp`] or [`Unix`]. There are no others.
///
/// ```
/// // What is common to both is written once.
/// async fn end<K: net::StreamKind>(stream: &net::Stream<K>) -> std::io::Result<()> {
///     stream.write_all(b"bye\r\n").await?;
///     stream.shutdown(std::net::Shutdown::Write)
/// }
/// # runtime::block_on(async {
/// # let (a, _b) = net::UnixStream::pair()?;
/// # end(&a).await }).unwrap();
/// ```
///
/// **Go:** the network's name, `"tcp"` or `"unix"`.
pub trait StreamKind: sealed::Kind {
    /// What this kind calls an address.
    type Address: fmt::Debug;
    /// The standard library's stream of this kind.
    type Std;
    /// The device below.
    #[doc(hidden)]
    type Device: StreamDevice<Address = Self::Address, Std = Self::Std>;
    /// What `Debug` calls it.
    #[doc(hidden)]
    const STREAM: &'static str;
}

/// The kind of a [`TcpStream`](crate::TcpStream).
///
/// ```
/// fn same(stream: net::TcpStream) -> net::Stream<net::Tcp> {
///     stream
/// }
/// ```
///
/// **Go:** `"tcp"`.
#[derive(Debug)]
pub enum Tcp {}

/// The kind of a [`UnixStream`](crate::UnixStream).
///
/// ```
/// fn same(stream: net::UnixStream) -> net::Stream<net::Unix> {
///     stream
/// }
/// ```
///
/// **Go:** `"unix"`.
#[derive(Debug)]
pub enum Unix {}

impl StreamKind for Tcp {
    type Address = std::net::SocketAddr;
    type Std = std::net::TcpStream;
    type Device = mio::net::TcpStream;
    const STREAM: &'static str = "TcpStream";
}

impl StreamKind for Unix {
    type Address = std::os::unix::net::SocketAddr;
    type Std = std::os::unix::net::UnixStream;
    type Device = mio::net::UnixStream;
    const STREAM: &'static str = "UnixStream";
}

/// A kind of [`Datagram`](crate::Datagram) socket: [`Udp`] or [`Unixgram`]. There are no others.
///
/// ```
/// // What is common to both is written once.
/// async fn ping<K: net::DatagramKind>(socket: &net::Datagram<K>) -> std::io::Result<usize> {
///     socket.send(b"ping").await
/// }
/// # runtime::block_on(async {
/// # let (a, _b) = net::UnixDatagram::pair()?;
/// # ping(&a).await }).unwrap();
/// ```
///
/// **Go:** the network's name, `"udp"` or `"unixgram"`.
pub trait DatagramKind: sealed::Kind {
    /// What this kind calls an address.
    type Address: fmt::Debug;
    /// The standard library's socket of this kind.
    type Std;
    /// The device below.
    #[doc(hidden)]
    type Device: DatagramDevice<Address = Self::Address, Std = Self::Std>;
    /// What `Debug` calls it.
    #[doc(hidden)]
    const SOCKET: &'static str;
}

/// The kind of a [`UdpSocket`](crate::UdpSocket).
///
/// ```
/// // A socket of either kind, for what they have in common.
/// fn largest<K: net::DatagramKind>(_: &net::Datagram<K>) {}
/// # runtime::block_on(async {
/// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
/// largest::<net::Udp>(&socket);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `"udp"`.
#[derive(Debug)]
pub enum Udp {}

/// The kind of a [`UnixDatagram`](crate::UnixDatagram).
///
/// ```
/// fn largest<K: net::DatagramKind>(_: &net::Datagram<K>) {}
/// # runtime::block_on(async {
/// let (socket, _peer) = net::UnixDatagram::pair()?;
/// largest::<net::Unixgram>(&socket);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `"unixgram"`.
#[derive(Debug)]
pub enum Unixgram {}

impl DatagramKind for Udp {
    type Address = std::net::SocketAddr;
    type Std = std::net::UdpSocket;
    type Device = mio::net::UdpSocket;
    const SOCKET: &'static str = "UdpSocket";
}

impl DatagramKind for Unixgram {
    type Address = std::os::unix::net::SocketAddr;
    type Std = std::os::unix::net::UnixDatagram;
    type Device = mio::net::UnixDatagram;
    const SOCKET: &'static str = "UnixDatagram";
}

mod sealed {
    pub trait Kind: std::fmt::Debug + Send + Sync + 'static {}
    impl Kind for super::Tcp {}
    impl Kind for super::Unix {}
    impl Kind for super::Udp {}
    impl Kind for super::Unixgram {}
}

/// What a read has brought.
#[allow(unreachable_pub, reason = "as below")]
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub(crate) bytes: usize,
    /// The system has stopped before the buffer was full, though it may have more: so it does
    /// behind bytes with which descriptors came.
    pub(crate) stopped: bool,
}

impl Received {
    /// Fewer than there was room for means that the system has no more.
    pub(crate) fn all(bytes: usize) -> Self {
        Self {
            bytes,
            stopped: false,
        }
    }
}

/// What a stream needs of its device.
#[allow(
    unreachable_pub,
    reason = "Rust 1.85 says so of a bound of a public trait"
)]
#[doc(hidden)]
pub trait StreamDevice: Source + AsFd + fmt::Debug + Send + Sync + 'static {
    type Address;
    type Std;
    /// Whether the system says that it is writable only to those who found it was not; see
    /// `socket.rs`.
    const TELLS_WRITERS_ALONE: bool;

    fn recv(&self, buf: &mut [u8]) -> io::Result<Received>;
    /// At most [`AT_ONCE`] pieces.
    fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received>;
    fn recv_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<Received>;
    fn send(&self, buf: &[u8]) -> io::Result<usize>;
    /// At most [`AT_ONCE`] pieces.
    fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;
    fn end(&self, how: Shutdown) -> io::Result<()>;
    fn peer(&self) -> io::Result<Self::Address>;
    fn local(&self) -> io::Result<Self::Address>;
    fn error(&self) -> io::Result<Option<io::Error>>;
    /// Makes it non-blocking.
    fn adopt(stream: Self::Std) -> io::Result<Self>
    where
        Self: Sized;
    fn release(self) -> Self::Std;
}

macro_rules! stream_device {
    ($device:ty, $address:ty, $std:ty, $tells_writers_alone:literal, $reading:ident) => {
        impl StreamDevice for $device {
            type Address = $address;
            type Std = $std;
            const TELLS_WRITERS_ALONE: bool = $tells_writers_alone;

            fn recv(&self, buf: &mut [u8]) -> io::Result<Received> {
                $reading::recv(self, buf)
            }

            fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
                $reading::recv_vectored(self, bufs)
            }

            fn recv_uninit(&self, buf: &mut [MaybeUninit<u8>]) -> io::Result<Received> {
                $reading::recv_uninit(self, buf)
            }

            fn send(&self, buf: &[u8]) -> io::Result<usize> {
                (&mut &*self).write(buf)
            }

            /// Not `writev`, which would raise SIGPIPE in programs that have restored its default;
            /// std's `send` above says this as well.
            fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                SockRef::from(self).send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)
            }

            fn end(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }

            fn peer(&self) -> io::Result<$address> {
                self.peer_addr()
            }

            fn local(&self) -> io::Result<$address> {
                self.local_addr()
            }

            fn error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }

            fn adopt(stream: $std) -> io::Result<Self> {
                stream.set_nonblocking(true)?;
                Ok(Self::from_std(stream))
            }

            fn release(self) -> $std {
                OwnedFd::from(self).into()
            }
        }
    };
}

stream_device!(
    mio::net::TcpStream,
    std::net::SocketAddr,
    std::net::TcpStream,
    true,
    tcp
);
stream_device!(
    mio::net::UnixStream,
    std::os::unix::net::SocketAddr,
    std::os::unix::net::UnixStream,
    false,
    unix
);

/// How TCP is read: bytes, and nothing that comes with them.
mod tcp {
    use super::*;

    pub(super) fn recv(mut stream: &mio::net::TcpStream, buf: &mut [u8]) -> io::Result<Received> {
        stream.read(buf).map(Received::all)
    }

    pub(super) fn recv_vectored(
        mut stream: &mio::net::TcpStream,
        bufs: &mut [IoSliceMut<'_>],
    ) -> io::Result<Received> {
        stream.read_vectored(bufs).map(Received::all)
    }

    pub(super) fn recv_uninit(
        stream: &mio::net::TcpStream,
        buf: &mut [MaybeUninit<u8>],
    ) -> io::Result<Received> {
        SockRef::from(stream).recv(buf).map(Received::all)
    }
}

/// How Unix streams are read: descriptors may come with the bytes.
mod unix {
    use super::*;

    pub(super) fn recv(stream: &mio::net::UnixStream, buf: &mut [u8]) -> io::Result<Received> {
        sys::receive(stream.as_fd(), &mut [IoSliceMut::new(buf)])
    }

    pub(super) fn recv_vectored(
        stream: &mio::net::UnixStream,
        bufs: &mut [IoSliceMut<'_>],
    ) -> io::Result<Received> {
        sys::receive(stream.as_fd(), bufs)
    }

    pub(super) fn recv_uninit(
        stream: &mio::net::UnixStream,
        buf: &mut [MaybeUninit<u8>],
    ) -> io::Result<Received> {
        sys::receive_uninit(stream.as_fd(), buf)
    }
}

/// What a datagram socket needs of its device.
#[allow(unreachable_pub, reason = "as above")]
#[doc(hidden)]
pub trait DatagramDevice: Source + AsFd + fmt::Debug + Send + Sync + 'static {
    type Address;
    type Std;

    fn transmit(&self, datagram: &[u8]) -> io::Result<usize>;
    fn receive(&self, buf: &mut [u8]) -> io::Result<usize>;
    fn receive_from(&self, buf: &mut [u8]) -> io::Result<(usize, Self::Address)>;
    fn peer(&self) -> io::Result<Self::Address>;
    fn local(&self) -> io::Result<Self::Address>;
    fn error(&self) -> io::Result<Option<io::Error>>;
    /// Makes it non-blocking.
    fn adopt(socket: Self::Std) -> io::Result<Self>
    where
        Self: Sized;
    fn release(self) -> Self::Std;
}

macro_rules! datagram_device {
    ($device:ty, $address:ty, $std:ty) => {
        impl DatagramDevice for $device {
            type Address = $address;
            type Std = $std;

            fn transmit(&self, datagram: &[u8]) -> io::Result<usize> {
                self.send(datagram)
            }

            fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.recv(buf)
            }

            fn receive_from(&self, buf: &mut [u8]) -> io::Result<(usize, $address)> {
                self.recv_from(buf)
            }

            fn peer(&self) -> io::Result<$address> {
                self.peer_addr()
            }

            fn local(&self) -> io::Result<$address> {
                self.local_addr()
            }

            fn error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }

            fn adopt(socket: $std) -> io::Result<Self> {
                socket.set_nonblocking(true)?;
                Ok(Self::from_std(socket))
            }

            fn release(self) -> $std {
                OwnedFd::from(self).into()
            }
        }
    };
}

datagram_device!(
    mio::net::UdpSocket,
    std::net::SocketAddr,
    std::net::UdpSocket
);
datagram_device!(
    mio::net::UnixDatagram,
    std::os::unix::net::SocketAddr,
    std::os::unix::net::UnixDatagram
);
