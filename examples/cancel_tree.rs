//! A tree of contexts: cancelling one ends everything below it, and nothing else.
//!
//! A server has a context; each request has one below it; each step of a request has one below
//! that. A request that is cancelled takes its steps with it. When the server stops, all end, and
//! all know why.
//!
//! Go: `context.WithCancelCause` at every level, and `<-ctx.Done()` in every goroutine.
//!
//! Run: `cargo run --release --example cancel_tree`
//!
//! Prints `request 1, query: the client has left` and the like for its two steps, `closing time`
//! for those of request 2, and at last `all 4 steps have ended`.

use sync::context::{Context, Key};
use sync::{Sender, channel};

/// The number of a request, for whoever is called with its context.
struct Request;

impl Key for Request {
    type Value = u32;
}

/// Works until it is told to stop.
async fn step(ctx: Context, name: &'static str, log: Sender<String>) {
    ctx.done().await;
    let request = ctx.value(Request).expect("a step belongs to a request");
    let why = ctx.cause().expect("it is done");
    log.send(format!("request {request}, {name}: {why}"))
        .await
        .expect("main listens");
}

/// Starts a request of two steps, and returns what cancels it.
fn request(server: &Context, number: u32, log: &Sender<String>) -> sync::context::CancelCauseFunc {
    let (ctx, cancel) = server.with_value(Request, number).with_cancel_cause();
    for name in ["query", "render"] {
        let (ctx, keep) = ctx.with_cancel();
        keep.keep(); // a step ends with its request
        runtime::spawn(step(ctx, name, log.clone()));
    }
    cancel
}

#[runtime::main]
async fn main() {
    let (log, lines) = channel(0);
    let (server, stop) = Context::background().with_cancel_cause();
    let first = request(&server, 1, &log);
    let _second = request(&server, 2, &log);
    drop(log); // main has the receiver only, so the lines end when the last step does

    first.cancel("the client has left");
    for _ in 0..2 {
        println!("{}", lines.recv().await.expect("two steps were cancelled"));
    }
    assert!(!server.is_done(), "cancelling goes down, never up");

    stop.cancel("closing time");
    let mut ended = 2;
    while let Some(line) = lines.recv().await {
        println!("{line}");
        ended += 1;
    }
    println!("all {ended} steps have ended");
}
