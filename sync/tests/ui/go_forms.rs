fn main() {
    let (tx, rx) = sync::channel::<u32>(0);
    let waits = async {
        sync::select! {
            case v = rx.recv() => println!("{v:?}"),
        }
        sync::select! {
            v := <-rx => println!("{v:?}"),
        }
        sync::select! {
            v <- rx => println!("{v:?}"),
        }
        sync::select! {
            _ = tx.send(1) => {}
            default: {}
        }
        sync::select! {
            _ = tx.send(1) => {}
            _ => {}
        }
        sync::select! {
            biased
            _ = tx.send(1) => {}
        }
    };
    runtime::block_on(waits);
}
