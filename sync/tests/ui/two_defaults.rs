async fn f(rx: sync::Receiver<u32>) {
    sync::select! {
        _ = rx.recv() => {}
        default => {}
        default => {}
    }
}

fn main() {}
