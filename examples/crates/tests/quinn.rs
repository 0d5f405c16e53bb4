//! QUIC, both ends of it, on our runtime alone.

mod support;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crates::quinn::Weftline;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, ServerConfig};
use rustls::RootCertStore;
use support::{certificate, run};

const MEGABYTE: usize = 1 << 20;

fn endpoint(server: Option<ServerConfig>) -> Endpoint {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = EndpointConfig::default();
    Endpoint::new(config, server, socket, Arc::new(Weftline)).unwrap()
}

/// A server that sends back what it gets, and a client that trusts it.
fn ends() -> (Endpoint, Endpoint, SocketAddr) {
    let (certificate, key) = certificate();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let server = ServerConfig::with_single_cert(vec![certificate], key).unwrap();
    let server = endpoint(Some(server));
    let mut client = endpoint(None);
    client
        .set_default_client_config(ClientConfig::with_root_certificates(Arc::new(roots)).unwrap());
    let address = server.local_addr().unwrap();
    runtime::spawn(serve(server.clone()));
    (server, client, address)
}

async fn serve(endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        runtime::spawn(async move {
            let connection = incoming.await?;
            loop {
                let (mut answer, mut question) = connection.accept_bi().await?;
                runtime::spawn(async move {
                    let all = question.read_to_end(2 * MEGABYTE).await.unwrap();
                    answer.write_all(&all).await.unwrap();
                    answer.finish().unwrap();
                    let _ = answer.stopped().await;
                });
            }
            #[allow(unreachable_code, reason = "it says which error ends the loop")]
            Ok::<_, ConnectionError>(())
        });
    }
}

async fn ask(connection: &Connection, bytes: &[u8]) {
    let (mut question, mut answer) = connection.open_bi().await.unwrap();
    question.write_all(bytes).await.unwrap();
    question.finish().unwrap();
    let back = answer.read_to_end(2 * MEGABYTE).await.unwrap();
    assert!(back == bytes, "{} of {} bytes", back.len(), bytes.len());
}

#[test]
fn a_megabyte_goes_there_and_back() {
    run(async {
        let (server, client, address) = ends();
        let connection = client.connect(address, "localhost").unwrap().await.unwrap();
        let bytes: Vec<u8> = (0..MEGABYTE).map(|i| (i / 251) as u8).collect();
        ask(&connection, &bytes).await;
        connection.close(0_u32.into(), b"done");
        client.wait_idle().await;
        server.close(0_u32.into(), b"done");
        server.wait_idle().await;
    });
}

#[test]
fn connections_share_a_socket() {
    run(async {
        let (_server, client, address) = ends();
        let tasks: Vec<_> = (0..20_u8)
            .map(|i| {
                let client = client.clone();
                runtime::spawn(async move {
                    let connection = client.connect(address, "localhost").unwrap();
                    let connection = connection.await.unwrap();
                    for _ in 0..10 {
                        ask(&connection, &vec![i; 20_000]).await;
                    }
                    connection.close(0_u32.into(), b"");
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        client.wait_idle().await;
    });
}

#[test]
fn a_connection_that_is_silent_times_out_by_our_clock() {
    let runtime = runtime::Builder::new().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (server, client, address) = ends();
        let connection = client.connect(address, "localhost").unwrap().await.unwrap();
        let closed = runtime::spawn({
            let connection = connection.clone();
            async move { connection.closed().await }
        });
        // Longer than both ends have agreed to be silent.
        runtime::time::advance(Duration::from_secs(60)).await;
        let lost = closed.await.unwrap();
        assert!(matches!(lost, ConnectionError::TimedOut), "{lost}");
        drop(server);
    });
}
