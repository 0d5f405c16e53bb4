async fn f(rx: sync::Receiver<u32>) {
    let n: u32 = sync::select! {
        n = rx.recv() => n,
        default => 0,
    };
}

fn main() {}
