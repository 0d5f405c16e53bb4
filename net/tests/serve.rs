//! Servers that stop: nobody new, those who are there finish, and none of them is waited for longer
//! than patience lasts.

mod support;

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::{ServeError, Stopping, TcpListener, TcpStream, UnixListener, UnixStream};
use support::{alone, descriptors, in_child, limit_descriptors, run, waits};
use sync::oneshot;

async fn echo(stream: TcpStream, stopping: Stopping) -> io::Result<()> {
    let mut buf = [0; 64];
    while let Some(n) = stopping.unless(stream.read(&mut buf)).await {
        match n? {
            0 => break,
            n => stream.write_all(&buf[..n]).await?,
        }
    }
    Ok(())
}

async fn ask(stream: &TcpStream) -> io::Result<()> {
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await
}

#[test]
fn connections_between_two_messages_end_and_nobody_new_is_accepted() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = net::serve(listener, |stream, _, stopping| echo(stream, stopping));
        let server = runtime::spawn(server.shutdown_on(stopped).into_future());
        let mut clients = Vec::new();
        for _ in 0..20 {
            let client = TcpStream::connect(address).await?;
            ask(&client).await?;
            clients.push(client);
        }
        drop(stop);
        server.await.unwrap()?;
        for client in clients {
            assert_eq!(client.read(&mut [0]).await?, 0);
        }
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn what_was_begun_is_finished_before_the_server_ends() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = net::serve(
            listener,
            |stream: TcpStream, peer, stopping: Stopping| async move {
                assert_eq!(stream.peer_addr()?, peer);
                assert!(!stopping.is_requested());
                stream.write_all(b"1").await?;
                stopping.requested().await;
                assert!(stopping.is_requested());
                // The last request is still to come.
                stream.read_exact(&mut [0]).await?;
                stream.write_all(b"2").await
            },
        );
        let server = runtime::spawn(server.shutdown_on(stopped).into_future());
        let client = TcpStream::connect(address).await?;
        client.read_exact(&mut [0]).await?;
        drop(stop);
        while TcpStream::connect(address).await.is_ok() {
            runtime::yield_now().await;
        }
        assert!(!server.is_finished());
        client.write_all(b"x").await?;
        let mut last = [0];
        client.read_exact(&mut last).await?;
        assert_eq!(&last, b"2");
        server.await.unwrap()
    });
}

#[test]
fn who_does_not_finish_in_time_is_cut_off_and_counted() {
    run(async {
        struct Gone(Arc<AtomicUsize>);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let gone = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let counted = Arc::clone(&gone);
        let server = net::serve(listener, move |stream: TcpStream, _, _| {
            let gone = Gone(Arc::clone(&counted));
            async move {
                stream.write_all(b"x").await.unwrap();
                pending::<()>().await;
                drop((gone, stream));
            }
        });
        let server = server.shutdown_on(stopped).drain(Duration::from_millis(50));
        let server = runtime::spawn(server.into_future());
        let clients = [
            TcpStream::connect(address).await?,
            TcpStream::connect(address).await?,
        ];
        for client in &clients {
            client.read_exact(&mut [0]).await?;
        }
        drop(stop);
        let error = server.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            "2 connections did not finish within 50ms and were cut off"
        );
        for client in &clients {
            assert_eq!(client.read(&mut [0]).await?, 0);
        }
        // A connection closes while its handler's future is being dropped: the rest of what that
        // owned may go a moment later.
        while gone.load(Ordering::SeqCst) < 2 {
            runtime::yield_now().await;
        }
        Ok(())
    });
}

#[test]
fn no_more_than_the_limit_are_served_and_the_next_one_waits_for_room() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let most = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let seen = (Arc::clone(&most), Arc::clone(&open));
        let server = net::serve(listener, move |stream, _, stopping| {
            let (most, open) = seen.clone();
            async move {
                let now = open.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                let echoed = echo(stream, stopping).await;
                open.fetch_sub(1, Ordering::SeqCst);
                echoed
            }
        });
        let server = runtime::spawn(server.max_connections(3).into_future());
        let clients: Vec<_> = (0..30)
            .map(|_| {
                runtime::spawn(async move {
                    let client = TcpStream::connect(address).await?;
                    for _ in 0..10 {
                        ask(&client).await?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap()?;
        }
        assert!(most.load(Ordering::SeqCst) <= 3);
        server.abort();
        Ok(())
    });
}

#[test]
fn a_handler_s_panic_ends_its_connection_and_no_other() {
    run(async {
        let path = std::env::temp_dir().join(format!("net-serve-{}", std::process::id()));
        // Left behind by one that had the same number, and was killed.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let closing = listener.clone();
        let served = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&served);
        let server = net::serve(listener, move |stream: UnixStream, _, _| {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(number > 0, "the first one panics; this is expected");
                stream.write_all(b"x").await
            }
        });
        let server = runtime::spawn(server.max_connections(1).into_future());
        let first = UnixStream::connect(&path).await?;
        assert_eq!(first.read(&mut [0]).await?, 0);
        let second = UnixStream::connect(&path).await?;
        second.read_exact(&mut [0]).await?;
        // A close of the listener is an end like any other.
        closing.close()?;
        server.await.unwrap()
    });
}

#[test]
fn dropping_the_server_tells_its_connections_to_finish() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut server =
            net::serve(listener, |stream, _, stopping| echo(stream, stopping)).into_future();
        assert!(waits(&mut server));
        let client = TcpStream::connect(address).await?;
        let asking = async { ask(&client).await };
        let mut asking = std::pin::pin!(asking);
        std::future::poll_fn(|cx| {
            let _ = server.as_mut().poll(cx);
            asking.as_mut().poll(cx)
        })
        .await?;
        drop(server);
        assert_eq!(client.read(&mut [0]).await?, 0);
        Ok(())
    });
}

/// Where errors go in these tests.
type Errors = Arc<Mutex<Vec<String>>>;

fn collect<P: std::fmt::Debug>() -> (Errors, impl Fn(ServeError<P>)) {
    let errors = Errors::default();
    let told = Arc::clone(&errors);
    let tell = move |error: ServeError<P>| told.lock().unwrap().push(error.to_string());
    (errors, tell)
}

#[test]
fn the_error_that_a_handler_returns_is_told_with_its_peer() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (errors, tell) = collect();
        let server = net::serve(
            listener.clone(),
            |stream: TcpStream, _, stopping: Stopping| async move {
                stream.write_all(b"x").await.map_err(|e| e.to_string())?;
                match stopping.unless(stream.read(&mut [0])).await {
                    Some(Ok(1)) => Err("no such command".to_owned()),
                    _ => Ok(7),
                }
            },
        );
        let server = runtime::spawn(server.on_error(tell).max_connections(9).into_future());
        let (good, bad) = (
            TcpStream::connect(address).await?,
            TcpStream::connect(address).await?,
        );
        good.read_exact(&mut [0]).await?;
        bad.read_exact(&mut [0]).await?;
        let whose = bad.local_addr()?;
        bad.write_all(b"?").await?;
        assert_eq!(bad.read(&mut [0]).await?, 0);
        drop(good);
        // The server waits for its connections, and so for what they tell.
        listener.close()?;
        server.await.unwrap()?;
        let text = format!("{whose}: no such command");
        assert_eq!(*errors.lock().unwrap(), [text]);
        Ok(())
    });
}

#[test]
fn who_is_told_of_errors_may_panic_and_the_server_goes_on() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = net::serve(listener, |stream: TcpStream, _, _| async move {
            stream.write_all(b"x").await?;
            Err::<(), _>(io::Error::other("as the test wants it"))
        });
        let server = server.on_error(|error| panic!("{error}; this panic is expected"));
        let server = runtime::spawn(server.into_future());
        for _ in 0..3 {
            let client = TcpStream::connect(address).await?;
            client.read_exact(&mut [0]).await?;
        }
        server.abort();
        Ok(())
    });
}

/// What a handler does before its first await, such as asking a client that has gone already for
/// its address.
#[test]
fn a_handler_that_panics_before_it_is_a_future_ends_its_connection_alone() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let calls = AtomicUsize::new(0);
        let server = net::serve(listener, move |stream: TcpStream, _, stopping| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            assert!(call % 2 == 1, "this panic is expected");
            echo(stream, stopping)
        });
        // One that has panicked leaves its place to the next.
        let (stop, stopped) = oneshot::channel::<()>();
        let server = server.max_connections(1).shutdown_on(stopped);
        let server = runtime::spawn(server.into_future());
        for _ in 0..3 {
            let client = TcpStream::connect(address).await?;
            let next = TcpStream::connect(address).await?;
            assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
            ask(&next).await?;
        }
        drop(stop);
        server.await.unwrap()
    });
}

#[test]
fn who_is_told_of_a_pause_may_panic_and_the_server_goes_on() {
    let _alone = alone();
    if !in_child("who_is_told_of_a_pause_may_panic_and_the_server_goes_on") {
        return;
    }
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let mut hoard = Vec::new();
        limit_descriptors(descriptors() + 5);
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let (errors, tell) = collect();
        let server = net::serve(listener, |stream: TcpStream, _, _| async move {
            stream.write_all(b"t").await
        });
        let server = server.on_error(move |error| {
            tell(error);
            panic!("as one may who opens a file to write it down; this panic is expected");
        });
        let server = runtime::spawn(server.into_future());
        until_two_pauses(&errors, "accept 127.0.0.1:").await;
        drop(hoard);
        client.read_exact(&mut [0]).await?;
        server.abort();
        Ok(())
    });
}

#[test]
fn accepting_that_pauses_for_want_of_descriptors_says_so_and_goes_on() {
    let _alone = alone();
    if !in_child("accepting_that_pauses_for_want_of_descriptors_says_so_and_goes_on") {
        return;
    }
    run(async {
        let path = std::env::temp_dir().join(format!("net-serve-pause-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let unix = UnixListener::bind(&path)?;
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let address = tcp.local_addr()?;
        // Both there and waiting, before descriptors run out.
        let clients = (
            UnixStream::connect(&path).await?,
            TcpStream::connect(address).await?,
        );
        let mut hoard = Vec::new();
        limit_descriptors(descriptors() + 5);
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let (unix_errors, tell) = collect();
        let server = net::serve(unix, |stream: UnixStream, _, _| async move {
            stream.write_all(b"u").await
        });
        let servers = [runtime::spawn(server.on_error(tell).into_future()), {
            let (tcp_errors, tell) = collect();
            let server = net::serve(tcp, |stream: TcpStream, _, _| async move {
                stream.write_all(b"t").await
            });
            let server = runtime::spawn(server.on_error(tell).into_future());
            until_two_pauses(&tcp_errors, &format!("accept {address}: ")).await;
            server
        }];
        until_two_pauses(&unix_errors, &format!("accept {}: ", path.display())).await;
        drop(hoard);
        clients.0.read_exact(&mut [0]).await?;
        clients.1.read_exact(&mut [0]).await?;
        servers.iter().for_each(runtime::JoinHandle::abort);
        Ok(())
    });
}

async fn until_two_pauses(errors: &Mutex<Vec<String>>, start: &str) {
    while errors.lock().unwrap().len() < 2 {
        runtime::time::sleep(Duration::from_millis(1)).await;
    }
    let errors = errors.lock().unwrap();
    for text in &*errors {
        assert!(
            text.starts_with(start) && text.contains("ulimit -n"),
            "{text}"
        );
    }
}
