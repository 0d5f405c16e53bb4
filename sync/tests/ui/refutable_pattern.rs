async fn f(rx: sync::Receiver<u32>) {
    sync::select! {
        Some(n) = rx.recv() => println!("{n}"),
    }
}

fn main() {}
