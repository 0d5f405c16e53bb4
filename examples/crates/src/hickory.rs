//! hickory-resolver (DNS) on our sockets, timers and tasks, without Tokio: its `tokio` can stay
//! off. `net::lookup_host` asks the system's resolver, as everybody does; this one asks name
//! servers itself, and says how long an answer may be kept.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_io::{AsyncRead, AsyncWrite};
use hickory_proto::ProtoError;
use hickory_proto::runtime::{RuntimeProvider, Spawn, Time};
use hickory_proto::tcp::DnsTcpStream;
use hickory_proto::udp::DnsUdpSocket;
use runtime::time;

/// How long a name server may take to be connected to, where hickory does not say.
const CONNECT: Duration = Duration::from_secs(5);

// cookbook: hickory
/// For `Resolver::builder_with_config(config, GenericConnector::new(Weftline))`.
#[derive(Clone, Debug)]
pub struct Weftline;

impl RuntimeProvider for Weftline {
    type Handle = Self;
    type Timer = Self;
    type Udp = Udp;
    type Tcp = Tcp;

    fn create_handle(&self) -> Self {
        Self
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        limit: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Tcp>>>> {
        Box::pin(async move {
            let mut dialer = net::Dialer::new();
            dialer.timeout(limit.unwrap_or(CONNECT));
            if let Some(local) = local {
                dialer.local_addr(local);
            }
            dialer.connect(server).await.map(Tcp)
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Udp>>>> {
        Box::pin(async move { net::UdpSocket::bind(local).await.map(Udp) })
    }
}

impl Spawn for Weftline {
    fn spawn_bg<F>(&mut self, future: F)
    where
        F: Future<Output = Result<(), ProtoError>> + Send + 'static,
    {
        drop(runtime::spawn(future));
    }
}

#[async_trait]
impl Time for Weftline {
    async fn delay_for(duration: Duration) {
        time::sleep(duration).await;
    }

    async fn timeout<F: 'static + Future + Send>(
        duration: Duration,
        future: F,
    ) -> io::Result<F::Output> {
        Ok(time::timeout(duration, future).await?)
    }
}

/// A socket for questions.
#[derive(Debug)]
pub struct Udp(net::UdpSocket);

impl DnsUdpSocket for Udp {
    type Time = Weftline;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.0.poll_recv_from(cx, buf)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.0.poll_send_to(cx, buf, to)
    }
}

/// A connection, for answers that no datagram holds.
#[derive(Debug)]
pub struct Tcp(net::TcpStream);

impl DnsTcpStream for Tcp {
    type Time = Weftline;
}
// cookbook: end

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        AsyncRead::poll_read(Pin::new(&mut self.0), cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.0), cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_close(Pin::new(&mut self.0), cx)
    }
}
