//! Bytes go through as they were sent.

mod support;

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use net::{ListenConfig, TcpListener, TcpStream};
use support::{echo, pair, run, run_on, run_on_one_alone, serve};

#[test]
fn what_is_sent_comes_back() {
    for workers in [1, 2, 3, 8] {
        run_on(workers, async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            runtime::spawn(serve(listener));
            let stream = TcpStream::connect(address).await?;
            for round in 0..1000u32 {
                stream.write_all(&round.to_le_bytes()).await?;
                let mut answer = [0; 4];
                stream.read_exact(&mut answer).await?;
                assert_eq!(u32::from_le_bytes(answer), round);
            }
            Ok(())
        });
    }
}

#[test]
fn two_thousand_connections_are_served_at_once() {
    run(async {
        const CONNECTIONS: u32 = 2_000;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        runtime::spawn(serve(listener));
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            streams.push(TcpStream::connect(address).await?);
        }
        let clients: Vec<_> = (0..CONNECTIONS)
            .zip(streams)
            .map(|(id, stream)| {
                runtime::spawn(async move {
                    for round in 0..5 {
                        let mut message = [0; 64];
                        message[..4].copy_from_slice(&id.to_le_bytes());
                        message[4..8].copy_from_slice(&u32::to_le_bytes(round));
                        stream.write_all(&message).await?;
                        let mut answer = [0; 64];
                        stream.read_exact(&mut answer).await?;
                        assert_eq!(answer, message);
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap()?;
        }
        Ok(())
    });
}

#[test]
fn megabytes_go_both_ways_at_once_through_one_stream() {
    run(async {
        const BYTES: usize = 8 << 20;
        let byte = |i: usize| (i * 31 % 251) as u8;
        let (client, server) = pair().await?;
        let echoing = runtime::spawn(echo(server));
        let sender = client.clone();
        let sending = runtime::spawn(async move {
            let data: Vec<u8> = (0..BYTES).map(byte).collect();
            sender.write_all(&data).await?;
            sender.shutdown(Shutdown::Write)
        });
        let mut received = 0;
        let mut buf = vec![0; 65_536];
        loop {
            let n = client.read(&mut buf).await?;
            if n == 0 {
                break;
            }
            for (at, &got) in buf[..n].iter().enumerate() {
                assert_eq!(got, byte(received + at));
            }
            received += n;
        }
        assert_eq!(received, BYTES);
        sending.await.unwrap()?;
        echoing.await.unwrap()
    });
}

#[test]
fn an_empty_read_or_write_returns_at_once() {
    run(async {
        let (client, _server) = pair().await?;
        // First with the direction known to be unready.
        let error = client.try_read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(client.read(&mut []).await?, 0);
        assert_eq!(client.try_read(&mut [])?, 0);
        assert_eq!(client.peek(&mut []).await?, 0);
        assert_eq!(client.read_vectored(&mut []).await?, 0);
        assert_eq!(client.write(&[]).await?, 0);
        assert_eq!(client.write_vectored(&[]).await?, 0);
        assert_eq!(AsyncReadExt::read(&mut &client, &mut []).await?, 0);
        Ok(())
    });
}

#[test]
fn a_connection_waits_without_a_buffer() {
    run(async {
        let (client, server) = pair().await?;
        let waiting = runtime::spawn(async move {
            let mut messages = Vec::new();
            loop {
                server.readable().await?;
                let mut buf = [0; 64];
                match server.try_read(&mut buf) {
                    Ok(0) => return io::Result::Ok(messages),
                    Ok(n) => messages.extend_from_slice(&buf[..n]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        });
        for part in ["some ", "words ", "in ", "pieces"] {
            client.write_all(part.as_bytes()).await?;
            runtime::yield_now().await;
        }
        drop(client);
        assert_eq!(waiting.await.unwrap()?, b"some words in pieces");
        Ok(())
    });
}

#[test]
fn a_peek_takes_nothing() {
    run(async {
        let (client, server) = pair().await?;
        client.write_all(b"once").await?;
        let mut buf = [0; 8];
        assert_eq!(server.peek(&mut buf).await?, 4);
        assert_eq!(server.peek(&mut buf).await?, 4);
        assert_eq!(server.read(&mut buf).await?, 4);
        Ok(())
    });
}

#[test]
fn several_buffers_go_in_one_call() {
    run(async {
        let (client, server) = pair().await?;
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        assert_eq!(client.write_vectored(&parts).await?, 7);
        let (mut first, mut rest) = ([0; 4], [0; 16]);
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut rest)];
        assert_eq!(server.read_vectored(&mut parts).await?, 7);
        assert_eq!((&first, &rest[..3]), (b"one ", &b"two"[..]));
        Ok(())
    });
}

#[test]
fn the_futures_traits_carry_bytes_too() {
    run(async {
        let (client, server) = pair().await?;
        let copying = runtime::spawn(async move {
            let (reader, writer) = server.into_split();
            let mut writer = writer;
            let copied = futures_util::io::copy(reader, &mut writer).await?;
            writer.close().await?;
            io::Result::Ok(copied)
        });
        let sender = client.clone();
        let sending = runtime::spawn(async move {
            let data = vec![7; 1 << 20];
            AsyncWriteExt::write_all(&mut &sender, &data).await?;
            AsyncWriteExt::close(&mut &sender).await
        });
        let mut back = Vec::new();
        AsyncReadExt::read_to_end(&mut &client, &mut back).await?;
        assert_eq!(back, vec![7; 1 << 20]);
        assert_eq!(copying.await.unwrap()?, 1 << 20);
        sending.await.unwrap()
    });
}

#[test]
fn tasks_that_poll_one_stream_are_all_woken() {
    run(async {
        let (client, server) = pair().await?;
        let readers: Vec<_> = (0..50)
            .map(|_| {
                let server = server.clone();
                runtime::spawn(async move {
                    let mut byte = [0];
                    AsyncReadExt::read_exact(&mut &server, &mut byte).await?;
                    io::Result::Ok(byte[0])
                })
            })
            .collect();
        for byte in 0..50 {
            client.write_all(&[byte]).await?;
            runtime::yield_now().await;
        }
        let mut seen = Vec::new();
        for reader in readers {
            seen.push(reader.await.unwrap()?);
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..50));
        Ok(())
    });
}

#[test]
fn ten_tasks_accept_on_one_listener() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptors: Vec<_> = (0..10)
            .map(|_| {
                let listener = listener.clone();
                runtime::spawn(async move { listener.accept().await.map(drop) })
            })
            .collect();
        for _ in 0..10 {
            TcpStream::connect(address).await?;
        }
        for acceptor in acceptors {
            acceptor.await.unwrap()?;
        }
        Ok(())
    });
}

#[test]
fn listeners_that_share_a_port_share_its_connections() {
    run(async {
        let mut config = ListenConfig::new();
        config.reuse_port(true);
        let first = config.listen("127.0.0.1:0").await?;
        let address = first.local_addr()?;
        let second = config.listen(address).await?;
        runtime::spawn(serve(first));
        runtime::spawn(serve(second));
        for _ in 0..100 {
            let stream = TcpStream::connect(address).await?;
            stream.write_all(b"x").await?;
            stream.read_exact(&mut [0]).await?;
        }
        Ok(())
    });
}

#[test]
fn a_steady_exchange_does_not_starve_its_neighbour() {
    run_on_one_alone(async {
        let (client, server) = pair().await?;
        client.write_all(&[1; 100_000]).await?;
        let has_read = Arc::new(AtomicBool::new(false));
        let read = Arc::clone(&has_read);
        let neighbour = runtime::spawn(async move { has_read.load(Ordering::SeqCst) });
        // The last one to be spawned is the first to run. Its bytes are all there.
        let reading = runtime::spawn(async move {
            for _ in 0..100_000 {
                server.read_exact(&mut [0]).await?;
            }
            read.store(true, Ordering::SeqCst);
            io::Result::Ok(())
        });
        assert!(!neighbour.await.unwrap(), "its turn came after all others'");
        reading.await.unwrap()?;
        drop(client);
        Ok(())
    });
}
