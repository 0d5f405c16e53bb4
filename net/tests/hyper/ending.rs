//! How a server ends.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use net::TcpStream;
use net::hyper::serve;
use sync::{Notify, oneshot};

use crate::support::{SOON, listen, run, start};
use crate::{ask, hello, read_until, request, rest};

#[test]
fn the_end_closes_idle_connections_and_waits_for_busy_ones() {
    static BUSY: Notify = Notify::new();
    static MAY_ANSWER: Notify = Notify::new();
    run(async {
        let (listener, address) = listen().await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, |request: Request<Incoming>| async move {
            if request.uri().path() == "/busy" {
                BUSY.notify_one();
                MAY_ANSWER.notified().await;
            }
            hello(request).await
        });
        let server = start(server.shutdown_on(stopped));

        // Who has connected and not said anything.
        let new = TcpStream::connect(address).await?;
        let idle = TcpStream::connect(address).await?;
        idle.write_all(request("/once", false).as_bytes()).await?;
        read_until(&idle, "hello from /once").await?;
        let busy = TcpStream::connect(address).await?;
        busy.write_all(request("/busy", false).as_bytes()).await?;
        BUSY.notified().await;

        drop(stop);
        assert_eq!(rest(&idle).await?, "", "an idle one is closed");
        assert_eq!(rest(&new).await?, "", "and so is a new one");
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(!server.is_finished());

        MAY_ANSWER.notify_one();
        assert!(rest(&busy).await?.ends_with("hello from /busy"));
        server.await.unwrap()
    });
}

#[test]
fn who_does_not_finish_in_time_is_cut_off_and_counted() {
    run(async {
        let (listener, address) = listen().await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, |_: Request<Incoming>| {
            pending::<Result<Response<String>, Infallible>>()
        })
        .shutdown_on(stopped)
        .drain(SOON);
        let server = start(server);
        let streams = [
            TcpStream::connect(address).await?,
            TcpStream::connect(address).await?,
        ];
        for stream in &streams {
            stream.write_all(request("/", false).as_bytes()).await?;
            // Accepted, and its request read: only then has it something to finish.
            while is_unread(stream)? {
                runtime::time::sleep(Duration::from_millis(1)).await;
            }
        }
        drop(stop);
        let error = server.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            error
                .to_string()
                .starts_with("2 connections did not finish"),
            "{error}"
        );
        for stream in &streams {
            assert!(rest(stream).await.is_ok_and(|text| text.is_empty()));
        }
        Ok(())
    });
}

/// Whether there are bytes of ours that the other end has not read. (Loopback: what is sent is
/// received at once.)
fn is_unread(stream: &TcpStream) -> io::Result<bool> {
    // Both ports: others may have connections, or remains of them, from a port of this number.
    let ends =
        [stream.peer_addr()?, stream.local_addr()?].map(|end| format!(":{:04X}", end.port()));
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let line = table.lines().skip(1).find(|line| {
        let mut found = line.split_whitespace().skip(1);
        ends.iter().all(|end| found.next().unwrap().ends_with(end))
    });
    let queues = line.unwrap().split_whitespace().nth(4).unwrap();
    Ok(!queues.ends_with(":00000000"))
}

#[test]
fn the_server_ends_well_when_its_listener_is_closed() {
    run(async {
        let (listener, address) = listen().await?;
        let server = start(serve(listener.clone(), hello));
        ask(&TcpStream::connect(address).await?, "/").await?;
        listener.close()?;
        server.await.unwrap()
    });
}

#[test]
fn a_server_that_is_dropped_lets_its_connections_finish() {
    static BUSY: Notify = Notify::new();
    static MAY_ANSWER: Notify = Notify::new();
    run(async {
        let (listener, address) = listen().await?;
        let server = start(serve(listener, |request| async move {
            BUSY.notify_one();
            MAY_ANSWER.notified().await;
            hello(request).await
        }));
        let busy = TcpStream::connect(address).await?;
        busy.write_all(request("/busy", false).as_bytes()).await?;
        BUSY.notified().await;
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        assert!(TcpStream::connect(address).await.is_err());
        MAY_ANSWER.notify_one();
        assert!(rest(&busy).await?.ends_with("hello from /busy"));
        Ok(())
    });
}
