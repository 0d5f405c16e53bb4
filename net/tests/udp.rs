//! Datagrams.

mod support;

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use net::{UdpSocket, is_closed, is_deadline};
use runtime::time::Instant;
use support::{run, waits};

async fn socket() -> io::Result<UdpSocket> {
    UdpSocket::bind("127.0.0.1:0").await
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
        let gone = socket().await?;
        let address = gone.local_addr()?;
        gone.close()?;
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
        let group = Ipv4Addr::new(239, 255, 42, 98);
        let member = UdpSocket::bind("0.0.0.0:0").await?;
        member.join_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
        let sender = socket().await?;
        sender.control(|descriptor| {
            socket2::SockRef::from(&descriptor).set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
        })?;
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
