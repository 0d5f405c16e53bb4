//! HTTP with axum: routes, JSON, state, a limit of time and of size, and a graceful end. No part of
//! Tokio runs.
//!
//! `net::hyper::serve` takes the `Router` as it is. A request that takes too long is answered with
//! 504 by a few lines of middleware; slow senders of headers, idle connections, clients that do not
//! read and crowds are the server's own business. SIGTERM or Ctrl-C: no new connections, those that
//! answer a request finish it.
//!
//! Go: `http.Server{Handler: mux}` with `Shutdown`.
//!
//! Run: `cargo run --release -p weftline-servers --bin http -- 127.0.0.1:8080`, then
//! `curl http://127.0.0.1:8080/hello/Ada`,
//! `curl -d '[1,2,3]' -H 'content-type: application/json' http://127.0.0.1:8080/sum`,
//! `wrk -c 64 http://127.0.0.1:8080/`.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use net::TcpListener;
use runtime::time::{sleep, ticker, timeout};

#[derive(Default)]
struct Site {
    visits: AtomicU64,
}

// cookbook: routes
fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "Hello, World!" }))
        .route("/hello/{name}", get(hello))
        .route("/visits", get(visits))
        .route("/sum", post(sum))
        .route("/echo", post(echo))
        .route("/slow/{ms}", get(slow))
        .route("/ticks/{n}", get(ticks))
        .layer(DefaultBodyLimit::max(1 << 20))
        .layer(middleware::from_fn(in_time))
        .with_state(Arc::new(Site::default()))
}
// cookbook: end

async fn hello(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

async fn visits(State(site): State<Arc<Site>>) -> String {
    format!("{}\n", site.visits.fetch_add(1, Ordering::Relaxed) + 1)
}

async fn sum(Json(numbers): Json<Vec<i64>>) -> Result<Json<i64>, StatusCode> {
    let sum = numbers.into_iter().try_fold(0i64, i64::checked_add);
    sum.map(Json).ok_or(StatusCode::UNPROCESSABLE_ENTITY)
}

/// The request's body as it comes: nothing is collected, however long it is.
async fn echo(request: Request) -> Body {
    request.into_body()
}

async fn slow(Path(ms): Path<u64>) -> &'static str {
    sleep(Duration::from_millis(ms)).await;
    "at last\n"
}

// cookbook: stream
/// A body that comes in pieces, one each tenth of a second.
async fn ticks(Path(n): Path<u32>) -> Body {
    let tick = ticker(Duration::from_millis(100));
    Body::from_stream(stream::unfold((tick, 1), move |(mut tick, i)| async move {
        if i > n {
            return None;
        }
        tick.tick().await;
        Some((io::Result::Ok(format!("tick {i}\n")), (tick, i + 1)))
    }))
}
// cookbook: end

// cookbook: middleware
/// No answer takes more than two seconds to begin.
async fn in_time(request: Request, next: Next) -> Response {
    match timeout(Duration::from_secs(2), next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => (StatusCode::GATEWAY_TIMEOUT, "too slow\n").into_response(),
    }
}
// cookbook: end

// cookbook: main
#[runtime::main]
async fn main() -> io::Result<()> {
    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);

    net::hyper::serve(listener, routes())
        .header_timeout(Duration::from_secs(10))
        .idle_timeout(Duration::from_secs(60))
        .read_timeout(Duration::from_secs(60))
        .write_timeout(Duration::from_secs(60))
        .max_connections(10_000)
        .on_error(servers::report)
        .shutdown_on(async move { stop.done().await })
        .drain(Duration::from_secs(20))
        .await
}
// cookbook: end
