//! What is written to Tokio's I/O traits runs over these streams: its own helpers, codecs, TLS. No
//! Tokio runtime is there.

mod support;

use std::io::{self, IoSlice};
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use net::{TcpStream, UnixStream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use support::{pair, run};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::codec::{Framed, LengthDelimitedCodec, LinesCodec};

const MEGABYTES: usize = 4 << 20;

fn bytes() -> Vec<u8> {
    (0..MEGABYTES).map(|i| (i * 31 % 251) as u8).collect()
}

/// Sends megabytes through whatever it is, and has them back.
async fn there_and_back<A, B>(client: A, server: B)
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let echo = runtime::spawn(async move {
        let (mut reader, mut writer) = tokio::io::split(server);
        let copied = tokio::io::copy(&mut reader, &mut writer).await?;
        writer.shutdown().await?;
        io::Result::Ok(copied)
    });
    let (mut reader, mut writer) = tokio::io::split(client);
    let sender = runtime::spawn(async move {
        writer.write_all(&bytes()).await?;
        writer.shutdown().await
    });
    let mut back = Vec::new();
    reader.read_to_end(&mut back).await.unwrap();
    assert!(back == bytes());
    sender.await.unwrap().unwrap();
    assert_eq!(echo.await.unwrap().unwrap(), MEGABYTES as u64);
}

#[test]
fn megabytes_go_through_tcp_and_unix_streams() {
    run(async {
        let (client, server) = pair().await;
        there_and_back(client, server).await;
        let (client, server) = UnixStream::pair().unwrap();
        there_and_back(client, server).await;
    });
}

#[test]
fn references_and_halves_read_and_write_too() {
    run(async {
        let (client, server) = pair().await;
        AsyncWriteExt::write_all(&mut &client, b"by reference")
            .await
            .unwrap();
        let (mut reader, mut writer) = server.split();
        let mut buf = [0; 12];
        AsyncReadExt::read_exact(&mut reader, &mut buf)
            .await
            .unwrap();
        AsyncWriteExt::write_all(&mut writer, &buf).await.unwrap();
        let (mut reader, mut writer) = client.into_split();
        AsyncReadExt::read_exact(&mut reader, &mut buf)
            .await
            .unwrap();
        assert_eq!(&buf, b"by reference");
        AsyncWriteExt::shutdown(&mut writer).await.unwrap();
        assert_eq!(server.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn several_buffers_leave_with_one_call() {
    run(async {
        let (mut client, server) = pair().await;
        assert!(AsyncWrite::is_write_vectored(&client));
        let parts = [
            IoSlice::new(b"one "),
            IoSlice::new(b"two "),
            IoSlice::new(b"three"),
        ];
        assert_eq!(
            AsyncWriteExt::write_vectored(&mut client, &parts)
                .await
                .unwrap(),
            13
        );
        let mut buf = [0; 13];
        server.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"one two three");
    });
}

#[test]
fn a_read_appends_and_leaves_what_was_there() {
    run(async {
        let (client, mut server) = pair().await;
        client.write_all(b"world").await.unwrap();
        let mut text = b"hello, ".to_vec();
        text.reserve(100);
        while text.len() < 12 {
            AsyncReadExt::read_buf(&mut server, &mut text)
                .await
                .unwrap();
        }
        assert_eq!(text, b"hello, world");
        drop(client);
        assert_eq!(
            AsyncReadExt::read_buf(&mut server, &mut text)
                .await
                .unwrap(),
            0
        );
    });
}

#[test]
fn codecs_frame_what_is_sent() {
    run(async {
        let (client, server) = pair().await;
        let mut client = Framed::new(client, LengthDelimitedCodec::new());
        let mut server = Framed::new(server, LengthDelimitedCodec::new());
        let sending = runtime::spawn(async move {
            for length in [0usize, 1, 100, 100_000] {
                let frame = tokio_util::bytes::Bytes::from(vec![7; length]);
                client.send(frame).await.unwrap();
            }
        });
        for length in [0usize, 1, 100, 100_000] {
            assert_eq!(server.next().await.unwrap().unwrap(), vec![7; length]);
        }
        sending.await.unwrap();
        assert!(server.next().await.is_none());

        let (client, server) = pair().await;
        let mut lines = Framed::new(client, LinesCodec::new());
        lines.send("a line").await.unwrap();
        let mut server = BufReader::new(server);
        let mut line = String::new();
        server.read_line(&mut line).await.unwrap();
        assert_eq!(line, "a line\n");
    });
}

#[test]
fn tls_is_spoken_in_both_roles() {
    run(async {
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
        let certificate = CertificateDer::from_pem_file(format!("{files}/cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(format!("{files}/key.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let (connector, acceptor) = (
            TlsConnector::from(Arc::new(client)),
            TlsAcceptor::from(Arc::new(server)),
        );

        let (raw_client, raw_server): (TcpStream, TcpStream) = pair().await;
        let accepting = runtime::spawn(async move { acceptor.accept(raw_server).await });
        let name = ServerName::try_from("localhost").unwrap();
        let client = connector.connect(name, raw_client).await.unwrap();
        let server = accepting.await.unwrap().unwrap();
        there_and_back(client, server).await;
    });
}
