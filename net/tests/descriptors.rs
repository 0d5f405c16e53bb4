//! Descriptors and reactor records are given back, and none is used by the wrong owner.
//!
//! These tests look at numbers of descriptors, which a process shares: they run one after the
//! other.

mod support;

use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use net::{TcpListener, TcpStream};
use support::{
    alone, cpu_time, descriptors, in_child, limit_descriptors, pair, run, serve, waits, watched,
};

/// The descriptor's number.
fn number(stream: &TcpStream) -> io::Result<i32> {
    stream.control(|descriptor| Ok(descriptor.as_raw_fd()))
}

#[test]
fn a_close_gives_the_descriptor_back_while_clones_live() {
    let _alone = alone();
    run(async {
        let (client, server) = pair().await?;
        let _clones = vec![client.clone(); 10];
        let closed = number(&client)?;
        client.close()?;
        assert_eq!(server.read(&mut [0; 8]).await?, 0);
        let link = std::fs::read_link(format!("/proc/self/fd/{closed}"));
        assert!(link.is_err(), "{closed} is still open: {link:?}");
        Ok(())
    });
}

#[test]
fn a_descriptor_number_that_is_used_again_belongs_to_its_new_connection() {
    let _alone = alone();
    run(async {
        let mut again = 0;
        for _ in 0..100 {
            let (client, server) = pair().await?;
            let mut buf = [0; 8];
            let mut reading = Box::pin(server.read(&mut buf));
            assert!(waits(&mut reading));
            // An event for the old connection is under way while its number changes hands.
            client.write_all(b"old").await?;
            let old = number(&server)?;
            drop(reading);
            drop((client, server));

            let (client, server) = pair().await?;
            // Nearly always: the monitor, too, opens a file now and then.
            again += u32::from(number(&client)? == old || number(&server)? == old);
            let task = runtime::spawn(async move {
                let mut buf = [0; 8];
                let n = server.read(&mut buf).await?;
                io::Result::Ok(buf[..n].to_vec())
            });
            runtime::yield_now().await;
            client.write_all(b"new").await?;
            assert_eq!(task.await.unwrap()?, b"new");
        }
        assert!(again > 0, "no number was used again");
        Ok(())
    });
}

#[test]
fn a_socket_that_outlives_its_runtime_is_told_and_leaks_nothing() {
    let _alone = alone();
    watched(|| {
        let before = descriptors();
        let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
        let (client, server) = runtime.block_on(pair()).unwrap();
        drop(runtime);
        assert_eq!(descriptors(), before + 2, "only the two sockets are left");
        // What needs no waiting still works, and what does is refused.
        assert_eq!(client.try_write(b"x").unwrap(), 1);
        let other = runtime::Builder::new().max_procs(1).build().unwrap();
        let error = other
            .block_on(async {
                let mut buf = [0; 8];
                loop {
                    server.read(&mut buf).await?;
                }
                #[allow(unreachable_code, reason = "gives the block its type")]
                io::Result::Ok(())
            })
            .unwrap_err();
        assert!(runtime::io::is_shutdown(&error), "{error}");
        drop((other, client, server));
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn twenty_thousand_connects_and_closes_leak_nothing() {
    let _alone = alone();
    watched(|| {
        let before = descriptors();
        let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
        let idle = descriptors();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = runtime::spawn(serve(listener.clone()));
            let clients: Vec<_> = (0..20)
                .map(|task: u8| {
                    runtime::spawn(async move {
                        for round in 0..1000u32 {
                            let stream = TcpStream::connect(address).await?;
                            stream.write_all(&[task]).await?;
                            let mut answer = [0];
                            stream.read_exact(&mut answer).await?;
                            assert_eq!(answer, [task]);
                            // Resets leave no TIME_WAIT behind: ports do not run out. Some ends
                            // wait for each other.
                            if round % 10 == 0 {
                                stream.shutdown(Shutdown::Write)?;
                                assert_eq!(stream.read(&mut answer).await?, 0);
                            }
                            stream.set_linger(Some(Duration::ZERO))?;
                        }
                        io::Result::Ok(())
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap().unwrap();
            }
            listener.close().unwrap();
            server.await.unwrap();
            // The server's ends see their resets.
            while descriptors() > idle {
                runtime::yield_now().await;
            }
        });
        drop(runtime);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn accept_waits_while_descriptors_have_run_out() {
    let _alone = alone();
    if !in_child("accept_waits_while_descriptors_have_run_out") {
        return;
    }
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        // From outside the limit: a socket of this process made beforehand.
        let client = TcpStream::connect(address).await?;
        let mut hoard = Vec::new();
        limit_descriptors(descriptors() + 5);
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        let error = listener.try_accept().unwrap_err();
        assert_eq!(net::os_error(&error), Some(libc::EMFILE));
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("accept {address}: ")) && text.contains("ulimit -n"),
            "{text}"
        );
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(net::os_error(&error), Some(libc::EMFILE));

        let acceptor = listener.clone();
        let accepting = runtime::spawn(async move { acceptor.accept().await });
        let start = Instant::now();
        while listener.shortages() < 5 {
            runtime::time::sleep(Duration::from_millis(1)).await;
        }
        // 5 + 10 + 20 + 40 ms lie before the fifth failure.
        assert!(start.elapsed() >= Duration::from_millis(75));
        // It does not spin meanwhile. One calm span will do: in another one the system may have
        // charged us for its own work.
        loop {
            let (start, cpu) = (Instant::now(), cpu_time());
            runtime::time::sleep(Duration::from_millis(100)).await;
            if cpu_time() - cpu <= start.elapsed() / 2 {
                break;
            }
        }
        assert!(!accepting.is_finished());
        hoard.clear();
        let (server, _) = accepting.await.unwrap()?;
        client.write_all(b"x").await?;
        server.read_exact(&mut [0]).await
    });
}
