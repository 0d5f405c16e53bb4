//! What goes wrong on a network and in a system that has run out of something, and what whoever is
//! concerned is told.
//!
//! Errors that a healthy machine does not have are made by a filter that answers a system call in
//! the kernel's place (seccomp), in a process of its own.
//!
//! For Linux alone: such filters, a backlog that says how full it is, and a connection that can be
//! made to vanish are not elsewhere.
#![cfg(target_os = "linux")]

#[path = "support/silent.rs"]
mod silent;
mod support;

use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{Dialer, OpError, TcpListener, TcpStream, UdpSocket, copy, is_closed, is_deadline};
use runtime::time::{Instant, sleep, timeout};
use silent::silent;
use support::{HANG, descriptors, echo, in_child, pair, resident, run, serve, watched};

/// From now on a system call of this thread, and of threads that it starts, fails with this error.
/// It stays so.
#[cfg(target_pointer_width = "64")]
fn refuse(call: libc::c_long, error: i32) {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut steps = [
        // The number of the call is the first word of what the filter sees.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            call as u32,
        ),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | error as u32,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the kernel reads one live program of that many live steps.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let set = libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        );
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }
}

#[cfg(target_pointer_width = "64")]
mod in_the_kernel_s_place {
    use super::*;

    #[test]
    fn a_system_without_free_files_is_waited_out_by_accept_and_told_by_connect() {
        if !in_child(
            "in_the_kernel_s_place::a_system_without_free_files_is_waited_out_by_accept_and_told_by_connect",
        ) {
            return;
        }
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let _waiting = TcpStream::connect(address).await?;
            // The runtime has its threads: those of the next one are filtered.
            let starving = std::thread::spawn(move || {
                refuse(libc::SYS_accept4, libc::ENFILE);
                refuse(libc::SYS_socket, libc::ENFILE);
                starved(listener.into_std().unwrap());
            });
            starving.join().unwrap();
            Ok(())
        });
    }

    fn starved(listener: std::net::TcpListener) {
        let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
        let result: io::Result<()> = runtime.block_on(async move {
            let listener = TcpListener::from_std(listener)?;
            let address = listener.local_addr()?;
            let error = listener.try_accept().unwrap_err();
            assert_eq!(net::os_error(&error), Some(libc::ENFILE));
            assert!(error.to_string().contains("raise fs.file-max"), "{error}");
            let acceptor = listener.clone();
            let accepting = runtime::spawn(async move { acceptor.accept().await.map(drop) });
            while listener.shortages() < 3 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(!accepting.is_finished(), "it waits");
            for error in [
                TcpStream::connect(address).await.unwrap_err(),
                UdpSocket::bind("127.0.0.1:0").await.unwrap_err(),
                TcpListener::bind("127.0.0.1:0").await.unwrap_err(),
            ] {
                assert_eq!(net::os_error(&error), Some(libc::ENFILE), "{error}");
                assert!(error.to_string().contains("raise fs.file-max"), "{error}");
            }
            // The pause does not outlast the listener.
            listener.close()?;
            assert!(is_closed(&accepting.await.unwrap().unwrap_err()));
            Ok(())
        });
        result.unwrap();
    }

    #[test]
    fn a_host_that_cannot_be_reached_is_named() {
        if !in_child("in_the_kernel_s_place::a_host_that_cannot_be_reached_is_named") {
            return;
        }
        use io::ErrorKind::{HostUnreachable, NetworkUnreachable, PermissionDenied, TimedOut};
        for (number, kind, cure) in [
            (libc::EHOSTUNREACH, HostUnreachable, "no way leads there"),
            (libc::ENETUNREACH, NetworkUnreachable, "no way leads there"),
            (libc::ETIMEDOUT, TimedOut, "the host is down, or a firewall"),
            (libc::EPERM, PermissionDenied, "a firewall does"),
        ] {
            let thread = std::thread::spawn(move || {
                refuse(libc::SYS_connect, number);
                let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
                let error = runtime
                    .block_on(TcpStream::connect("127.0.0.1:9"))
                    .unwrap_err();
                assert_eq!(error.kind(), kind);
                assert!(error.to_string().contains(cure), "{error}");
                let context = error.get_ref().unwrap().downcast_ref::<OpError>().unwrap();
                assert_eq!(
                    (context.operation(), context.address()),
                    ("connect", "127.0.0.1:9")
                );
                // That is the system's word, and not a deadline's.
                assert!(!is_deadline(&error));
            });
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_port_that_needs_rights_says_which() {
        if !in_child("in_the_kernel_s_place::a_port_that_needs_rights_says_which") {
            return;
        }
        let thread = std::thread::spawn(|| {
            refuse(libc::SYS_bind, libc::EACCES);
            let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
            runtime.block_on(async {
                let local = "127.0.0.1:80".parse().unwrap();
                for error in [
                    TcpListener::bind(local).await.unwrap_err(),
                    UdpSocket::bind(local).await.unwrap_err(),
                    Dialer::new()
                        .local_addr(local)
                        .connect("127.0.0.1:9")
                        .await
                        .unwrap_err(),
                ] {
                    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                    assert_eq!(net::os_error(&error), Some(libc::EACCES));
                    let text = error.to_string();
                    assert!(text.contains("127.0.0.1:80: Permission denied"), "{text}");
                    assert!(text.contains("CAP_NET_BIND_SERVICE"), "{text}");
                }
                let error = net::UnixListener::bind("a-file").unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                assert!(error.to_string().contains("directory cannot be"), "{error}");
            });
        });
        thread.join().unwrap();
    }

    #[test]
    fn a_sandbox_without_splice_and_sendfile_gets_the_bytes_all_the_same() {
        if !in_child(
            "in_the_kernel_s_place::a_sandbox_without_splice_and_sendfile_gets_the_bytes_all_the_same",
        ) {
            return;
        }
        let thread = std::thread::spawn(|| {
            refuse(libc::SYS_splice, libc::EPERM);
            refuse(libc::SYS_sendfile, libc::ENOSYS);
            let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
            let result: io::Result<()> = runtime.block_on(async {
                let (client, near) = pair().await?;
                let (far, server) = pair().await?;
                let before = descriptors();
                let copying = runtime::spawn(async move { copy(&mut &near, &mut &far).await });
                let file = std::fs::File::open(std::env::current_exe()?)?;
                let length = file.metadata()?.len().min(4 << 20);
                let sending = runtime::spawn(async move {
                    let sent = client.send_file(&file, ..length).await?;
                    io::Result::Ok(sent)
                });
                let mut received = futures_util::io::Cursor::new(Vec::new());
                copy(&mut &server, &mut received).await?;
                assert_eq!(sending.await.unwrap()?, length);
                assert_eq!(copying.await.unwrap()?, length);
                let expected = std::fs::read(std::env::current_exe()?)?;
                assert!(received.into_inner() == expected[..length as usize]);
                // The two that the copy owned are closed, and no pipe is left.
                assert_eq!(descriptors(), before - 2 - 1);
                Ok(())
            });
            result.unwrap();
        });
        thread.join().unwrap();
    }

    #[test]
    fn calls_that_are_interrupted_are_repeated() {
        if !in_child("in_the_kernel_s_place::calls_that_are_interrupted_are_repeated") {
            return;
        }
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: the handler does nothing. No SA_RESTART: calls that are interrupted say so.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as libc::sighandler_t;
            assert_eq!(
                libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()),
                0
            );
            let every = libc::timeval {
                tv_sec: 0,
                tv_usec: 500,
            };
            let timer = libc::itimerval {
                it_interval: every,
                it_value: every,
            };
            assert_eq!(
                libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()),
                0
            );
        }
        run(async {
            for _ in 0..20 {
                let (client, server) = pair().await?;
                let echoing = runtime::spawn(echo(server));
                let sender = client.clone();
                let sending = runtime::spawn(async move {
                    sender.write_all(&[1; 500_000]).await?;
                    sender.shutdown(Shutdown::Write)
                });
                client.read_exact(&mut vec![0; 500_000]).await?;
                assert_eq!(client.read(&mut [0]).await?, 0);
                sending.await.unwrap()?;
                echoing.await.unwrap()?;
            }
            Ok(())
        });
    }
}

/// Ends the connection by a reset.
fn reset(stream: TcpStream) -> io::Result<()> {
    stream.set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

fn is_reset(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
    kinds.contains(&error.kind())
}

#[test]
fn a_reset_is_told_in_every_state_of_a_connection() {
    run(async {
        // Idle, without anybody who waits: whoever comes next is told.
        let (client, server) = pair().await?;
        reset(server)?;
        assert!(is_reset(&client.read(&mut [0]).await.unwrap_err()));
        // Once; then it is a connection that has ended.
        assert_eq!(client.read(&mut [0]).await?, 0);
        assert!(is_reset(&client.write(&[0]).await.unwrap_err()));

        // Waiting for readiness, for writability, for a byte to look at.
        let (client, server) = pair().await?;
        let (a, b, c) = (client.clone(), client.clone(), client.clone());
        while client.try_write(&[0; 65_536]).is_ok() {}
        let waiting = [
            runtime::spawn(async move { a.readable().await }),
            runtime::spawn(async move { b.writable().await }),
            runtime::spawn(async move { c.peek(&mut [0]).await.map(drop).or(Ok(())) }),
        ];
        runtime::yield_now().await;
        reset(server)?;
        for task in waiting {
            task.await.unwrap()?;
        }

        // Data that came before it: they may be read, or be lost with it; nothing else comes.
        let (client, server) = pair().await?;
        server.write_all(b"last words").await?;
        reset(server)?;
        let mut buf = [0; 16];
        match client.read(&mut buf).await {
            Ok(n) => assert_eq!(&buf[..n], b"last words"),
            Err(error) => assert!(is_reset(&error), "{error}"),
        }

        // After our end of sending: we wait for the peer's answer.
        let (client, server) = pair().await?;
        client.shutdown(Shutdown::Write)?;
        let reading = runtime::spawn(async move { client.read(&mut [0]).await });
        assert_eq!(server.read(&mut [0]).await?, 0);
        reset(server)?;
        assert!(is_reset(&reading.await.unwrap().unwrap_err()));

        // After the peer's end of sending: we still send.
        let (client, server) = pair().await?;
        server.shutdown(Shutdown::Write)?;
        assert_eq!(client.read(&mut [0]).await?, 0);
        let writing = runtime::spawn(async move { client.write_all(&vec![0; 64 << 20]).await });
        server.read_exact(&mut [0; 1000]).await?;
        reset(server)?;
        assert!(is_reset(&writing.await.unwrap().unwrap_err()));

        // After both: there is nothing left to be reset.
        let (client, server) = pair().await?;
        client.shutdown(Shutdown::Write)?;
        server.shutdown(Shutdown::Write)?;
        assert_eq!(client.read(&mut [0]).await?, 0);
        reset(server)?;
        assert_eq!(client.read(&mut [0]).await?, 0);

        // In the backlog, before anybody has accepted it.
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        drop(listener);
        assert!(is_reset(&client.read(&mut [0]).await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_client_that_sends_a_byte_now_and_then_does_not_outlast_a_deadline() {
    run(async {
        let (client, server) = pair().await?;
        let dripping = runtime::spawn(async move {
            loop {
                // It would go on for ever.
                if client.write_all(b"x").await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(2)).await;
            }
        });
        let start = Instant::now();
        let limit = Duration::from_millis(100);
        server.set_read_deadline(start + limit)?;
        let error = server.read_exact(&mut vec![0; 1 << 20]).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        assert!(start.elapsed() >= limit);
        // Also one that does not read: its answer is not waited for.
        server.set_deadline(Instant::now() + limit)?;
        let error = server.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        drop(server);
        dripping.await.unwrap();
        Ok(())
    });
}

#[test]
fn a_peer_that_is_gone_without_a_word_is_found_out_by_probes() {
    run(async {
        let (client, server) = pair().await?;
        // The peer's end vanishes, as if its machine had lost power: in repair mode a close says
        // nothing. That needs a privilege.
        let vanishing = server.control(|descriptor| {
            let (on, size) = (1 as libc::c_int, size_of::<libc::c_int>());
            // SAFETY: the kernel reads one live integer.
            let result = unsafe {
                libc::setsockopt(
                    descriptor.as_raw_fd(),
                    libc::IPPROTO_TCP,
                    libc::TCP_REPAIR,
                    (&raw const on).cast(),
                    size as libc::socklen_t,
                )
            };
            Ok(result == 0)
        })?;
        if !vanishing {
            println!("not tested: it needs CAP_NET_ADMIN");
            return Ok(());
        }
        drop(server);
        // Nothing says so: without probes or a deadline this would last for ever.
        let waited = timeout(Duration::from_millis(50), client.read(&mut [0])).await;
        assert!(waited.is_err());
        client.set_keepalive(Some(Duration::from_secs(1)))?;
        let error = client.read(&mut [0]).await.unwrap_err();
        let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(!is_deadline(&error));
        Ok(())
    });
}

#[test]
fn a_read_that_waits_never_reads_from_the_next_owner_of_its_number() {
    if !in_child("a_read_that_waits_never_reads_from_the_next_owner_of_its_number") {
        return;
    }
    run(async {
        let mut again = 0;
        for _ in 0..200 {
            let (client, server) = pair().await?;
            let number = |stream: &TcpStream| stream.control(|fd| Ok(fd.as_raw_fd()));
            let old = number(&server)?;
            let reader = server.clone();
            let reading = runtime::spawn(async move {
                let mut buf = [0; 16];
                reader.read(&mut buf).await
            });
            runtime::yield_now().await;
            server.close()?;
            // The very next descriptors: one of them has the number.
            let (next_client, next) = pair().await?;
            // Nearly always: the monitor, too, opens a file now and then.
            again += u32::from(number(&next)? == old || number(&next_client)? == old);
            next_client.write_all(b"for another one").await?;
            next.write_all(b"for another one").await?;
            let error = reading.await.unwrap().unwrap_err();
            assert!(is_closed(&error), "{error}");
            let mut buf = [0; 15];
            next.read_exact(&mut buf).await?;
            next_client.read_exact(&mut buf).await?;
            drop(client);
        }
        assert!(again > 0, "no number was used again");
        Ok(())
    });
}

#[test]
fn a_storm_of_clients_that_give_up_at_once_does_not_stop_the_others() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        runtime::spawn(serve(listener));
        let stormy: Vec<_> = (0..4)
            .map(|_| {
                runtime::spawn(async move {
                    for _ in 0..500 {
                        reset(TcpStream::connect(address).await?)?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        let mut answered = 0;
        while !stormy.iter().all(|task| task.is_finished()) || answered == 0 {
            let client = TcpStream::connect(address).await?;
            client.write_all(b"x").await?;
            client.read_exact(&mut [0]).await?;
            reset(client)?;
            answered += 1;
        }
        for task in stormy {
            task.await.unwrap()?;
        }
        Ok(())
    });
}

#[test]
fn a_hundred_thousand_connects_and_closes_leak_nothing() {
    if !in_child("a_hundred_thousand_connects_and_closes_leak_nothing") {
        return;
    }
    static DONE: AtomicUsize = AtomicUsize::new(0);
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let handle = runtime::Handle::current();
        let serving = runtime::spawn(serve(listener.clone()));
        let round = async |connects: usize| {
            let tasks = (0..20).map(|_| {
                runtime::spawn(async move {
                    for _ in 0..connects / 20 {
                        let stream = TcpStream::connect(address).await?;
                        // Resets leave no TIME_WAIT behind: ports do not run out.
                        stream.set_linger(Some(Duration::ZERO))?;
                        DONE.fetch_add(1, Ordering::Relaxed);
                    }
                    io::Result::Ok(())
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap()?;
            }
            // The server's ends see their resets.
            while handle.metrics().descriptors > 1 || runtime::num_tasks() > 1 {
                sleep(Duration::from_millis(1)).await;
            }
            io::Result::Ok(())
        };
        round(10_000).await?;
        let files = descriptors();
        // A crowd at once, or another worker thread, takes memory too, but not in each round.
        let mut least = usize::MAX;
        for _ in 0..3 {
            let memory = resident();
            round(30_000).await?;
            least = least.min(resident().saturating_sub(memory));
        }
        // The server may still find some in its backlog.
        while descriptors() > files {
            sleep(Duration::from_millis(1)).await;
        }
        // Less than any leak would be: 90 bytes a connection.
        assert!(least < 30_000 * 90, "{least} bytes more");
        listener.close()?;
        serving.await.unwrap();
        Ok(())
    });
    assert_eq!(DONE.load(Ordering::Relaxed), 100_000);
}

#[test]
fn a_thousand_closes_at_once_tell_everybody_once() {
    watched(|| {
        let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
        runtime.block_on(async {
            let told = Arc::new(AtomicUsize::new(0));
            let (mut ends, mut tasks) = (Vec::new(), Vec::new());
            for _ in 0..1000 {
                let (client, server) = pair().await.unwrap();
                let (reader, told) = (server.clone(), Arc::clone(&told));
                tasks.push(runtime::spawn(async move {
                    let error = reader.read(&mut [0]).await.unwrap_err();
                    assert!(is_closed(&error), "{error}");
                    told.fetch_add(1, Ordering::SeqCst);
                }));
                ends.push((client, server));
            }
            for (_, server) in &ends {
                server.close().unwrap();
            }
            for task in tasks {
                timeout(HANG, task).await.unwrap().unwrap();
            }
            assert_eq!(told.load(Ordering::SeqCst), 1000);
        });
    });
}

#[test]
fn connecting_ends_with_its_time_limit() {
    run(async {
        let (listener, _waiting) = silent("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let limit = Duration::from_millis(50);
        let connecting = Dialer::new().timeout(limit).connect(address);
        let error = connecting.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            format!("connect {address}: i/o timeout; it did not answer within Dialer::timeout")
        );
        Ok(())
    });
}

#[test]
fn the_other_family_is_tried_when_the_first_does_not_answer() {
    run(async {
        let (silent, _waiting) = silent("127.0.0.1:0").await?;
        let good = TcpListener::bind("[::1]:0").await?;
        let both = [silent.local_addr()?, good.local_addr()?];
        let limit = Duration::from_secs(30);
        let mut dialer = Dialer::new();
        dialer.timeout(limit);
        let start = Instant::now();
        let stream = dialer.connect(&both[..]).await?;
        assert_eq!(stream.peer_addr()?, both[1]);
        assert!(start.elapsed() >= Duration::from_millis(300));

        let hasty = dialer.fallback_delay(Some(Duration::ZERO));
        assert_eq!(hasty.connect(&both[..]).await?.peer_addr()?, both[1]);
        Ok(())
    });
}
