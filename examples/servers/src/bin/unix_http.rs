//! HTTP on a Unix socket: a service for this machine alone, such as the agent behind a command line
//! tool.
//!
//! The same `serve`, on a `UnixListener`. The socket's file goes away with the server.
//!
//! Go: `net.Listen("unix", path)`, `http.Serve(ln, mux)`.
//!
//! Run: `cargo run --release -p weftline-servers --bin unix_http -- /tmp/agent.sock`, then
//! `curl --unix-socket /tmp/agent.sock http://agent/tasks`.
#![forbid(unsafe_code)]

use std::io;

use axum::Router;
use axum::routing::get;
use net::UnixListener;

// cookbook: unix
#[runtime::main]
async fn main() -> io::Result<()> {
    let path = servers::argument(1).unwrap_or_else(|| "agent.sock".to_owned());
    let stop = servers::until_asked_to_stop()?;
    let listener = UnixListener::bind(&path)?;
    servers::announce(&path);

    let agent = Router::new()
        .route("/", get(|| async { "the agent is well\n" }))
        .route(
            "/tasks",
            get(|| async { format!("{} tasks\n", runtime::num_tasks()) }),
        );
    net::hyper::serve(listener, agent)
        .shutdown_on(async move { stop.done().await })
        .await
}
// cookbook: end
