async fn f(rx: sync::Receiver<u32>) {
    sync::select! {
        _ = rx.recv() => {}
        _ = 5 => {}
    }
}

fn main() {}
