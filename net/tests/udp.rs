//! Datagrams.

mod support;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use net::{Batch, UdpSocket, is_closed, is_deadline};
use runtime::time::Instant;
use support::{Random, run, waits};

async fn socket() -> io::Result<UdpSocket> {
    UdpSocket::bind("127.0.0.1:0").await
}

/// An address that refuses datagrams for as long as the socket lives: it has the port, so that
/// nobody else is given it, and takes only what comes from itself.
async fn refusing() -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = socket().await?;
    let address = socket.local_addr()?;
    socket.connect(address).await?;
    Ok((socket, address))
}

/// Groups are the machine's: each run of these tests has its own.
fn group(of: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(239, of, high, low)
}

#[test]
fn datagrams_keep_their_bounds() {
    run(async {
        let (a, b) = (socket().await?, socket().await?);
        for datagram in [&b"first"[..], b"", b"third one"] {
            a.send_to(datagram, b.local_addr()?).await?;
        }
        let mut buf = [0; 64];
        for expected in [&b"first"[..], b"", b"third one"] {
            let (n, from) = b.recv_from(&mut buf).await?;
            assert_eq!((&buf[..n], from), (expected, a.local_addr()?));
        }
        assert!(waits(&mut Box::pin(b.recv_from(&mut buf))));
        Ok(())
    });
}

#[test]
fn a_short_buffer_cuts_one_datagram_and_no_other() {
    run(async {
        let (a, b) = (socket().await?, socket().await?);
        a.connect(b.local_addr()?).await?;
        assert_eq!(a.peer_addr()?, b.local_addr()?);
        a.send(b"12345").await?;
        a.send(b"678").await?;
        let mut buf = [0; 2];
        assert_eq!(b.peek_from(&mut buf).await?.0, 2);
        assert_eq!(b.recv(&mut buf).await?, 2);
        assert_eq!(&buf, b"12");
        assert_eq!(b.recv(&mut buf).await?, 2);
        assert_eq!(&buf, b"67");
        Ok(())
    });
}

#[test]
fn a_receiver_is_woken_for_each_datagram() {
    run(async {
        let (a, b) = (socket().await?, socket().await?);
        a.connect(b.local_addr()?).await?;
        let echo = b.clone();
        let echoing = runtime::spawn(async move {
            let mut buf = [0; 4];
            loop {
                let (n, from) = echo.recv_from(&mut buf).await?;
                echo.send_to(&buf[..n], from).await?;
            }
            #[allow(unreachable_code, reason = "gives the block its type")]
            io::Result::Ok(())
        });
        // Few at a time: what finds no room in the kernel is lost.
        for round in 0..1000u32 {
            for part in 0..10 {
                a.send(&(round * 10 + part).to_le_bytes()).await?;
            }
            for part in 0..10 {
                let mut buf = [0; 4];
                assert_eq!(a.recv(&mut buf).await?, 4);
                assert_eq!(u32::from_le_bytes(buf), round * 10 + part);
            }
        }
        b.close()?;
        assert!(is_closed(&echoing.await.unwrap().unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_refused_datagram_is_reported_once_and_does_not_spin() {
    run(async {
        let (_gone, address) = refusing().await?;
        let a = socket().await?;
        a.connect(address).await?;
        a.send(b"x").await?;
        let error = a.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        // The error is taken; the socket goes on.
        a.set_read_deadline(Instant::now() + Duration::from_millis(5))?;
        let error = a.recv(&mut [0; 8]).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        Ok(())
    });
}

#[test]
fn a_close_wakes_the_receiver() {
    run(async {
        let a = socket().await?;
        let receiver = a.clone();
        let receiving = runtime::spawn(async move { receiver.recv(&mut [0; 8]).await });
        runtime::yield_now().await;
        a.close()?;
        assert!(is_closed(&receiving.await.unwrap().unwrap_err()));
        Ok(())
    });
}

#[test]
fn trying_does_not_wait() {
    run(async {
        let (a, b) = (socket().await?, socket().await?);
        let mut buf = [0; 8];
        let error = b.try_recv_from(&mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(a.try_send_to(b"x", b.local_addr()?)?, 1);
        b.readable().await?;
        assert_eq!(b.try_recv(&mut buf)?, 1);
        Ok(())
    });
}

#[test]
fn a_group_receives_what_is_sent_to_it() {
    run(async {
        let group = group(255);
        let member = UdpSocket::bind("0.0.0.0:0").await?;
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        let sender = socket().await?;
        sender.set_multicast_interface_v4(Ipv4Addr::LOCALHOST)?;
        sender.set_multicast_ttl(0)?;
        let to = (group, member.local_addr()?.port()).into();
        sender.send_to(b"all", to).await?;
        let mut buf = [0; 8];
        assert_eq!(member.recv(&mut buf).await?, 3);
        member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
    });
}

#[test]
fn a_datagram_that_is_too_long_is_refused() {
    run(async {
        let (a, b) = (socket().await?, socket().await?);
        let error = a.send_to(&[0; 70_000], b.local_addr()?).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        Ok(())
    });
}

#[test]
fn sockets_go_to_the_standard_library_and_back() {
    run(async {
        let a = socket().await?;
        let address = a.local_addr()?;
        let a = UdpSocket::from_std(a.into_std()?)?;
        a.send_to(b"x", address).await?;
        assert_eq!(a.recv(&mut [0; 8]).await?, 1);
        Ok(())
    });
}

#[test]
fn bursts_of_any_size_are_received_in_batches_and_none_is_missed() {
    let mut random = Random::new();
    run(async move {
        let (sender, receiver) = (socket().await?, socket().await?);
        let to = receiver.local_addr()?;
        let (tell, told) = sync::channel(1);
        let receiving = runtime::spawn(async move {
            let mut batch = Batch::new(20, 16);
            let mut next = 0u64;
            while next < 20_000 {
                let n = receiver.recv_batch(&mut batch).await?;
                assert_eq!(n, batch.len());
                for (datagram, _) in batch.iter() {
                    assert_eq!(datagram, next.to_le_bytes());
                    next += 1;
                }
                tell.send(next).await.unwrap();
            }
            io::Result::Ok(())
        });
        // Not more under way than the system's buffer holds for certain.
        let (mut sent, mut received) = (0u64, 0);
        let mut batch = Batch::new(100, 8);
        while sent < 20_000 {
            batch.clear();
            for _ in 0..(1 + random.below(100)).min(20_000 - sent as usize) {
                batch.push(&sent.to_le_bytes(), to);
                sent += 1;
            }
            if random.below(2) == 0 {
                sender.send_batch(&batch).await?;
            } else {
                for (datagram, to) in batch.iter() {
                    sender.send_to(datagram, to.unwrap()).await?;
                    if random.below(20) == 0 {
                        runtime::yield_now().await;
                    }
                }
            }
            while received < sent {
                received = told.recv().await.unwrap();
            }
        }
        receiving.await.unwrap()
    });
}

#[test]
fn a_batch_to_a_peer_that_is_gone_is_told() {
    run(async {
        let client = socket().await?;
        let (_gone, address) = refusing().await?;
        client.connect(address).await?;
        let mut batch = Batch::new(4, 4);
        batch.push(b"1", None);
        client.send_batch(&batch).await?;
        let error = client.recv_batch(&mut batch).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = client.try_recv_batch(&mut batch).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(batch.is_empty());
        assert_eq!(client.try_send_batch(&batch, 0)?, 0);
        client.close()?;
        assert!(is_closed(&client.recv_batch(&mut batch).await.unwrap_err()));
        assert!(is_closed(&client.try_send_batch(&batch, 0).unwrap_err()));
        Ok(())
    });
}

#[test]
fn an_error_in_mid_batch_is_the_next_call_s() {
    run(async {
        let (sender, receiver) = (socket().await?, socket().await?);
        let to = receiver.local_addr()?;
        let mut batch = Batch::new(3, 70_000);
        batch.push(b"fits", to);
        batch.push(&[0; 70_000], to);
        batch.push(b"fits too", to);
        assert_eq!(sender.try_send_batch(&batch, 0)?, 1);
        let error = sender.try_send_batch(&batch, 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(sender.try_send_batch(&batch, 2)?, 1);
        assert_eq!(receiver.recv_batch(&mut batch).await?, 2);
        Ok(())
    });
}

#[test]
fn a_broadcast_needs_to_be_allowed_and_then_arrives() {
    run(async {
        let receiver = UdpSocket::bind("0.0.0.0:0").await?;
        let to = (
            Ipv4Addr::new(127, 255, 255, 255),
            receiver.local_addr()?.port(),
        );
        let sender = socket().await?;
        let error = sender.send_to(b"all", to.into()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        sender.set_broadcast(true)?;
        sender.send_to(b"all", to.into()).await?;
        let mut buf = [0; 8];
        let (n, from) = receiver.recv_from(&mut buf).await?;
        assert_eq!((&buf[..n], from), (&b"all"[..], sender.local_addr()?));
        Ok(())
    });
}

#[test]
fn a_group_that_was_left_is_not_heard_any_more() {
    run(async {
        let group = group(254);
        let receiver = UdpSocket::bind("0.0.0.0:0").await?;
        let sender = socket().await?;
        sender.set_multicast_interface_v4(Ipv4Addr::LOCALHOST)?;
        receiver.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        receiver.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        assert!(
            receiver
                .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
                .is_err()
        );
        let direct = (Ipv4Addr::LOCALHOST, receiver.local_addr()?.port());
        // In order: if the first arrived it would be received first.
        sender.send_to(b"to all", (group, direct.1).into()).await?;
        sender.send_to(b"to one", direct.into()).await?;
        let mut buf = [0; 8];
        let n = receiver.recv(&mut buf).await?;
        assert_eq!(&buf[..n], b"to one");
        let error = receiver.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        Ok(())
    });
}

#[test]
fn deadlines_end_receives_and_batches_and_a_peek_takes_nothing() {
    run(async {
        let (a, b) = (socket().await?, socket().await?);
        a.set_read_deadline(Instant::now() + Duration::from_millis(5))?;
        let error = a.recv_batch(&mut Batch::new(1, 8)).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        a.set_deadline(None)?;
        a.set_write_deadline(Instant::now())?;
        let error = a.send_to(b"x", b.local_addr()?).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        b.send_to(b"still here", a.local_addr()?).await?;
        let mut buf = [0; 16];
        for _ in 0..2 {
            assert_eq!(a.peek(&mut buf).await?, 10);
        }
        assert_eq!(a.recv(&mut buf).await?, 10);
        Ok(())
    });
}

#[test]
fn a_train_arrives_as_its_datagrams_and_goes_back_as_it_came() {
    run(async {
        let (client, server) = (socket().await?, socket().await?);
        // Where the system has no such thing, everything below holds as well.
        let _ = server.set_gro(true);
        let bytes: Vec<u8> = (0..6000u32).map(|i| (i % 251) as u8).collect();
        let mut batch = Batch::new(8, 65_535);
        batch.push(b"before", server.local_addr()?);
        batch.push_segments(&bytes, 1400, server.local_addr()?);
        batch.push(b"after", server.local_addr()?);
        assert_eq!(batch.segment_size(0), None);
        assert_eq!(batch.segment_size(1), Some(1400));
        assert_eq!((batch.len(), batch.datagrams().count()), (3, 7));
        let expected: Vec<Vec<u8>> = batch.datagrams().map(|(it, _)| it.to_vec()).collect();
        client.send_batch(&batch).await?;

        let mut seen = Vec::new();
        while seen.len() < expected.len() {
            server.recv_batch(&mut batch).await?;
            for (datagram, from) in batch.datagrams() {
                assert_eq!(from, Some(client.local_addr()?));
                seen.push(datagram.to_vec());
            }
            // An echo server need not know how they came.
            server.send_batch(&batch).await?;
        }
        assert_eq!(seen, expected);
        let mut buf = [0; 2000];
        for datagram in &expected {
            let n = client.recv(&mut buf).await?;
            assert_eq!(&buf[..n], datagram);
        }
        Ok(())
    });
}

#[test]
#[should_panic(expected = "push each by itself")]
fn datagrams_of_no_bytes_are_no_train() {
    Batch::new(1, 8).push_segments(b"12345678", 0, None);
}

#[test]
#[should_panic(expected = "does not fit into memory")]
fn a_batch_is_never_smaller_than_it_says() {
    net::Batch::new(usize::MAX / 2, 4);
}

#[test]
fn what_a_socket_is_told_it_says_again_in_both_families() {
    run(async {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(address).await?;
            assert!(!socket.broadcast()?);
            socket.set_broadcast(true)?;
            assert!(socket.broadcast()?);
            socket.set_ttl(9)?;
            assert_eq!(socket.ttl()?, 9);
            assert_eq!(socket.multicast_ttl()?, 1);
            socket.set_multicast_ttl(3)?;
            assert_eq!((socket.multicast_ttl()?, socket.ttl()?), (3, 9));
            assert!(socket.multicast_loop()?);
            socket.set_multicast_loop(false)?;
            assert!(!socket.multicast_loop()?);
            socket.set_send_buffer_size(50_000)?;
            assert!((50_000..=100_000).contains(&socket.send_buffer_size()?));
        }
        Ok(())
    });
}

#[test]
fn who_shares_a_port_hears_a_group_together() {
    run(async {
        let group = group(7);
        let mut config = net::ListenConfig::new();
        config.reuse_port(true);
        let first = config.listen_packet("0.0.0.0:0").await?;
        let port = first.local_addr()?.port();
        let second = config.listen_packet(("0.0.0.0", port)).await?;
        for socket in [&first, &second] {
            socket.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        }
        let sender = UdpSocket::bind("127.0.0.1:0").await?;
        sender.set_multicast_interface_v4(Ipv4Addr::LOCALHOST)?;
        sender
            .send_to(b"who is there?", (group, port).into())
            .await?;
        for socket in [&first, &second] {
            let mut buf = [0; 64];
            let (n, from) = socket.recv_from(&mut buf).await?;
            assert_eq!(
                (&buf[..n], from),
                (&b"who is there?"[..], sender.local_addr()?)
            );
        }
        Ok(())
    });
}

#[test]
fn futures_by_hand_are_woken_and_calls_of_one_s_own_wait() {
    use std::future::poll_fn;
    use std::mem::MaybeUninit;

    use runtime::io::Direction;
    use socket2::SockRef;

    run(async {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0").await?,
            UdpSocket::bind("127.0.0.1:0").await?,
        );
        let (to, from) = (b.local_addr()?, a.local_addr()?);
        let polling = b.clone();
        let receiver = runtime::spawn(async move {
            let mut buf = [0; 16];
            let (n, who) = poll_fn(|cx| polling.poll_recv_from(cx, &mut buf)).await?;
            assert_eq!((&buf[..n], who), (&b"one"[..], from));
            let mut raw = [MaybeUninit::uninit(); 16];
            let receive = |fd: std::os::fd::BorrowedFd<'_>| SockRef::from(&fd).recv(&mut raw);
            assert_eq!(polling.io(Direction::Read, receive).await?, 2);
            let n = poll_fn(|cx| polling.poll_recv(cx, &mut buf)).await?;
            io::Result::Ok(n)
        });
        for datagram in [&b"one"[..], b"tw", b"three"] {
            // Each finds it waiting, or does not.
            runtime::yield_now().await;
            assert_eq!(
                poll_fn(|cx| a.poll_send_to(cx, datagram, to)).await?,
                datagram.len()
            );
        }
        assert_eq!(receiver.await.unwrap()?, 5);

        b.set_read_deadline(runtime::time::Instant::now())?;
        let mut calls = 0;
        let call = |_: std::os::fd::BorrowedFd<'_>| {
            calls += 1;
            io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
        };
        let late = b.io(Direction::Read, call).await.unwrap_err();
        assert!(net::is_deadline(&late) && calls == 0);
        let nothing = |_: std::os::fd::BorrowedFd<'_>| Ok(());
        b.close()?;
        assert!(net::is_closed(
            &b.try_io(Direction::Read, nothing).unwrap_err()
        ));
        assert!(net::is_closed(
            &b.io(Direction::Write, nothing).await.unwrap_err()
        ));
        Ok(())
    });
}
