//! `net`: sockets, their options, what is copied between them, and what their errors say.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use net::{
    Dialer, ListenConfig, OpError, OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpListener, TcpStream,
    ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener, UnixStream, WriteHalf,
};
use runtime::io::mio;
use runtime::time::Instant;

use crate::{HANG, clone, debug, default, error, names, says, send_sync, sendable, soon, unpin};

fn is_read<T: AsyncRead>() {}
fn is_written<T: AsyncWrite>() {}
fn is_address<T: ToSocketAddrs + Debug>() {}

#[test]
fn the_types_go_where_users_take_them() {
    send_sync::<(TcpListener, TcpStream, UdpSocket)>();
    send_sync::<(UnixListener, UnixStream, UnixDatagram)>();
    send_sync::<(ListenConfig, Dialer, OwnedReadHalf, OwnedWriteHalf)>();
    send_sync::<(ReadHalf<'_>, WriteHalf<'_>, OpError)>();
    clone::<(TcpStream, UnixStream, UdpSocket)>();
    unpin::<(TcpStream, UnixStream)>();
    debug::<(TcpListener, TcpStream, UdpSocket)>();
    debug::<(UnixListener, UnixStream, UnixDatagram)>();
    debug::<(ListenConfig, Dialer, OwnedReadHalf, OwnedWriteHalf)>();
    is_read::<TcpStream>();
    is_read::<&TcpStream>();
    is_read::<UnixStream>();
    is_read::<OwnedReadHalf>();
    is_read::<ReadHalf<'_>>();
    is_written::<TcpStream>();
    is_written::<&UnixStream>();
    is_written::<OwnedWriteHalf>();
    is_written::<WriteHalf<'_>>();
    is_address::<&str>();
    is_address::<String>();
    is_address::<SocketAddr>();
    is_address::<(&str, u16)>();
    is_address::<(Ipv4Addr, u16)>();
    is_address::<&[SocketAddr]>();
    error::<OpError>();
    error::<net::ReuniteError>();
    error::<net::ServeError>();
    debug::<(net::ServeError, net::Stopping)>();
    debug::<(net::Serve<TcpListener, ()>, net::Reporting<(), ()>)>();
    let _: (ListenConfig, Dialer) = default();
}

/// Two ends of one TCP connection.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = soon(sendable(TcpStream::connect(listener.local_addr()?))).await?;
    let (server, peer): (TcpStream, SocketAddr) = soon(sendable(listener.accept())).await?;
    assert_eq!(peer, client.local_addr()?);
    Ok((client, server))
}

#[runtime::test]
async fn a_stream_reads_and_writes_unsplit() -> io::Result<()> {
    let (client, server) = pair().await?;
    let reading = server.clone();
    let reader = runtime::spawn(async move {
        let mut all = [0; 8];
        reading.read_exact(&mut all).await?;
        io::Result::Ok(all)
    });
    assert_eq!(soon(sendable(client.write(b"ab"))).await?, 2);
    soon(sendable(client.write_all(b"cd"))).await?;
    client
        .write_vectored(&[IoSlice::new(b"ef"), IoSlice::new(b"g")])
        .await?;
    client.writable().await?;
    assert_eq!(client.try_write(b"h")?, 1);
    assert_eq!(&soon(reader).await.unwrap()?, b"abcdefgh");

    server.write_all(b"1234567").await?;
    soon(client.readable()).await?;
    let mut two = [0; 2];
    assert_eq!(soon(client.peek(&mut two)).await?, 2);
    assert_eq!(soon(sendable(client.read(&mut two))).await?, 2);
    assert_eq!(client.try_read(&mut two)?, 2);
    let (mut left, mut right) = ([0; 2], [0; 1]);
    let mut bufs = [IoSliceMut::new(&mut left), IoSliceMut::new(&mut right)];
    assert_eq!(soon(client.read_vectored(&mut bufs)).await?, 3);
    assert_eq!((&left, &right), (b"56", b"7"));
    server.shutdown(Shutdown::Write)?;
    assert_eq!(soon(client.read(&mut two)).await?, 0, "the end");
    Ok(())
}

#[runtime::test]
async fn a_stream_has_options_deadlines_and_halves() -> io::Result<()> {
    let (client, server) = pair().await?;
    assert!(client.nodelay()?, "on by default");
    assert_eq!(client.linger()?, None);
    client.set_ttl(client.ttl()?)?;
    client.set_recv_buffer_size(client.recv_buffer_size()?)?;
    client.set_send_buffer_size(client.send_buffer_size()?)?;
    let looked = |_: std::os::fd::BorrowedFd<'_>| Ok(());
    client.try_io(runtime::io::Direction::Write, looked)?;
    soon(sendable(client.io(runtime::io::Direction::Write, looked))).await?;
    assert_eq!(client.keepalive()?, Some(Duration::from_secs(15)));
    names(
        format!("{client:?}"),
        &[
            "TcpStream {",
            &client.local_addr()?.to_string(),
            &client.peer_addr()?.to_string(),
        ],
    );
    client.set_nodelay(false)?;
    client.set_keepalive(None)?;
    assert_eq!(client.peer_addr()?, server.local_addr()?);

    client.set_read_deadline(Instant::now())?;
    let late = soon(client.read(&mut [0])).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    assert!(net::is_deadline(&late));
    client.set_deadline(Instant::now() + HANG)?;
    client.set_write_deadline(None)?;
    client.set_deadline(None)?;

    let (read, write): (ReadHalf<'_>, WriteHalf<'_>) = client.split();
    write.write_all(b"x").await?;
    server.write_all(b"y").await?;
    soon(read.read_exact(&mut [0])).await?;
    let (read, write): (OwnedReadHalf, OwnedWriteHalf) = client.into_split();
    let client: TcpStream = read.reunite(write).expect("halves of one stream");

    let std: std::net::TcpStream = client.into_std()?;
    let client = TcpStream::from_std(std)?;
    let waits = server.clone();
    server.read_exact(&mut [0]).await?;
    let waiter = runtime::spawn(async move { waits.read(&mut [0]).await });
    runtime::yield_now().await;
    server.close()?;
    let closed = soon(waiter).await.unwrap().unwrap_err();
    assert!(net::is_closed(&closed), "{closed}");
    assert_eq!(format!("{server:?}"), "TcpStream { closed }");
    drop(client);
    Ok(())
}

#[runtime::test]
async fn listeners_and_dialers_are_set_up() -> io::Result<()> {
    let listener = ListenConfig::new()
        .backlog(16)
        .reuse_port(true)
        .listen("127.0.0.1:0")
        .await?;
    let address = listener.local_addr()?;
    let dialled = Dialer::new()
        .timeout(HANG)
        .local_addr("127.0.0.1:0".parse().unwrap())
        .keepalive(None)
        .connect(address);
    let stream = soon(sendable(dialled)).await?;
    assert_eq!(stream.peer_addr()?, address);
    let std: std::net::TcpListener = listener.into_std()?;
    let listener = TcpListener::from_std(std)?;
    soon(listener.accept()).await?;

    let taken = TcpListener::bind(address).await.unwrap_err();
    names(&taken, &["bind ", &address.to_string()]);
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    drop(listener);
    let refused = soon(TcpStream::connect(address)).await.unwrap_err();
    names(&refused, &["connect ", &address.to_string(), "refused"]);
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let found: Vec<SocketAddr> = soon(sendable(net::lookup_host("localhost:80"))).await?;
    assert!(found.iter().all(|address| address.ip().is_loopback()));
    Ok(())
}

#[runtime::test]
async fn datagrams_go_both_ways() -> io::Result<()> {
    let (a, b) = (
        UdpSocket::bind("127.0.0.1:0").await?,
        UdpSocket::bind("127.0.0.1:0").await?,
    );
    let mut buf = [0; 8];
    soon(sendable(a.send_to(b"one", b.local_addr()?))).await?;
    let (n, from) = soon(sendable(b.recv_from(&mut buf))).await?;
    assert_eq!((&buf[..n], from), (&b"one"[..], a.local_addr()?));
    a.connect(b.local_addr()?).await?;
    assert_eq!(soon(a.send(b"two")).await?, 3);
    assert_eq!(soon(b.recv(&mut buf)).await?, 3);
    a.try_send(b"three")?;
    soon(b.readable()).await?;
    assert_eq!(b.try_recv_from(&mut buf)?.0, 5);
    assert_eq!(
        b.try_recv(&mut buf).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    a.set_broadcast(true)?;
    a.set_multicast_loop(true)?;
    a.set_multicast_ttl(1)?;
    assert!(a.broadcast()? && a.multicast_loop()? && a.multicast_ttl()? == 1);
    a.set_ttl(a.ttl()?)?;
    a.set_recv_buffer_size(a.recv_buffer_size()?)?;
    a.set_send_buffer_size(a.send_buffer_size()?)?;
    soon(poll_fn(|cx| a.poll_send(cx, b"four"))).await?;
    soon(poll_fn(|cx| b.poll_recv(cx, &mut buf))).await?;
    soon(poll_fn(|cx| a.poll_send(cx, b"five"))).await?;
    soon(poll_fn(|cx| b.poll_recv_from(cx, &mut buf))).await?;
    let looked = |_: std::os::fd::BorrowedFd<'_>| Ok(());
    a.try_io(runtime::io::Direction::Write, looked)?;
    soon(sendable(a.io(runtime::io::Direction::Write, looked))).await?;
    soon(poll_fn(|cx| {
        a.poll_io(runtime::io::Direction::Write, cx, looked)
    }))
    .await?;
    let mut config = ListenConfig::new();
    let shared: UdpSocket = soon(sendable(
        config.control(looked).listen_packet("127.0.0.1:0"),
    ))
    .await?;
    soon(poll_fn(|cx| {
        shared.poll_send_to(cx, b"six", shared.local_addr().unwrap())
    }))
    .await?;
    Ok(())
}

#[runtime::test]
async fn unix_sockets_are_the_same() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("weftline-surface-{}", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let client = soon(sendable(UnixStream::connect(&path))).await?;
    let (server, _) = soon(sendable(listener.accept())).await?;
    client.write_all(b"x").await?;
    soon(server.read_exact(&mut [0])).await?;
    drop(listener);
    let (a, b) = UnixDatagram::pair()?;
    a.send(b"x").await?;
    assert_eq!(soon(b.recv(&mut [0; 2])).await?, 1);
    let (a, b) = UnixStream::pair()?;
    let who: net::PeerCred = a.peer_cred()?;
    assert_eq!(who, b.peer_cred()?);
    names(format!("{who:?}"), &["PeerCred {", "uid", "gid", "pid"]);
    drop(a);
    assert_eq!(soon(b.read(&mut [0])).await?, 0);
    Ok(())
}

#[runtime::test]
async fn bytes_are_copied_one_way_and_both() -> io::Result<()> {
    let (mut a, mut b) = (pair().await?, pair().await?);
    let copying = runtime::spawn(async move {
        net::copy_bidirectional(&mut a.1, &mut b.0)
            .await
            .map(|_| ())?;
        io::Result::Ok(())
    });
    a.0.write_all(b"there").await?;
    let mut got = [0; 5];
    soon(b.1.read_exact(&mut got)).await?;
    assert_eq!(&got, b"there");
    drop((a.0, b.1));
    soon(copying).await.unwrap()?;

    let ((mut reader, writer), (mut sink, source)) = (pair().await?, pair().await?);
    writer.write_all(b"once").await?;
    drop(writer);
    assert_eq!(soon(sendable(net::copy(&mut reader, &mut sink))).await?, 4);
    soon(source.read_exact(&mut got[..4])).await?;
    assert_eq!(&got[..4], b"once");
    Ok(())
}

/// A function that takes any server, and one that is told of any server's errors.
async fn at_once<L: net::Accept, H: net::Handler<L>>(server: net::Serve<L, H>) -> io::Result<()> {
    let server = server.max_connections(9).drain(HANG);
    soon(sendable(server.shutdown_on(async {}).into_future())).await
}

fn tell<P: Debug>(error: net::ServeError<P>) {
    let _: (Option<&P>, Option<&io::Error>) = (error.peer(), error.io_error());
    let text = error.to_string();
    panic!("{text}: {:?}", error.into_source());
}

#[runtime::test]
async fn servers_serve_any_listener_and_handler() -> io::Result<()> {
    let tcp = TcpListener::bind("127.0.0.1:0").await?;
    at_once(net::serve(tcp.clone(), |_, _, _| async { 7 })).await?;
    let handler = |stream: TcpStream, peer: SocketAddr, stopping: net::Stopping| async move {
        stopping.unless(stream.readable()).await.transpose()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(peer)
    };
    at_once(net::serve(tcp, handler).on_error(tell)).await?;
    let name = std::env::temp_dir().join(format!("net-surface-serve-{}", std::process::id()));
    let unix = UnixListener::bind(name)?;
    let server = net::serve(unix, |_, _, _| async { Err::<(), _>("nobody comes") });
    at_once(server.on_error(tell)).await
}

#[test]
fn a_device_of_ones_own_plugs_in() {
    send_sync::<runtime::io::Source<mio::net::TcpStream>>();
    debug::<runtime::io::Source<mio::net::TcpStream>>();
    send_sync::<runtime::io::Source<runtime::io::Fd<std::fs::File>>>();
    debug::<runtime::io::Fd<std::os::fd::OwnedFd>>();
    fn mio_is_there<S: mio::event::Source + AsFd>() {}
    mio_is_there::<mio::net::UdpSocket>();
    says(
        net::os_error(&io::Error::from_raw_os_error(111)).unwrap(),
        "111",
    );
}
