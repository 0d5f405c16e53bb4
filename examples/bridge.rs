//! A bridge: a channel of channels, read as if it were one, in their order.
//!
//! Each batch comes in a channel of its own, made by who has it; the reader does not see the seams.
//! A context ends it at any moment, and whoever sends is told by its next send.
//!
//! Go: "Concurrency in Go", the bridge-channel: `<-chan <-chan T` to `<-chan T`.
//!
//! Run: `cargo run --release --example bridge`
//!
//! Prints `[0, 1, 2, 10, 11, 12, 20, 21, 22]`, and `after the end: None`.

use sync::{Receiver, channel, context::Context, select};

fn bridge<T: Send + 'static>(ctx: Context, streams: Receiver<Receiver<T>>) -> Receiver<T> {
    let (values, out) = channel(0);
    runtime::spawn(async move {
        // `run` drops what is inside when the context ends, wherever it has got to.
        let _ = ctx.run(pass_all(streams, values)).await;
    });
    out
}

async fn pass_all<T>(streams: Receiver<Receiver<T>>, values: sync::Sender<T>) {
    while let Some(stream) = streams.recv().await {
        while let Some(value) = stream.recv().await {
            if values.send(value).await.is_err() {
                return;
            }
        }
    }
}

#[runtime::main]
async fn main() {
    let (batches, streams) = channel(0);
    runtime::spawn(async move {
        for tens in 0.. {
            let (batch, stream) = channel(3);
            for ones in 0..3 {
                batch.send(10 * tens + ones).await.expect("there is room");
            }
            if batches.send(stream).await.is_err() {
                return; // Nobody wants more.
            }
        }
    });

    let (ctx, cancel) = Context::background().with_cancel();
    let numbers = bridge(ctx.clone(), streams);
    let mut seen = Vec::new();
    while seen.len() < 9 {
        select! {
            n = numbers.recv() => seen.extend(n),
            _ = ctx.done() => break,
        }
    }
    println!("{seen:?}");

    cancel.cancel();
    // What was on its way may still arrive; then comes the end.
    while numbers.recv().await.is_some() {}
    println!("after the end: {:?}", numbers.recv().await);
}
