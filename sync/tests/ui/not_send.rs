// A channel of values that may not cross threads may not either.
fn main() {
    let (tx, rx) = sync::channel::<std::rc::Rc<u32>>(0);
    runtime::spawn(async move { rx.recv().await });
    drop(tx);
}
