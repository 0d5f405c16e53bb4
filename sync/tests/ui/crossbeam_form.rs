async fn f(rx: sync::Receiver<u32>) {
    sync::select! {
        recv(rx) -> msg => println!("{msg:?}"),
    }
}

fn main() {}
