//! reqwest, which knows Tokio alone, against our server over TLS: in `with_tokio`.

mod support;

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, Version};
use net::TcpListener;
use net::compat::with_tokio;
use net::hyper::{BoxError, TokioIo, serve};
use reqwest::{Certificate, Client};
use rustls::ServerConfig;
use support::{certificate, run};
use tokio_rustls::TlsAcceptor;

/// Says how much was sent, and in which version of HTTP.
async fn weigh(request: Request<Incoming>) -> Result<Response<String>, BoxError> {
    let version = request.version();
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Response::new(format!("{} {version:?}", body.len())))
}

/// A server, its address as the client writes it, and the client.
async fn start() -> io::Result<(String, Client)> {
    let (certificate, key) = certificate();
    let trusted = Certificate::from_der(&certificate).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = serve(listener, weigh).through(move |stream| {
        let handshake = tls.accept(stream);
        async move { Ok(TokioIo::new(handshake.await?)) }
    });
    runtime::spawn(server.into_future());
    let client = Client::builder()
        .add_root_certificate(trusted)
        .resolve("localhost", address)
        .no_proxy()
        .build()
        .unwrap();
    Ok((format!("https://localhost:{}/", address.port()), client))
}

#[test]
fn requests_and_uploads_go_over_tls_twenty_at_once_on_one_connection() {
    run(with_tokio(async {
        let (url, client) = start().await.unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|i| {
                let request = client.post(&url).body(vec![7; i * 10_000]);
                runtime::spawn(with_tokio(async move {
                    let answer = request.send().await.unwrap();
                    assert_eq!(answer.version(), Version::HTTP_2);
                    answer.text().await.unwrap()
                }))
            })
            .collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), format!("{} HTTP/2.0", i * 10_000));
        }
    }));
}

#[test]
fn a_client_made_in_one_task_may_be_used_in_another() {
    run(async {
        let (url, client) = with_tokio(start()).await.unwrap();
        let task = runtime::spawn(with_tokio(async move {
            client.get(&url).send().await.unwrap().text().await.unwrap()
        }));
        assert_eq!(task.await.unwrap(), "0 HTTP/2.0");
    });
}
