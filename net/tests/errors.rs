//! What goes wrong says what was attempted, where, and what helps.

mod support;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use net::{Dialer, OpError, TcpListener, TcpStream, UnixListener, UnixStream, os_error};
use support::{refusing, run, serve};

fn context(error: &io::Error) -> &OpError {
    error.get_ref().and_then(|e| e.downcast_ref()).unwrap()
}

#[test]
fn a_taken_port_is_named_with_a_cure() {
    run(async {
        let taken = TcpListener::bind("127.0.0.1:0").await?;
        let address = taken.local_addr()?;
        let error = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(os_error(&error), Some(libc::EADDRINUSE));
        assert_eq!(context(&error).operation(), "bind");
        assert_eq!(context(&error).address(), address.to_string());
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("bind {address}: Address")),
            "{text}"
        );
        assert!(text.contains("reuse_port"), "{text}");
        // What a `main` prints that returns it.
        assert!(
            format!("{error:?}").contains(&format!("OpError({text:?})")),
            "{error:?}"
        );
        Ok(())
    });
}

#[test]
fn an_address_of_another_machine_cannot_be_bound() {
    run(async {
        // TEST-NET-1: nobody has it.
        let error = TcpListener::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(error.to_string().contains("no interface"), "{error}");
        Ok(())
    });
}

#[test]
fn a_port_where_nothing_listens_refuses() {
    run(async {
        let (_taken, address) = refusing(Ipv4Addr::LOCALHOST.into())?;
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(context(&error).operation(), "connect");
        assert!(
            error.to_string().contains("nothing listens there"),
            "{error}"
        );
        Ok(())
    });
}

/// What the text of an error has to have in it.
fn says<T>(result: io::Result<T>, kind: io::ErrorKind, parts: &[&str]) {
    let Err(error) = result else {
        panic!("no error that has {parts:?}");
    };
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_local_address_that_cannot_be_had_is_not_the_destination_s_fault() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let to = listener.local_addr()?;
        // TEST-NET-1: nobody has it.
        let mut foreign = Dialer::new();
        let error = foreign.local_addr("192.0.2.1:0".parse().unwrap());
        let error = error.connect(to).await;
        assert_eq!(
            os_error(error.as_ref().unwrap_err()),
            Some(libc::EADDRNOTAVAIL)
        );
        let start = format!("connect {to}: bind the local address 192.0.2.1:0: ");
        let parts = [&start[..], "no interface of this machine"];
        says(error, io::ErrorKind::AddrNotAvailable, &parts);

        let (_taken, taken) = refusing(Ipv4Addr::LOCALHOST.into())?;
        let mut dialer = Dialer::new();
        let error = dialer.local_addr(taken).connect(to).await;
        says(error, io::ErrorKind::AddrInUse, &["has this local port"]);
        Ok(())
    });
}

#[test]
fn a_socket_file_that_cannot_be_had_says_what_is_wrong() {
    run(async {
        let directory = std::env::temp_dir().join(format!("net-errors-{}", std::process::id()));
        let path = directory.join("socket");
        let bound = UnixListener::bind(&path);
        let parts = ["bind unix ", "its directory does not exist"];
        says(bound, io::ErrorKind::NotFound, &parts);
        std::fs::create_dir_all(&directory)?;
        let connected = UnixStream::connect(&path).await;
        let parts = ["connect unix ", "no server listens there"];
        says(connected, io::ErrorKind::NotFound, &parts);
        std::fs::write(&path, "")?;
        let bound = UnixListener::bind(&path);
        says(bound, io::ErrorKind::AddrInUse, &["a file is in the way"]);
        let long = directory.join("x".repeat(200));
        says(
            UnixListener::bind(&long),
            io::ErrorKind::InvalidInput,
            &["107 bytes"],
        );
        let connected = UnixStream::connect(&long).await;
        says(connected, io::ErrorKind::InvalidInput, &["107 bytes"]);
        std::fs::remove_dir_all(&directory)
    });
}

#[test]
fn a_name_that_does_not_exist_is_named() {
    run(async {
        // RFC 6761: `.invalid` has no names.
        for error in [
            TcpStream::connect("nobody.invalid:80").await.unwrap_err(),
            TcpListener::bind("nobody.invalid:80").await.unwrap_err(),
            net::lookup_host("nobody.invalid:80").await.unwrap_err(),
        ] {
            assert_eq!(context(&error).operation(), "lookup");
            assert_eq!(context(&error).address(), "nobody.invalid:80");
        }
        Ok(())
    });
}

#[test]
fn lookups_beyond_the_limit_wait_their_turn() {
    run(async {
        let lookups: Vec<_> = (0..300)
            .map(|_| runtime::spawn(net::lookup_host("localhost:80")))
            .collect();
        for (at, lookup) in lookups.into_iter().enumerate() {
            // Some callers leave.
            if at % 3 == 0 {
                lookup.abort();
            } else {
                assert!(!lookup.await.unwrap()?.is_empty());
            }
        }
        Ok(())
    });
}

#[test]
fn the_next_address_is_tried_when_one_fails() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let good = listener.local_addr()?;
        let (_taken, bad) = refusing(Ipv4Addr::LOCALHOST.into())?;
        let addresses: &[SocketAddr] = &[bad, good];
        assert_eq!(TcpStream::connect(addresses).await?.peer_addr()?, good);
        let error = TcpStream::connect(&[bad, bad][..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn the_other_family_is_tried_at_once_when_the_first_fails_and_the_first_error_counts() {
    run(async {
        let good = TcpListener::bind("[::1]:0").await?;
        let (_taken, closed) = refusing(Ipv4Addr::LOCALHOST.into())?;
        let both = [closed, good.local_addr()?];
        let mut dialer = Dialer::new();
        // Only a hang lasts as long.
        dialer.fallback_delay(Some(Duration::from_secs(3600)));
        let stream = dialer.connect(&both[..]).await?;
        assert_eq!(stream.peer_addr()?, both[1]);

        let (_taken_too, closed_too) = refusing(Ipv6Addr::LOCALHOST.into())?;
        let both = [closed, closed_too];
        let error = dialer.connect(&both[..]).await.unwrap_err();
        assert_eq!(context(&error).address(), both[0].to_string());
        let mut one_by_one = Dialer::new();
        let error = one_by_one.fallback_delay(None).connect(&both[..]).await;
        assert_eq!(context(&error.unwrap_err()).address(), both[0].to_string());
        Ok(())
    });
}

#[test]
fn a_port_where_nothing_listens_never_connects_to_itself() {
    run(async {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
        let mut ends = range
            .split_whitespace()
            .map(|end| end.parse::<u16>().unwrap());
        let (low, high) = (ends.next().unwrap(), ends.next().unwrap());
        // A port that the system may choose for the other end as well.
        for port in (low..high).step_by(2).take(2_000) {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                assert_ne!(stream.local_addr()?, stream.peer_addr()?);
            }
        }
        Ok(())
    });
}

#[test]
fn a_client_that_gives_up_in_the_backlog_does_not_end_the_accept_loop() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        for _ in 0..10 {
            let stream = TcpStream::connect(address).await?;
            stream.set_linger(Some(Duration::ZERO))?;
        }
        runtime::spawn(serve(listener));
        let stream = TcpStream::connect(address).await?;
        stream.write_all(b"x").await?;
        stream.read_exact(&mut [0]).await
    });
}
