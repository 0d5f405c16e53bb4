async fn f(rx: sync::Receiver<u32>) {
    sync::select! {
        rx.recv() => {}
    }
}

fn main() {}
