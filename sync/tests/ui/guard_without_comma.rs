async fn f(rx: sync::Receiver<u32>, on: bool) {
    sync::select! {
        _ = rx.recv() if on => {}
    }
}

fn main() {}
