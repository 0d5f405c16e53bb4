//! Corners: what nobody does on purpose, and what happens all the same.

mod support;

use std::io::{self, IoSlice};
use std::net::{Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{Dialer, ListenConfig, TcpListener, TcpStream, UdpSocket, is_closed, is_deadline};
use runtime::time::Instant;
use support::{alone, descriptors, in_child, limit_descriptors, pair, run, waits, watched};

#[test]
fn a_listener_on_all_of_ipv6_takes_ipv4_too_unless_told_otherwise() {
    run(async {
        let both = TcpListener::bind("[::]:0").await?;
        let port = both.local_addr()?.port();
        for client in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
            let client = TcpStream::connect(format!("{client}:{port}")).await?;
            let (server, peer) = both.accept().await?;
            // A mapped address stays one; the port tells that it is the same.
            assert_eq!(peer.port(), client.local_addr()?.port());
            assert!(peer.is_ipv6());
            client.write_all(b"x").await?;
            server.read_exact(&mut [0]).await?;
        }
        let mut config = ListenConfig::new();
        let alone = config.only_v6(true).listen("[::]:0").await?;
        let port = alone.local_addr()?.port();
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await?;
        let error = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn datagrams_reach_a_socket_on_all_of_ipv6_from_either_family() {
    run(async {
        let both = UdpSocket::bind("[::]:0").await?;
        let port = both.local_addr()?.port();
        for localhost in ["127.0.0.1", "[::1]"] {
            let client = UdpSocket::bind(format!("{localhost}:0")).await?;
            let to: SocketAddr = format!("{localhost}:{port}").parse().unwrap();
            client.send_to(b"there", to).await?;
            let mut buf = [0; 8];
            let (n, peer) = both.recv_from(&mut buf).await?;
            both.send_to(&buf[..n], peer).await?;
            assert_eq!(client.recv_from(&mut buf).await?, (5, to));
        }
        Ok(())
    });
}

#[test]
fn a_local_address_chooses_the_family_of_the_peer_s() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let addresses: [SocketAddr; 2] =
            [(Ipv6Addr::LOCALHOST, port).into(), listener.local_addr()?];
        let mut dialer = Dialer::new();
        dialer.local_addr("127.0.0.3:0".parse().unwrap());
        let stream = dialer.connect(&addresses[..]).await?;
        assert_eq!(stream.local_addr()?.ip().to_string(), "127.0.0.3");
        let error = dialer.connect(addresses[0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("other family"), "{error}");
        Ok(())
    });
}

#[test]
fn a_close_that_lingers_for_no_time_resets_the_connection() {
    run(async {
        let (client, server) = pair().await?;
        client.write_all(b"never read").await?;
        client.set_linger(Some(Duration::ZERO))?;
        drop(client);
        let mut buf = [0; 16];
        let error = loop {
            match server.read(&mut buf).await {
                Ok(0) => panic!("ended as if nothing had happened"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_half_that_is_dropped_does_not_disturb_the_other_one_s_wait() {
    run(async {
        let (client, server) = pair().await?;
        let (reader, writer) = client.into_split();
        let reading = runtime::spawn(async move {
            let mut buf = [0; 4];
            reader.read_exact(&mut buf).await.map(|()| buf)
        });
        runtime::yield_now().await;
        drop(writer);
        assert_eq!(
            server.read(&mut [0]).await?,
            0,
            "the sending half has ended"
        );
        server.write_all(b"late").await?;
        assert_eq!(&reading.await.unwrap()?, b"late");

        // The other way: nobody reads any more, and the writer goes on when the peer takes
        // something.
        let (client, server) = pair().await?;
        let (reader, writer) = client.into_split();
        const BYTES: usize = 8 << 20;
        let writing = runtime::spawn(async move { writer.write_all(&vec![7; BYTES]).await });
        runtime::yield_now().await;
        drop(reader);
        let mut left = BYTES;
        let mut buf = vec![0; 64 * 1024];
        while left > 0 {
            let n = server.read(&mut buf).await?;
            assert!(n > 0);
            left -= n;
        }
        writing.await.unwrap()
    });
}

#[test]
fn writing_after_the_end_of_sending_fails_and_ending_twice_does_not() {
    run(async {
        let (client, server) = pair().await?;
        client.shutdown(Shutdown::Write)?;
        client.shutdown(Shutdown::Write)?;
        for _ in 0..2 {
            let error = client.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        // Nothing to write is nothing to fail at.
        assert_eq!(client.write(b"").await?, 0);
        server.write_all(b"answer").await?;
        client.read_exact(&mut [0; 6]).await
    });
}

/// Set to its default, as many tools for the command line do, SIGPIPE ends a process that writes to
/// a connection which is gone.
#[test]
fn a_program_that_has_restored_sigpipe_survives_a_broken_connection() {
    let _alone = alone();
    if !in_child("a_program_that_has_restored_sigpipe_survives_a_broken_connection") {
        return;
    }
    // SAFETY: no handler is installed, and the process is this test's alone.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run(async {
        let (client, _server) = pair().await?;
        client.shutdown(Shutdown::Write)?;
        let error = client.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let bufs = [IoSlice::new(b"x"), IoSlice::new(b"y")];
        let error = client.write_vectored(&bufs).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        // Calls that cannot be told to leave the signal out.
        let file = std::fs::File::open("/proc/self/exe")?;
        let error = client.send_file(&file, ..).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let ((feeder, mut from), (to, taker)) = (pair().await?, pair().await?);
        runtime::spawn(async move { while feeder.write_all(&[1; 64 * 1024]).await.is_ok() {} });
        let mut writer = to.clone();
        let copying = runtime::spawn(async move { net::copy(&mut from, &mut writer).await });
        // By then it is known that there is much.
        taker.read_exact(&mut vec![0; 16 << 20]).await?;
        to.shutdown(Shutdown::Write)?;
        let error = copying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn a_writer_that_found_no_room_is_told_of_some_whichever_way_it_writes() {
    const BYTES: usize = 8 << 20;
    run(async {
        for way in 0..3 {
            // The accepted end: its connection begins without anybody's having asked when it is
            // writable.
            let (client, server) = pair().await?;
            let writing = runtime::spawn(async move {
                let chunk = vec![7; 100_000];
                let mut sent = 0;
                while sent < BYTES {
                    sent += match way {
                        0 => server.write(&chunk).await?,
                        1 => {
                            let bufs = [IoSlice::new(&chunk), IoSlice::new(&chunk)];
                            server.write_vectored(&bufs).await?
                        }
                        _ => match server.try_write(&chunk) {
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                                server.writable().await?;
                                0
                            }
                            written => written?,
                        },
                    };
                }
                io::Result::Ok(sent)
            });
            let mut buf = vec![0; 64 * 1024];
            let mut got = 0;
            loop {
                match client.read(&mut buf).await? {
                    0 => break,
                    n => got += n,
                }
            }
            assert_eq!(got, writing.await.unwrap()?);
        }
        Ok(())
    });
}

#[test]
fn more_buffers_than_the_system_takes_are_written_in_part() {
    run(async {
        let (client, server) = pair().await?;
        let bytes: Vec<u8> = (0..3000u32).map(|i| (i % 251) as u8).collect();
        let mut sent = 0;
        while sent < bytes.len() {
            let bufs: Vec<_> = bytes[sent..].chunks(1).map(IoSlice::new).collect();
            let n = client.write_vectored(&bufs).await?;
            assert!(n > 0);
            sent += n;
        }
        let mut back = vec![0; bytes.len()];
        server.read_exact(&mut back).await?;
        assert_eq!(back, bytes);
        Ok(())
    });
}

#[test]
fn two_readers_of_one_stream_get_every_byte_between_them() {
    const BYTES: usize = 100_000;
    run(async {
        let (client, server) = pair().await?;
        let seen = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (server, seen) = (server.clone(), Arc::clone(&seen));
                runtime::spawn(async move {
                    let mut buf = [0; 7];
                    loop {
                        match server.read(&mut buf).await? {
                            0 => return io::Result::Ok(()),
                            n => _ = seen.fetch_add(n, Ordering::Relaxed),
                        }
                    }
                })
            })
            .collect();
        for chunk in vec![1; BYTES].chunks(13) {
            client.write_all(chunk).await?;
            runtime::yield_now().await;
        }
        client.shutdown(Shutdown::Write)?;
        for reader in readers {
            reader.await.unwrap()?;
        }
        assert_eq!(seen.load(Ordering::Relaxed), BYTES);
        Ok(())
    });
}

#[test]
fn a_storm_of_deadlines_leaves_the_last_one() {
    run(async {
        let (client, server) = pair().await?;
        let reader = server.clone();
        let reading = runtime::spawn(async move { reader.read(&mut [0]).await });
        // Sooner, later, none, in turn: each sets, puts off or lifts the timer.
        let now = Instant::now();
        for i in 0..100_000u64 {
            match i % 3 {
                0 => server.set_read_deadline(now + Duration::from_secs(3600 + i % 7))?,
                1 => server.set_read_deadline(now + Duration::from_secs(1800 - i % 11))?,
                _ => server.set_read_deadline(None)?,
            }
        }
        assert!(!reading.is_finished());
        client.write_all(b"x").await?;
        assert_eq!(reading.await.unwrap()?, 1);
        server.set_read_deadline(Instant::now() + Duration::from_millis(5))?;
        assert!(is_deadline(&server.read(&mut [0]).await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_stream_moves_to_another_runtime_with_what_has_arrived() {
    watched(|| {
        let build = || runtime::Builder::new().max_procs(1).build().unwrap();
        let (first, second) = (build(), build());
        let (client, server) = first.block_on(async {
            let (client, server) = pair().await.unwrap();
            client.write_all(b"before").await.unwrap();
            // It has waited here, and is known to be drained there.
            let mut buf = [0; 64];
            assert_eq!(server.read(&mut buf).await.unwrap(), 6);
            assert!(waits(&mut Box::pin(server.read(&mut buf))));
            client.write_all(b"and after").await.unwrap();
            (client, server)
        });
        let server = second.block_on(async move {
            let server = TcpStream::from_std(server.into_std().unwrap()).unwrap();
            let mut buf = [0; 9];
            server.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"and after");
            server
        });
        // Used by a task of the other runtime, whose own reactor it is not in.
        let reading = first.spawn(async move {
            let mut buf = [0; 5];
            server.read_exact(&mut buf).await.map(|()| buf)
        });
        second.block_on(async { client.write_all(b"there").await.unwrap() });
        assert_eq!(&first.block_on(reading).unwrap().unwrap(), b"there");
    });
}

#[test]
fn an_address_may_name_its_interface() {
    run(async {
        // Link-local, through the interface that leads to this machine alone: nobody has the
        // address.
        let found = net::lookup_host("[fe80::1%lo]:7").await?;
        let [SocketAddr::V6(found)] = found[..] else {
            panic!("{found:?}");
        };
        assert_ne!(found.scope_id(), 0);
        assert_eq!(found.port(), 7);
        Ok(())
    });
}

#[test]
fn impossible_targets_are_errors_and_no_hangs() {
    run(async {
        let error = TcpStream::connect("127.0.0.1:0").await.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::AddrNotAvailable
            ),
            "{error:?}"
        );
        // A scope that no interface has.
        let nowhere = "[fe80::1%4294967295]:80".parse::<SocketAddr>().unwrap();
        TcpStream::connect(nowhere).await.unwrap_err();
        let error = TcpListener::bind("[::1]:0:0").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        Ok(())
    });
}

#[test]
fn a_close_or_a_deadline_ends_an_accept_that_waits_for_descriptors() {
    let _alone = alone();
    if !in_child("a_close_or_a_deadline_ends_an_accept_that_waits_for_descriptors") {
        return;
    }
    run(async {
        let mut quick = 0;
        for round in 0..4 {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _client = TcpStream::connect(listener.local_addr()?).await?;
            let mut hoard = Vec::new();
            limit_descriptors(descriptors() + 5);
            while let Ok(file) = std::fs::File::open("/dev/null") {
                hoard.push(file);
            }
            let before = listener.shortages();
            let acceptor = listener.clone();
            let accepting = runtime::spawn(async move { acceptor.accept().await });
            // The eighth pause lasts 640 ms.
            while listener.shortages() < before + 8 {
                runtime::time::sleep(Duration::from_millis(1)).await;
            }
            let start = Instant::now();
            if round % 2 == 0 {
                listener.close()?;
                assert!(is_closed(&accepting.await.unwrap().unwrap_err()));
            } else {
                listener.set_deadline(Instant::now())?;
                assert!(is_deadline(&accepting.await.unwrap().unwrap_err()));
            }
            // On a busy machine not each round; but without it none.
            quick += u32::from(start.elapsed() < Duration::from_millis(300));
            drop(hoard);
            limit_descriptors(20_000);
        }
        assert!(quick > 0);
        Ok(())
    });
}
