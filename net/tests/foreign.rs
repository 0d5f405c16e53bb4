//! Sockets in the hands of executors that know nothing of the runtime, while it lives and
//! afterwards: it is only their reactor.

mod support;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use support::watched;

/// An executor of one thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unparker(Thread);
    impl Wake for Unparker {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Has everything pass both ways between two threads, more than the system takes at once.
fn exchange(a: TcpStream, b: TcpStream) {
    const LEN: usize = 1 << 22;
    let echo = thread::spawn(move || block_on(net::copy(&mut &b, &mut &b)).unwrap());
    let reader = a.clone();
    let reading = thread::spawn(move || {
        block_on(async {
            let mut back = vec![0; LEN];
            reader.read_exact(&mut back).await.unwrap();
            assert!(back.iter().enumerate().all(|(i, &byte)| byte == i as u8));
            assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        });
    });
    let bytes: Vec<u8> = (0..LEN).map(|i| i as u8).collect();
    block_on(a.write_all(&bytes)).unwrap();
    a.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(echo.join().unwrap(), LEN as u64);
    reading.join().unwrap();
}

#[test]
fn sockets_work_on_executors_that_know_nothing_of_the_runtime() {
    watched(|| {
        let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
        let (listener, udp) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (listener, UdpSocket::bind("127.0.0.1:0").await.unwrap())
        });
        let address = listener.local_addr().unwrap();
        let accepting = runtime.spawn(async move {
            // The handle of one that waits here is given to a thread.
            let (stream, _) = listener.accept().await.unwrap();
            (listener, stream)
        });
        let client = runtime.block_on(TcpStream::connect(address)).unwrap();
        let (listener, server) = runtime.block_on(accepting).unwrap();
        exchange(client, server);

        // A close reaches who waits there, and so does a deadline that a task sets.
        let (mine, _theirs) = runtime.block_on(async { UnixStream::pair().unwrap() });
        let waits = mine.clone();
        let waiting = thread::spawn(move || block_on(waits.read(&mut [0])).unwrap_err());
        mine.close().unwrap();
        assert!(net::is_closed(&waiting.join().unwrap()));
        let waits = udp.clone();
        let waiting = thread::spawn(move || block_on(waits.recv(&mut [0])).unwrap_err());
        runtime.block_on(async {
            let soon = runtime::time::Instant::now() + Duration::from_millis(20);
            udp.set_deadline(soon).unwrap();
        });
        assert!(net::is_deadline(&waiting.join().unwrap()));

        // The end of the runtime reaches them, too.
        let waiting = thread::spawn(move || {
            let error = block_on(listener.accept()).map(drop).unwrap_err();
            (error, listener)
        });
        drop(runtime);
        let (error, listener) = waiting.join().unwrap();
        assert!(!net::is_closed(&error), "{error}");
        let again = block_on(listener.accept()).map(drop).unwrap_err();
        assert_eq!(again.kind(), error.kind());
        listener.close().unwrap();
        let closed: io::Result<()> = block_on(listener.accept()).map(drop);
        assert!(net::is_closed(&closed.unwrap_err()));
    });
}
