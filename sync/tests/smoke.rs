use sync::{channel, select};

#[runtime::test]
async fn ping() {
    let (tx, rx) = channel(0);
    let (tx2, rx2) = channel(0);
    let t = runtime::spawn(async move {
        for i in 0..1000 {
            select! {
                r = tx.send(i) => r.unwrap(),
                v = rx2.recv() => { assert_eq!(v, Some(5)); break }
            }
        }
        rx2
    });
    for i in 0..500 {
        assert_eq!(rx.recv().await, Some(i));
    }
    tx2.send(5).await.unwrap();
    let rx2 = t.await.unwrap();
    let mut n = 0;
    loop {
        select! {
            v = rx.recv() => if v.is_none() { break },
            default => { n += 1; if n > 3 {break} }
        }
    }
    let x: u32 = select! { biased; _ = rx2.recv(), if false => 1, y = async { 3u32 } => y };
    assert_eq!(x, 3);
}
