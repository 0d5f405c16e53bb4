//! How connections end, and what whoever waits on them is told.

mod support;

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use net::{TcpListener, TcpStream, is_closed};
use runtime::io::Direction;
use socket2::SockRef;
use support::{pair, run, serve, waits};

#[test]
fn half_a_connection_can_be_closed() {
    run(async {
        let (client, server) = pair().await?;
        client.write_all(b"question").await?;
        client.shutdown(Shutdown::Write)?;
        let mut question = [0; 16];
        assert_eq!(server.read(&mut question).await?, 8);
        assert_eq!(server.read(&mut question).await?, 0);
        assert_eq!(server.read(&mut question).await?, 0, "the end stays");
        server.write_all(b"answer").await?;
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"answer");
        let error = client.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn closing_the_receiving_half_ends_a_pending_read() {
    run(async {
        let (client, _server) = pair().await?;
        let reader = client.clone();
        let reading = runtime::spawn(async move { reader.read(&mut [0; 8]).await });
        runtime::yield_now().await;
        client.shutdown(Shutdown::Read)?;
        assert_eq!(reading.await.unwrap()?, 0);
        Ok(())
    });
}

#[test]
fn the_end_is_found_in_the_middle_of_a_read_exact() {
    run(async {
        let (client, server) = pair().await?;
        client.write_all(b"123").await?;
        drop(client);
        let error = server.read_exact(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        Ok(())
    });
}

#[test]
fn a_close_wakes_reader_writer_and_waiter() {
    run(async {
        let (client, _server) = pair().await?;
        let (a, b, c) = (client.clone(), client.clone(), client.clone());
        let reading = runtime::spawn(async move { a.read(&mut [0; 8]).await.map(drop) });
        let writing = runtime::spawn(async move { b.write_all(&vec![0; 64 << 20]).await });
        // Until the kernel's buffer is full, so that the writer waits.
        let waiting = runtime::spawn(async move {
            while c.try_read(&mut [0]).is_err() {
                c.readable().await?;
            }
            io::Result::Ok(())
        });
        while client.try_write(b"x").is_ok() {
            runtime::yield_now().await;
        }
        client.close()?;
        for task in [reading, writing, waiting] {
            let error = task.await.unwrap().unwrap_err();
            assert!(is_closed(&error), "{error}");
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
            let text = "use of closed network connection: it, or a clone of it, was closed here";
            assert_eq!(error.to_string(), text);
        }
        Ok(())
    });
}

#[test]
fn a_closed_stream_says_so_to_every_call() {
    run(async {
        let (client, _server) = pair().await?;
        let clone = client.clone();
        client.close()?;
        let mut buf = [0; 8];
        let errors = [
            clone.read(&mut buf).await.unwrap_err(),
            clone.write(b"x").await.unwrap_err(),
            clone.read(&mut []).await.unwrap_err(),
            clone.try_read(&mut buf).unwrap_err(),
            clone.readable().await.unwrap_err(),
            clone.peer_addr().unwrap_err(),
            clone.shutdown(Shutdown::Both).unwrap_err(),
            clone.close().unwrap_err(),
            clone.into_std().unwrap_err(),
        ];
        // The last is told of the clone before it can be told of the close.
        for error in &errors[..8] {
            assert!(is_closed(error), "{error}");
        }
        assert_eq!(errors[8].kind(), io::ErrorKind::ResourceBusy);
        assert!(is_closed(&client.into_std().unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_close_of_a_listener_wakes_whoever_accepts_and_frees_the_port() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let acceptor = listener.clone();
        let accepting = runtime::spawn(async move { acceptor.accept().await.map(drop) });
        runtime::yield_now().await;
        listener.close()?;
        let error = accepting.await.unwrap().unwrap_err();
        assert!(is_closed(&error), "{error}");
        // A free port may be given to somebody else; not ten times in a row.
        for _ in 0..10 {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            listener.close()?;
            let refused = TcpStream::connect(address).await.is_err();
            if refused && TcpListener::bind(address).await.is_ok() {
                return Ok(());
            }
        }
        panic!("the ports of listeners that were closed are still taken");
    });
}

#[test]
fn a_reset_ends_a_long_write() {
    run(async {
        let (client, server) = pair().await?;
        let writing = runtime::spawn(async move {
            let error = client.write_all(&vec![0; 64 << 20]).await.unwrap_err();
            (client, error)
        });
        server.read_exact(&mut [0; 1000]).await?;
        server.set_linger(Some(Duration::ZERO))?;
        drop(server);
        let (client, error) = writing.await.unwrap();
        let kind = error.kind();
        assert!(
            matches!(
                kind,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{error}"
        );
        assert!(error.raw_os_error().is_some());
        let read = client.read(&mut [0; 8]).await;
        assert!(read.is_err() || read.unwrap() == 0);
        Ok(())
    });
}

#[test]
fn a_reset_ends_a_pending_read() {
    run(async {
        let (client, server) = pair().await?;
        let reading = runtime::spawn(async move { client.read(&mut [0; 8]).await });
        runtime::yield_now().await;
        server.set_linger(Some(Duration::ZERO))?;
        drop(server);
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_peer_that_never_reads_stops_the_writer_with_bounded_memory() {
    run(async {
        let (client, _server) = pair().await?;
        let mut sent = 0;
        loop {
            match client.try_write(&[0; 65_536]) {
                Ok(n) => sent += n,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    // The peer's window may still open for what is under way; then there is more
                    // room, once.
                    if waits(&mut Box::pin(client.writable())) {
                        break;
                    }
                }
            }
            assert!(sent < 256 << 20, "the kernel bounds what it holds");
        }
        // Nobody else is stopped.
        let (other, _end) = pair().await?;
        other.write_all(b"x").await
    });
}

#[test]
fn a_dropped_read_takes_no_bytes() {
    run(async {
        let (client, server) = pair().await?;
        for round in 0..100u8 {
            let mut buf = [0; 8];
            let mut reading = Box::pin(server.read(&mut buf));
            assert!(waits(&mut reading));
            client.write_all(&[round]).await?;
            drop(reading);
            assert_eq!(server.read(&mut buf).await?, 1);
            assert_eq!(buf[0], round);
        }
        Ok(())
    });
}

#[test]
fn closes_race_with_reads_and_writes() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        runtime::spawn(serve(listener));
        for round in 0..500 {
            let stream = TcpStream::connect(address).await?;
            let busy = stream.clone();
            let task = runtime::spawn(async move {
                loop {
                    if let Err(error) = busy.write_all(b"x").await {
                        return error;
                    }
                    if let Err(error) = busy.read_exact(&mut [0]).await {
                        return error;
                    }
                }
            });
            for _ in 0..round % 7 {
                runtime::yield_now().await;
            }
            stream.close()?;
            let error = task.await.unwrap();
            assert!(is_closed(&error), "{error}");
        }
        Ok(())
    });
}

#[test]
fn dropping_the_sending_half_ends_sending_and_reuniting_does_not() {
    run(async {
        let (client, server) = pair().await?;
        let (reader, writer) = client.into_split();
        let client = reader.reunite(writer).unwrap();
        client.write_all(b"x").await?;
        server.read_exact(&mut [0]).await?;

        let (reader, writer) = client.into_split();
        drop(writer);
        assert_eq!(server.read(&mut [0]).await?, 0);
        server.write_all(b"y").await?;
        reader.read_exact(&mut [0]).await?;
        Ok(())
    });
}

#[test]
fn halves_of_different_streams_come_back() {
    run(async {
        let (first, _a) = pair().await?;
        let (second, _b) = pair().await?;
        let (reader, _writer) = first.into_split();
        let (_reader, writer) = second.into_split();
        let error = reader.reunite(writer).unwrap_err();
        assert_eq!(error.to_string(), "the halves are of different streams");
        error.1.write_all(b"x").await
    });
}

#[test]
fn a_socket_may_be_closed_within_calls_on_its_descriptor() {
    run(async {
        let closers: [fn(&TcpStream) -> io::Result<()>; 3] = [
            |stream| stream.control(|_| stream.close()),
            |stream| stream.try_io(Direction::Read, |_| stream.close()),
            |stream| stream.control(|_| stream.control(|_| stream.close())),
        ];
        for close in closers {
            let (client, server) = pair().await?;
            close(&server)?;
            assert!(is_closed(&server.peer_addr().unwrap_err()));
            assert!(is_closed(&server.close().unwrap_err()));
            assert_eq!(client.read(&mut [0]).await?, 0, "the descriptor is gone");
        }
        let (client, server) = pair().await?;
        server.io(Direction::Write, |_| server.close()).await?;
        assert_eq!(client.read(&mut [0]).await?, 0);

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.control(|_| listener.close())?;
        let (a, _b) = net::UnixDatagram::pair()?;
        a.control(|_| a.close())?;
        assert!(is_closed(&a.send(b"x").await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_socket_closed_within_a_call_is_closed_to_all_but_that_call() {
    run(async {
        let (client, server) = pair().await?;
        let reader = server.clone();
        let reading = runtime::spawn(async move { reader.read(&mut [0]).await });
        runtime::yield_now().await;
        server.control(|descriptor| {
            server.close()?;
            assert_eq!(format!("{server:?}"), "TcpStream { closed }");
            for error in [
                server.local_addr().unwrap_err(),
                server.control(|_| Ok(())).unwrap_err(),
                server.try_read(&mut [0]).unwrap_err(),
                server.set_deadline(None).unwrap_err(),
                server.close().unwrap_err(),
            ] {
                assert!(is_closed(&error), "{error}");
            }
            // The number is still this socket's.
            SockRef::from(&descriptor).send(b"x").map(drop)
        })?;
        assert!(is_closed(&reading.await.unwrap().unwrap_err()));
        client.read_exact(&mut [0]).await?;
        assert_eq!(client.read(&mut [0]).await?, 0);
        Ok(())
    });
}

#[test]
fn a_panic_in_a_call_that_has_closed_its_socket_gives_the_descriptor_back() {
    run(async {
        let (client, server) = pair().await?;
        let call = || {
            server.control(|_| -> io::Result<()> {
                server.close()?;
                panic!("as the test wants it");
            })
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
        assert_eq!(client.read(&mut [0]).await?, 0);
        Ok(())
    });
}

#[test]
fn two_calls_may_close_each_other_s_sockets() {
    run(async {
        let ((a, a_peer), (b, b_peer)) = (pair().await?, pair().await?);
        let (first, second) = (a.clone(), b.clone());
        let both = Arc::new(Barrier::new(2));
        let other = both.clone();
        let thread = std::thread::spawn(move || {
            first.control(|_| {
                other.wait();
                second.close()
            })
        });
        b.control(|_| {
            both.wait();
            a.close()
        })?;
        thread.join().unwrap()?;
        for peer in [a_peer, b_peer] {
            assert_eq!(peer.read(&mut [0]).await?, 0);
        }
        Ok(())
    });
}

#[test]
fn closes_race_with_calls_on_the_descriptor_which_is_there_until_they_return() {
    run(async {
        for round in 0..200 {
            let (client, server) = pair().await?;
            let address = server.local_addr()?;
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let server = server.clone();
                    std::thread::spawn(move || {
                        loop {
                            let mine = server.control(|descriptor| {
                                for _ in 0..round % 5 {
                                    std::thread::yield_now();
                                }
                                SockRef::from(&descriptor).local_addr()
                            });
                            match mine {
                                Ok(found) => assert_eq!(found.as_socket(), Some(address)),
                                Err(error) => return assert!(is_closed(&error), "{error}"),
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..round % 7 {
                runtime::yield_now().await;
            }
            server.close()?;
            for caller in callers {
                caller.join().unwrap();
            }
            assert_eq!(client.read(&mut [0]).await?, 0);
        }
        Ok(())
    });
}
