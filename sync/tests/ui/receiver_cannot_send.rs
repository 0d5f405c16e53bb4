// test/chan/perm.go: the direction is part of the type.
async fn f(rx: sync::Receiver<u32>, tx: sync::Sender<u32>) {
    rx.send(1).await;
    tx.recv().await;
}

fn main() {}
