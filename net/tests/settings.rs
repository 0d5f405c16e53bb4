//! Sockets are set as Go sets them, and as they are told.

mod support;

use std::io::ErrorKind::InvalidInput;
use std::time::Duration;

use net::{Dialer, ListenConfig, TcpListener, TcpStream};
use socket2::SockRef;
use support::{pair, run};

const SECONDS_15: Duration = Duration::from_secs(15);

#[test]
fn both_ends_have_nodelay_and_keepalive() {
    run(async {
        let (client, server) = pair().await?;
        for stream in [client, server] {
            assert!(stream.nodelay()?);
            assert_eq!(stream.keepalive()?, Some(SECONDS_15));
            stream.control(|descriptor| {
                let socket = SockRef::from(&descriptor);
                assert_eq!(socket.tcp_keepalive_interval()?, SECONDS_15);
                assert_eq!(socket.tcp_keepalive_retries()?, 9);
                Ok(())
            })?;
        }
        Ok(())
    });
}

#[test]
fn both_ends_can_be_told_otherwise() {
    run(async {
        let listener = ListenConfig::new()
            .nodelay(false)
            .keepalive(None)
            .listen("127.0.0.1:0")
            .await?;
        let mut dialer = Dialer::new();
        dialer
            .nodelay(false)
            .keepalive(Some(Duration::from_millis(1)));
        let client = dialer.connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        assert!(!client.nodelay()? && !server.nodelay()?);
        assert_eq!(server.keepalive()?, None);
        // Whole seconds, and no zero.
        assert_eq!(client.keepalive()?, Some(Duration::from_secs(1)));
        client.set_keepalive(None)?;
        assert_eq!(client.keepalive()?, None);
        client.set_nodelay(true)?;
        assert!(client.nodelay()?);
        Ok(())
    });
}

#[test]
fn what_a_stream_is_told_it_says_again() {
    run(async {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await?;
            let stream = TcpStream::connect(listener.local_addr()?).await?;
            stream.set_ttl(7)?;
            assert_eq!(stream.ttl()?, 7);
            assert_eq!(stream.set_ttl(256).unwrap_err().kind(), InvalidInput);
            assert_eq!(stream.linger()?, None);
            stream.set_linger(Some(Duration::ZERO))?;
            assert_eq!(stream.linger()?, Some(Duration::ZERO));
            stream.set_recv_buffer_size(40_000)?;
            stream.set_send_buffer_size(50_000)?;
            assert!((40_000..=80_000).contains(&stream.recv_buffer_size()?));
            assert!((50_000..=100_000).contains(&stream.send_buffer_size()?));
            if cfg!(target_os = "linux") {
                stream.set_quickack(false)?;
                assert!(!stream.quickack()?);
                stream.set_quickack(true)?;
                assert!(stream.quickack()?);
            }
            stream.close()?;
            assert!(net::is_closed(&stream.ttl().unwrap_err()));
            assert!(net::is_closed(&stream.recv_buffer_size().unwrap_err()));
        }
        Ok(())
    });
}

#[test]
fn sockets_are_handed_out_before_they_are_bound_and_connect() {
    run(async {
        let bytes = 1 << 18;
        let mut config = ListenConfig::new();
        config.control(move |fd| {
            let socket = SockRef::from(&fd);
            assert_eq!(socket.local_addr()?.as_socket().unwrap().port(), 0);
            socket.set_recv_buffer_size(bytes)
        });
        let listener = config.listen("127.0.0.1:0").await?;
        let mut dialer = Dialer::new();
        dialer.control(move |fd| {
            let socket = SockRef::from(&fd);
            assert!(socket.peer_addr().is_err());
            socket.set_send_buffer_size(bytes)
        });
        let client = dialer.clone().connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        // What is granted depends on the system's limits; what the default is, too.
        let granted = |size| [bytes, 2 * bytes].contains(&size) || size == LARGEST;
        assert!(granted(server.recv_buffer_size()?) && granted(client.send_buffer_size()?));

        let refuse = |_: std::os::fd::BorrowedFd<'_>| Err(std::io::Error::other("not like this"));
        let error = config.control(refuse).listen("127.0.0.1:0").await;
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("127.0.0.1:0") && text.ends_with("not like this"),
            "{text}"
        );
        let packets = config.listen_packet("127.0.0.1:0").await;
        assert!(packets.unwrap_err().to_string().ends_with("not like this"));
        let dialled = dialer.control(refuse).connect(listener.local_addr()?).await;
        assert!(dialled.unwrap_err().to_string().ends_with("not like this"));
        Ok(())
    });
}

/// Twice Linux's usual `net.core.rmem_max` and `wmem_max`.
const LARGEST: usize = 2 * 212_992;

#[test]
fn the_backlog_is_the_systems_largest() {
    run(async {
        // More than the 128 that libraries ask for by habit: all complete without anyone accepting.
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let largest = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let count = largest.trim().parse().unwrap_or(128).min(600);
        let mut streams = Vec::new();
        for _ in 0..count {
            streams.push(TcpStream::connect(address).await?);
        }
        Ok(())
    });
}

#[test]
fn one_local_address_holds_many_connections_to_several_destinations() {
    run(async {
        let mut dialer = Dialer::new();
        dialer.local_addr("127.0.0.3:0".parse().unwrap());
        let mut streams = Vec::new();
        for _ in 0..3 {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            for _ in 0..100 {
                let stream = dialer.connect(listener.local_addr()?).await?;
                assert_eq!(stream.local_addr()?.ip().to_string(), "127.0.0.3");
                streams.push(stream);
            }
        }
        Ok(())
    });
}

#[test]
fn streams_go_to_the_standard_library_and_back() {
    run(async {
        let (client, server) = pair().await?;
        let clone = client.clone();
        assert_eq!(
            client.into_std().unwrap_err().kind(),
            std::io::ErrorKind::ResourceBusy
        );
        let client = TcpStream::from_std(clone.into_std()?)?;
        client.write_all(b"x").await?;
        server.read_exact(&mut [0]).await?;

        let listener = TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
        let address = listener.local_addr()?;
        TcpStream::connect(address).await?;
        listener.accept().await?;
        let listener = TcpListener::from_std(listener.into_std()?)?;
        TcpStream::connect(address).await?;
        listener.accept().await.map(drop)
    });
}

#[test]
fn an_empty_host_means_every_interface() {
    run(async {
        let listener = TcpListener::bind(":0").await?;
        let port = listener.local_addr()?.port();
        TcpStream::connect(("127.0.0.1", port)).await?;
        TcpStream::connect(("::1", port)).await?;
        Ok(())
    });
}
