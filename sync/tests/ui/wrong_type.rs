async fn receives(rx: sync::Receiver<u32>) {
    sync::select! {
        n: Option<u64> = rx.recv() => drop(n),
    }
}

fn main() {}
