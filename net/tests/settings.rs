//! Sockets are set as Go sets them, and as they are told.

mod support;

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
