async fn f(rx: sync::Receiver<u32>, other: sync::Receiver<u32>) {
    sync::select! {
        _ = rx.recv() => println!("one")
        _ = other.recv() => println!("other"),
    }
}

fn main() {}
