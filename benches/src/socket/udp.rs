//! UDP: one socket, one task, what comes in goes back; one datagram at a time, or by the batch
//! where a runtime has that.
#![forbid(unsafe_code)]

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::serve::announce;
use crate::mmsg::Burst;
use crate::rt::Rt;
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;

/// The longest datagram that a server takes.
const LONGEST: usize = 1500;

/// What an echo of datagrams asks of a runtime.
pub(crate) trait Datagrams: Rt {
    /// A socket.
    type Udp: Send + Sync + 'static;

    /// Takes over a socket, inside the runtime.
    fn udp(socket: UdpSocket) -> io::Result<Self::Udp>;

    /// Receives one, and where it comes from.
    fn recv_from(
        socket: &Self::Udp,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;

    /// Sends one.
    fn send_to(
        socket: &Self::Udp,
        datagram: &[u8],
        to: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Echoes for ever, many at a time; where a runtime has no such calls, one at a time.
    fn batches(socket: Self::Udp) -> impl Future<Output = io::Result<()>> + Send {
        one_by_one::<Self>(socket)
    }
}

/// Echoes for ever.
pub(crate) async fn udp<N: Datagrams>(batched: bool) -> io::Result<()> {
    let socket = bind()?;
    socket.set_nonblocking(true)?;
    let socket = N::udp(socket)?;
    match batched {
        true => N::batches(socket).await,
        false => one_by_one::<N>(socket).await,
    }
}

fn bind() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    announce(socket.local_addr()?.port())?;
    Ok(socket)
}

async fn one_by_one<N: Datagrams + ?Sized>(socket: N::Udp) -> io::Result<()> {
    let mut buffer = [0; LONGEST];
    loop {
        let (n, from) = N::recv_from(&socket, &mut buffer).await?;
        N::send_to(&socket, &buffer[..n], from).await?;
    }
}

impl Datagrams for Weftline {
    type Udp = net::UdpSocket;

    fn udp(socket: UdpSocket) -> io::Result<net::UdpSocket> {
        net::UdpSocket::from_std(socket)
    }

    async fn recv_from(
        socket: &net::UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        socket.recv_from(buffer).await
    }

    async fn send_to(
        socket: &net::UdpSocket,
        datagram: &[u8],
        to: SocketAddr,
    ) -> io::Result<usize> {
        socket.send_to(datagram, to).await
    }

    async fn batches(socket: net::UdpSocket) -> io::Result<()> {
        let mut batch = net::Batch::new(64, LONGEST);
        loop {
            socket.recv_batch(&mut batch).await?;
            socket.send_batch(&batch).await?;
        }
    }
}

impl Datagrams for Tokio {
    type Udp = tokio::net::UdpSocket;

    fn udp(socket: UdpSocket) -> io::Result<tokio::net::UdpSocket> {
        tokio::net::UdpSocket::from_std(socket)
    }

    async fn recv_from(
        socket: &tokio::net::UdpSocket,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        socket.recv_from(buffer).await
    }

    async fn send_to(
        socket: &tokio::net::UdpSocket,
        datagram: &[u8],
        to: SocketAddr,
    ) -> io::Result<usize> {
        socket.send_to(datagram, to).await
    }
}

impl Datagrams for Smol {
    type Udp = smol::Async<UdpSocket>;

    fn udp(socket: UdpSocket) -> io::Result<smol::Async<UdpSocket>> {
        smol::Async::new(socket)
    }

    async fn recv_from(
        socket: &smol::Async<UdpSocket>,
        buffer: &mut [u8],
    ) -> io::Result<(usize, SocketAddr)> {
        socket.recv_from(buffer).await
    }

    async fn send_to(
        socket: &smol::Async<UdpSocket>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> io::Result<usize> {
        socket.send_to(datagram, to).await
    }
}

/// The limit: one thread that blocks, and nothing in between.
pub(crate) fn raw(batched: bool) -> io::Result<()> {
    let socket = bind()?;
    if batched {
        let mut burst = Burst::new(LONGEST);
        loop {
            burst.receive(&socket)?;
            burst.send(&socket, true)?;
        }
    }
    let mut buffer = [0; LONGEST];
    loop {
        let (n, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..n], from)?;
    }
}
