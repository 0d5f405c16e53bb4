//! As the arms of a `match`, and guards where those have them.
async fn f(rx: sync::Receiver<u32>, ctx: sync::context::Context, on: bool) {
    sync::select! {
        rx => {}
    }
    sync::select! {
        ctx.done() => {}
    }
    sync::select! {
        _ if on = rx.recv() => {}
    }
    sync::select! {
        _ = rx.recv() => {}, if on
    }
    sync::select! {
        _ = rx.recv() => {}
        default, if on => {}
    }
    sync::select! {
        default if on => {}
    }
    sync::select! {
        _ = rx.recv(), on => {}
    }
    sync::select! {
        default = rx.recv() => {}
        default => {}
    }
}

fn main() {}
