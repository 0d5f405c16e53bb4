//! The sockets of each runtime.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::net as std_net;

use smol::Async;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Net;
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;
use crate::sys;

impl Net for Tokio {
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;

    fn listener(listener: std_net::TcpListener) -> io::Result<Self::Listener> {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }

    async fn readable(stream: &Self::Stream) -> io::Result<()> {
        stream.readable().await
    }

    fn try_read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.try_read(buffer)
    }
}

impl Net for Smol {
    type Listener = Async<std_net::TcpListener>;
    type Stream = Async<std_net::TcpStream>;

    fn listener(listener: std_net::TcpListener) -> io::Result<Self::Listener> {
        Async::new(listener)
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.read(buffer).await
    }

    async fn write_all(stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(bytes).await
    }

    async fn readable(stream: &Self::Stream) -> io::Result<()> {
        stream.readable().await
    }

    fn try_read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.get_ref().read(buffer)
    }
}

impl Net for Weftline {
    type Listener = net::TcpListener;
    type Stream = net::TcpStream;

    fn listener(listener: std_net::TcpListener) -> io::Result<Self::Listener> {
        // As `bind` does it: what is accepted inherits it.
        sys::send_at_once(&listener)?;
        net::TcpListener::from_std(listener)
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        Ok(stream)
    }

    async fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        // By path: with `&mut` at hand the method of the extension trait above would be found
        // first.
        net::TcpStream::read(stream, buffer).await
    }

    async fn write_all(stream: &mut Self::Stream, bytes: &[u8]) -> io::Result<()> {
        net::TcpStream::write_all(stream, bytes).await
    }

    fn readable(stream: &Self::Stream) -> impl Future<Output = io::Result<()>> + Send {
        stream.readable()
    }

    fn try_read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize> {
        stream.try_read(buffer)
    }
}
