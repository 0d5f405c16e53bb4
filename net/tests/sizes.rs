//! Futures live in tasks, and there are many tasks: none of these may grow unnoticed.

use net::{TcpListener, TcpStream};

#[test]
fn futures_are_small() {
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        println!("connect {}", size_of_val(&stream));
        assert!(size_of_val(&stream) <= 1024);
        let stream = stream.await.unwrap();
        println!("accept {}", size_of_val(&listener.accept()));
        assert!(size_of_val(&listener.accept()) <= 320);
        println!("read {}", size_of_val(&stream.read(&mut [0])));
        assert!(size_of_val(&stream.read(&mut [0])) <= 80);
        assert!(size_of_val(&stream.readable()) <= 40);
        assert!(size_of_val(&stream.write_all(&[0])) <= 80);
        println!("write_all {}", size_of_val(&stream.write_all(&[0])));
        assert_eq!(size_of_val(&stream), size_of::<usize>());
    });
}
