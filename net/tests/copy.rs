//! Moving bytes between streams.

mod support;

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use futures_util::io::{AsyncRead, AsyncWriteExt, BufWriter, Cursor};
use net::{TcpListener, TcpStream, copy, copy_bidirectional};
use support::{echo, pair, run, run_on_one_alone};

#[test]
fn everything_is_copied_and_counted() {
    run(async {
        let (client, server) = pair().await?;
        let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
        let expected = data.clone();
        let sending = runtime::spawn(async move {
            let n = copy(&mut Cursor::new(data), &mut &client).await?;
            client.shutdown(Shutdown::Write)?;
            io::Result::Ok(n)
        });
        let mut received = Cursor::new(Vec::new());
        assert_eq!(copy(&mut &server, &mut received).await?, 3_000_000);
        assert_eq!(received.into_inner(), expected);
        assert_eq!(sending.await.unwrap()?, 3_000_000);
        Ok(())
    });
}

#[test]
fn a_dialogue_is_not_kept_in_a_buffer() {
    run(async {
        let (client, server) = pair().await?;
        let (client_b, server_b) = pair().await?;
        runtime::spawn(async move {
            let mut buffered = BufWriter::with_capacity(1 << 20, client_b);
            copy(&mut &server, &mut buffered).await
        });
        for word in ["one", "two", "six"] {
            client.write_all(word.as_bytes()).await?;
            let mut seen = [0; 3];
            server_b.read_exact(&mut seen).await?;
            assert_eq!(&seen, word.as_bytes());
        }
        Ok(())
    });
}

#[test]
fn a_proxy_passes_both_directions_and_both_ends() {
    run(async {
        let server = TcpListener::bind("127.0.0.1:0").await?;
        let server_address = server.local_addr()?;
        runtime::spawn(support::serve(server));
        let proxy = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(proxy.local_addr()?).await?;
        let proxying = runtime::spawn(async move {
            let (mut near, _) = proxy.accept().await?;
            let mut far = TcpStream::connect(server_address).await?;
            copy_bidirectional(&mut near, &mut far).await
        });
        let sender = client.clone();
        let sending = runtime::spawn(async move {
            sender.write_all(&vec![5; 2_000_000]).await?;
            sender.shutdown(Shutdown::Write)
        });
        let mut back = Cursor::new(Vec::new());
        assert_eq!(copy(&mut &client, &mut back).await?, 2_000_000);
        assert_eq!(back.into_inner(), vec![5; 2_000_000]);
        sending.await.unwrap()?;
        assert_eq!(proxying.await.unwrap()?, (2_000_000, 2_000_000));
        Ok(())
    });
}

#[test]
fn one_direction_may_go_on_when_the_other_has_ended() {
    run(async {
        let (client, mut near) = pair().await?;
        let (mut far, server) = pair().await?;
        let proxying = runtime::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        client.shutdown(Shutdown::Write)?;
        assert_eq!(server.read(&mut [0]).await?, 0);
        for _ in 0..3 {
            server.write_all(b"still here").await?;
            client.read_exact(&mut [0; 10]).await?;
        }
        drop(server);
        assert_eq!(client.read(&mut [0]).await?, 0);
        assert_eq!(proxying.await.unwrap()?, (0, 30));
        Ok(())
    });
}

#[test]
fn an_error_ends_both_directions() {
    run(async {
        let (client, mut near) = pair().await?;
        let (mut far, server) = pair().await?;
        let proxying = runtime::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        server.set_linger(Some(Duration::ZERO))?;
        drop(server);
        let error = proxying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut [0]).await?, 0);
        Ok(())
    });
}

/// Zeros without end, and always at once.
struct Endless;

impl AsyncRead for Endless {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buf: &mut [u8],
    ) -> std::task::Poll<io::Result<usize>> {
        buf.fill(0);
        std::task::Poll::Ready(Ok(buf.len()))
    }
}

#[test]
fn a_copy_that_never_waits_lets_others_run() {
    run_on_one_alone(async {
        let copying =
            runtime::spawn(async { copy(&mut Endless, &mut futures_util::io::sink()).await });
        runtime::spawn(async {}).await.unwrap();
        copying.abort();
        assert!(copying.await.is_err());
        Ok(())
    });
}

#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    run(async {
        let mut room = [0u8; 4];
        let mut full = Cursor::new(&mut room[..]);
        let error = copy(&mut Cursor::new([1u8; 8]), &mut full).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::WriteZero);
        let (client, server) = pair().await?;
        runtime::spawn(echo(server));
        AsyncWriteExt::write_all(&mut &client, b"x").await?;
        client.read_exact(&mut [0]).await
    });
}
