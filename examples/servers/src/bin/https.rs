//! HTTPS with rustls, in HTTP/1 and HTTP/2 (ALPN), over the same `Router` and the same server.
//!
//! tokio-rustls asks for Tokio's I/O traits and no more; `weftline-net` has them by feature
//! `tokio-io`. The handshake is done in the connection's own task, within the header timeout, so
//! that a client that stalls in it holds up nobody.
//!
//! Go: `http.ServeTLS(ln, mux, "cert.pem", "key.pem")`.
//!
//! Run:
//! `openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost`,
//! then `cargo run --release -p weftline-servers --bin https -- 127.0.0.1:8443 cert.pem key.pem`,
//! and `curl -k https://127.0.0.1:8443/`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use net::TcpListener;
use net::hyper::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

// cookbook: tls
fn tls(certificate: &str, key: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
// cookbook: end

async fn hello(request: Request) -> String {
    format!("Hello over {:?}!\n", request.version())
}

// cookbook: main
#[runtime::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (Some(certificate), Some(key)) = (servers::argument(2), servers::argument(3)) else {
        return Err("usage: https ADDRESS CERTIFICATE.pem KEY.pem".into());
    };
    let tls = tls(&certificate, &key)?;
    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);

    let server = net::hyper::serve(listener, Router::new().route("/", get(hello)))
        .through(move |stream| {
            let handshake = tls.accept(stream);
            async move { Ok(TokioIo::new(handshake.await?)) }
        })
        .on_error(servers::report)
        .shutdown_on(async move { stop.done().await });
    Ok(server.await?)
}
// cookbook: end
