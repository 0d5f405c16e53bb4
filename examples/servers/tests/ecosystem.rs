//! What people reach for next: HTTP clients, with and without a pool; gRPC; a WebSocket inside a
//! `Router`; who asks. No Tokio runtime is there.

mod support;

use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::Role;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::Uri;
use hyper::body::{Body, Bytes, Frame};
use hyper::client::conn::http2;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use net::hyper::{Executor, Io, Peer, Timer};
use net::{Dialer, TcpListener, TcpStream};
use support::run;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

// cookbook: pool
/// Makes the connections of hyper-util's `Client`.
#[derive(Clone)]
struct Connector;

impl tower_service::Service<Uri> for Connector {
    type Response = Pooled;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Pooled>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut dialer = Dialer::new();
        dialer.timeout(Duration::from_secs(3));
        // For https, wrap the stream in a `tokio_rustls::TlsConnector`'s, and that in
        // `net::hyper::TokioIo`.
        let host = to.host().unwrap_or_default().to_owned();
        let dialling = dialer.connect((host, to.port_u16().unwrap_or(80)));
        Box::pin(async { Ok(Pooled(dialling.await?)) })
    }
}

/// A stream that says of itself what the pool wants to know: nothing out of the ordinary.
struct Pooled(TcpStream);

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Pooled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        hyper::rt::Write::poll_write(Pin::new(&mut self.0), cx, buf)
    }

    fn is_write_vectored(&self) -> bool {
        hyper::rt::Write::is_write_vectored(&self.0)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        hyper::rt::Write::poll_write_vectored(Pin::new(&mut self.0), cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        hyper::rt::Write::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        hyper::rt::Write::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}
// cookbook: end

// cookbook: client
async fn fetch(host: &str, path: &str) -> Result<Bytes, Box<dyn std::error::Error>> {
    let stream = Dialer::new()
        .timeout(Duration::from_secs(3))
        .connect(host)
        .await?;
    let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
    runtime::spawn(connection);
    let request = hyper::Request::get(path).header("host", host);
    let answer = client.send_request(request.body(Empty::<Bytes>::new())?);
    Ok(answer.await?.into_body().collect().await?.to_bytes())
}
// cookbook: end

// cookbook: upgrade
/// Answers with an upgrade, and speaks over what becomes of the connection.
async fn websocket(headers: HeaderMap, mut request: Request) -> Response {
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let accepted = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    runtime::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let stream = Io::new(connection);
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            let _ = repeat(socket).await;
        }
    });
    let headers = [
        (header::CONNECTION, "upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accepted),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
// cookbook: end

async fn repeat(
    mut socket: WebSocketStream<Io<hyper::upgrade::Upgraded>>,
) -> Result<(), async_tungstenite::tungstenite::Error> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Where it listens.
async fn start(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = net::hyper::serve(listener, router).tell_peer();
    runtime::spawn(server.into_future());
    address
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[test]
fn a_client_is_a_stream_and_a_task() {
    run(async {
        let address = start(hello()).await;
        let answer = fetch(&address.to_string(), "/").await.unwrap();
        assert_eq!(answer, "hello");
    });
}

#[test]
fn a_pool_keeps_its_connections_in_either_version() {
    run(async {
        // What each request was asked from.
        let who = get(async |Extension(Peer(peer)): Extension<Peer<SocketAddr>>| peer.to_string());
        let address = start(Router::new().route("/", who)).await;
        let uri: Uri = format!("http://{address}/").parse().unwrap();
        for http2 in [false, true] {
            let mut builder = Client::builder(Executor);
            builder.pool_timer(Timer).timer(Timer).http2_only(http2);
            let client = builder.build::<_, Empty<Bytes>>(Connector);
            // A connection goes back into the pool in a task of its own: it is there for the next
            // request, or for the one after it.
            let mut last = None;
            loop {
                let answer = client.get(uri.clone()).await.unwrap();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                if last.replace(body.clone()) == Some(body) {
                    break;
                }
                runtime::yield_now().await;
            }
        }
    });
}

#[test]
fn grpc_is_served_and_asked() {
    run(async {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter
            .set_service_status("tea", ServingStatus::Serving)
            .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let origin = origin.parse().unwrap();
        // cookbook: grpc
        let routes = tonic::service::Routes::new(health).prepare();
        let server = net::hyper::serve(listener, routes);
        runtime::spawn(server.into_future());

        let http = Client::builder(Executor)
            .timer(Timer)
            .http2_only(true)
            .build(Connector);
        let mut client = HealthClient::with_origin(http, origin);
        // cookbook: end
        let service = "tea".to_owned();
        let request = HealthCheckRequest { service };
        let answer = client.check(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.status, 1);
        // And a stream, which goes on while the server has something to say.
        let mut news = client.watch(request).await.unwrap().into_inner();
        assert_eq!(news.message().await.unwrap().unwrap().status, 1);
        let status = ServingStatus::NotServing;
        reporter.set_service_status("tea", status).await;
        assert_eq!(news.message().await.unwrap().unwrap().status, 2);
    });
}

#[test]
fn a_route_becomes_a_websocket() {
    run(async {
        let address = start(hello().route("/room", get(websocket))).await;
        let stream = TcpStream::connect(address).await.unwrap();
        let uri = format!("ws://{address}/room");
        let (mut socket, answer) = async_tungstenite::client_async(uri, stream).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        socket.send(Message::text("hello")).await.unwrap();
        let back = socket.next().await.unwrap().unwrap();
        assert_eq!(back.to_text().unwrap(), "hello");
        socket.close(None).await.unwrap();
        assert_eq!(fetch(&address.to_string(), "/").await.unwrap(), "hello");
    });
}

/// A body that begins, and does not go on.
fn stuck() -> impl Body<Data = Bytes, Error = Infallible> + Send + Unpin {
    let first = Ok(Frame::data(Bytes::from_static(b"hel")));
    let rest = futures_util::stream::pending();
    StreamBody::new(futures_util::stream::iter([first]).chain(rest))
}

#[test]
fn an_extractor_says_that_a_body_is_late_and_the_connection_goes_on() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let length = async |body: Bytes| body.len().to_string();
        let app = Router::new().route("/", post(length));
        let server = net::hyper::serve(listener, app).read_timeout(Duration::from_millis(300));
        runtime::spawn(server.into_future());
        let stream = stream.await.unwrap();
        let (mut client, connection) = http2::handshake(Executor, stream).await.unwrap();
        runtime::spawn(connection);
        for _ in 0..2 {
            let request = hyper::Request::post("http://here/").body(stuck()).unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
            let text = answer.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8_lossy(&text);
            assert!(text.ends_with("within the read timeout"), "{text}");
        }
    });
}
