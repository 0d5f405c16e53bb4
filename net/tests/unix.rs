//! Sockets within the machine.

mod support;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::io::AsyncReadExt;
use net::{UnixDatagram, UnixListener, UnixStream, is_closed, is_deadline, os_error};
use runtime::time::{Instant, timeout};
use support::run;

/// A path that nobody else uses.
fn path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("net-test-{}-{next}", std::process::id()));
    // Left behind by one that had the same number, and was killed.
    let _ = std::fs::remove_file(&path);
    path
}

async fn echo(stream: UnixStream) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            n => stream.write_all(&buf[..n]).await?,
        }
    }
}

#[test]
fn what_is_sent_comes_back_and_the_file_goes() {
    run(async {
        let path = path();
        let listener = UnixListener::bind(&path)?;
        assert!(path.exists());
        assert_eq!(listener.local_addr()?.as_pathname(), Some(path.as_path()));
        let acceptor = listener.clone();
        let serving = runtime::spawn(async move {
            loop {
                let (stream, _) = acceptor.accept().await?;
                runtime::spawn(echo(stream));
            }
            #[allow(unreachable_code, reason = "gives the block its type")]
            io::Result::Ok(())
        });
        let clients: Vec<_> = (0..100u8)
            .map(|byte| {
                let path = path.clone();
                runtime::spawn(async move {
                    let stream = UnixStream::connect(path).await?;
                    for _ in 0..10 {
                        stream.write_all(&[byte; 100]).await?;
                        let mut answer = [0; 100];
                        stream.read_exact(&mut answer).await?;
                        assert_eq!(answer, [byte; 100]);
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap()?;
        }
        listener.close()?;
        assert!(!path.exists());
        assert!(is_closed(&serving.await.unwrap().unwrap_err()));
        Ok(())
    });
}

#[test]
fn megabytes_pass_and_the_end_is_seen_through_the_traits() {
    run(async {
        let (a, b) = UnixStream::pair()?;
        let sending = runtime::spawn(async move { a.write_all(&vec![9; 8 << 20]).await });
        let mut data = Vec::new();
        AsyncReadExt::read_to_end(&mut &b, &mut data).await?;
        assert_eq!(data, vec![9; 8 << 20]);
        sending.await.unwrap()
    });
}

/// Go: TestUnixUnlink, where it would go.
#[test]
fn a_server_that_ends_leaves_the_file_of_the_one_that_has_taken_over() {
    run(async {
        let path = path();
        for by_close in [true, false] {
            let old = UnixListener::bind(&path)?;
            std::fs::remove_file(&path)?;
            let new = UnixListener::bind(&path)?;
            if by_close {
                old.close()?;
            }
            drop(old);
            let _client = UnixStream::connect(&path).await?;
            new.accept().await?;
            drop(new);
            assert!(!path.exists());
        }
        // Nor is anything else that lies there now.
        let old = UnixListener::bind(&path)?;
        std::fs::remove_file(&path)?;
        std::fs::write(&path, "mine")?;
        drop(old);
        assert_eq!(std::fs::read_to_string(&path)?, "mine");
        std::fs::remove_file(&path)
    });
}

#[test]
fn an_abstract_name_has_no_file_and_is_free_after_a_close() {
    run(async {
        let name = format!("@net-test-{}-abstract", std::process::id());
        for _ in 0..2 {
            let listener = UnixListener::bind(&name)?;
            let client = UnixStream::connect(&name).await?;
            let (server, _) = listener.accept().await?;
            client.write_all(b"x").await?;
            server.read_exact(&mut [0]).await?;
        }
        assert!(!PathBuf::from(&name).exists());
        Ok(())
    });
}

#[test]
fn errors_name_the_path_and_a_cure() {
    run(async {
        let path = path();
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("no server listens"), "{error}");

        let listener = UnixListener::bind(&path)?;
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(os_error(&error), Some(libc::EADDRINUSE));
        let text = error.to_string();
        let start = format!("bind unix {}: ", path.display());
        assert!(
            text.starts_with(&start) && text.contains("remove it"),
            "{text}"
        );

        listener.set_unlink_on_close(false);
        drop(listener);
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_file(path)?;

        let long = "x".repeat(200);
        let error = UnixListener::bind(&long).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("bind unix {long}: "))
        );
        Ok(())
    });
}

/// The system reads a path up to the first NUL, and would take another one.
#[test]
fn a_path_with_a_nul_in_it_is_refused_and_not_cut() {
    run(async {
        let cut = path();
        let listener = UnixListener::bind(&cut)?;
        let whole = OsString::from_vec([cut.as_os_str().as_bytes(), b"\0rest"].concat());
        let errors = [
            UnixStream::connect(&whole).await.unwrap_err(),
            UnixDatagram::unbound()?.connect(&whole).unwrap_err(),
            UnixDatagram::bind(&whole).unwrap_err(),
        ];
        drop(listener);
        let bound = UnixListener::bind(&whole).unwrap_err();
        for error in errors.into_iter().chain([bound]) {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains("a NUL in the path"), "{error}");
        }
        // At the start it is the system's own way of writing an abstract name, in which more may
        // follow.
        if cfg!(target_os = "linux") {
            UnixListener::bind(OsString::from_vec(b"\0weftline\0test".to_vec()))?;
        }
        Ok(())
    });
}

#[test]
fn a_full_backlog_is_waited_out() {
    run(async {
        let path = path();
        // By hand: a backlog of one.
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        socket.bind(&socket2::SockAddr::unix(&path)?)?;
        socket.listen(0)?;
        let mut waiting = Vec::new();
        let limit = Duration::from_millis(50);
        while let Ok(stream) = timeout(limit, UnixStream::connect(&path)).await {
            waiting.push(stream?);
            assert!(waiting.len() < 10);
        }
        let connecting = {
            let path = path.clone();
            runtime::spawn(async move { UnixStream::connect(path).await.map(drop) })
        };
        while !connecting.is_finished() {
            // The queue has somebody in it until the one that waits has found room.
            socket.accept()?;
            runtime::time::sleep(Duration::from_millis(1)).await;
            if waiting.pop().is_none() {
                break;
            }
        }
        connecting.await.unwrap()?;
        std::fs::remove_file(path)
    });
}

#[test]
fn a_close_and_a_deadline_end_a_read() {
    run(async {
        let (a, _b) = UnixStream::pair()?;
        a.set_read_deadline(Instant::now() + Duration::from_millis(5))?;
        assert!(is_deadline(&a.read(&mut [0]).await.unwrap_err()));
        a.set_deadline(None)?;
        let reader = a.clone();
        let reading = runtime::spawn(async move { reader.read(&mut [0]).await });
        runtime::yield_now().await;
        a.close()?;
        assert!(is_closed(&reading.await.unwrap().unwrap_err()));
        Ok(())
    });
}

#[test]
fn datagrams_keep_their_bounds_and_wait_for_room() {
    run(async {
        let (a, b) = UnixDatagram::pair()?;
        let sending = runtime::spawn(async move {
            // More than the queue holds.
            for round in 0..5_000u32 {
                a.send(&round.to_le_bytes()).await?;
            }
            io::Result::Ok(())
        });
        for round in 0..5_000u32 {
            let mut buf = [0; 8];
            assert_eq!(b.recv(&mut buf).await?, 4);
            assert_eq!(u32::from_le_bytes(buf[..4].try_into().unwrap()), round);
        }
        sending.await.unwrap()
    });
}

#[test]
fn many_senders_wait_for_room_at_one_receiver() {
    run(async {
        let path = path();
        let receiver = UnixDatagram::bind(&path)?;
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                runtime::spawn(async move {
                    let sender = UnixDatagram::unbound()?;
                    sender.connect(path)?;
                    for _ in 0..1_000 {
                        sender.send(b"x").await?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for _ in 0..4_000 {
            assert_eq!(receiver.recv(&mut [0; 8]).await?, 1);
        }
        for sender in senders {
            sender.await.unwrap()?;
        }
        let other = UnixDatagram::unbound()?;
        assert_eq!(other.try_send_to(b"y", &path)?, 1);
        let (n, from) = receiver.recv_from(&mut [0; 8]).await?;
        assert!(n == 1 && from.is_unnamed());
        std::fs::remove_file(path)
    });
}

#[test]
fn halves_are_put_together_again_and_a_dropped_half_ends_sending() {
    run(async {
        let (a, b) = UnixStream::pair()?;
        let (c, _d) = UnixStream::pair()?;
        let (reader, writer) = a.into_split();
        let (_, other) = c.into_split();
        let error = reader.reunite(other).unwrap_err();
        assert_eq!(error.to_string(), "the halves are of different streams");
        let whole = error.0.reunite(writer).unwrap();
        whole.write_all(b"still open").await?;
        b.read_exact(&mut [0; 10]).await?;

        let (reader, writer) = whole.into_split();
        let echoing = runtime::spawn(echo(b));
        let reading = runtime::spawn(async move {
            let mut answer = [0; 5];
            reader.read_exact(&mut answer).await?;
            assert_eq!(reader.read(&mut [0]).await?, 0);
            io::Result::Ok(answer)
        });
        writer.write_all(b"hello").await?;
        drop(writer);
        assert_eq!(&reading.await.unwrap()?, b"hello");
        echoing.await.unwrap()
    });
}

#[test]
fn a_unix_stream_has_all_that_tcp_has() {
    run(async {
        let (a, b) = UnixStream::pair()?;
        a.write_vectored(&[io::IoSlice::new(b"he"), io::IoSlice::new(b"llo")])
            .await?;
        let mut buf = [0; 8];
        for _ in 0..2 {
            assert_eq!(b.peek(&mut buf).await?, 5);
        }
        let (mut first, mut rest) = ([0; 2], [0; 6]);
        let mut bufs = [
            io::IoSliceMut::new(&mut first),
            io::IoSliceMut::new(&mut rest),
        ];
        assert_eq!(b.try_read_vectored(&mut bufs)?, 5);
        assert_eq!((&first, &rest[..3]), (b"he", &b"llo"[..]));
        // Deadlines: one a direction, also for what is under way; and they are lifted.
        b.set_read_deadline(Instant::now() + Duration::from_millis(5))?;
        assert!(is_deadline(&b.read(&mut buf).await.unwrap_err()));
        b.write_all(b"x").await?;
        b.set_read_deadline(None)?;
        a.set_write_deadline(Instant::now())?;
        assert!(is_deadline(&a.write(b"x").await.unwrap_err()));
        a.read_exact(&mut [0]).await?;
        a.set_deadline(None)?;
        let writing = a.clone();
        let long = runtime::spawn(async move { writing.write_all(&vec![0; 8 << 20]).await });
        while a.try_write(b"x").is_ok() {
            runtime::yield_now().await;
        }
        a.set_deadline(Instant::now())?;
        assert!(is_deadline(&long.await.unwrap().unwrap_err()));
        assert!(a.take_error()?.is_none());
        // Out of the runtime and back.
        let b = UnixStream::from_std(b.into_std()?)?;
        assert_eq!(b.read(&mut buf).await?, 8);
        Ok(())
    });
}

#[test]
fn the_system_says_who_is_at_the_other_end() {
    run(async {
        let path = path();
        let listener = UnixListener::bind(&path)?;
        let client = UnixStream::connect(&path).await?;
        let (server, _) = listener.accept().await?;
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self")?);
        for stream in [&client, &server] {
            let who = stream.peer_cred()?;
            assert_eq!((who.uid, who.pid), (owner, Some(std::process::id() as i32)));
        }
        assert_eq!(client.peer_cred()?, server.peer_cred()?);
        client.close()?;
        assert!(net::is_closed(&client.peer_cred().unwrap_err()));
        Ok(())
    });
}
